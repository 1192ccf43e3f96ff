"""`archbench export`: files, what is said of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import archbench
from archbench.cli.main import run
from archbench.engines.engine import Package

Capture = pytest.CaptureFixture[str]
NETS = '''
import torch
from torch import nn


class Two(nn.Module):
    """Gives a map and its means."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        x = self.conv(images)
        return {"map": x, "means": [x.mean(dim=(2, 3))]}


@torch.library.custom_op("mine::odd", mutates_args=())
def odd(x: torch.Tensor) -> torch.Tensor:
    return x + 1


@odd.register_fake
def _(x):
    return torch.empty_like(x)


class Odd(nn.Module):
    def forward(self, images):
        return odd(images)
'''


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS, encoding="utf-8")
    Path("there.onnx").write_text("mine", encoding="utf-8")
    Path("folder.onnx").mkdir()


def test_a_graph_is_written_and_held_against_eager(capsys: Capture) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    words = ["nets.py:Two", "--size", "16", "--batch", "2", "there.onnx", "--force", "--json"]
    assert run(["export", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    graph = onnx.load("there.onnx").graph
    assert [each.name for each in graph.input] == ["images"]
    assert [each.name for each in graph.output] == ["map", "means.0"]
    assert found["inputs"] == [{"name": "images", "dtype": "float32", "shape": [2, 3, 16, 16]}]
    assert [(each["name"], each["shape"]) for each in found["outputs"]] == [
        ("map", [2, 4, 14, 14]),
        ("means.0", [2, 4]),
    ]
    assert found["bytes"] == Path("there.onnx").stat().st_size
    assert found["check"]["dense_error"] < 1e-5
    assert found["check"]["agrees"]
    assert sorted(path.name for path in Path().glob("*.onnx*")) == ["folder.onnx", "there.onnx"]


@pytest.mark.slow
def test_a_program_of_torchs_is_written(capsys: Capture) -> None:
    assert run(["export", "nets.py:Two", "--size", "16", "two.pt2"]) == 0
    out = capsys.readouterr().out
    assert "output map: float32 1x4x14x14\noutput means.0: float32 1x4\n" in out
    assert "dense error 0.0e+00" in out
    given = torch.export.load("two.pt2").module()(torch.zeros(1, 3, 16, 16))
    assert given["means"][0].shape == (1, 4)


@pytest.mark.slow
def test_what_cannot_be_exported_is_said_in_a_line(capsys: Capture) -> None:
    pytest.importorskip("onnxscript")
    assert run(["export", "nets.py:Odd", "--size", "16", "model.onnx"]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert "cannot be exported: ONNX has no translation of the operator mine.odd" in last
    assert not Path("model.onnx").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["mobilenet", "there.onnx"], "there.onnx already exists: --force overwrites it"),
        (["mobilenet", "folder.onnx"], "folder.onnx cannot be written: it is a folder"),
        (["mobilenet", "no/model.onnx"], "no/model.onnx cannot be written: no folder no"),
        (["mobilenet", "model.tflite"], "invalid file 'model.tflite' (choose from .onnx, .pt2)"),
        (["mobilenet", "--train", "m.onnx"], "leave out --train"),
        (["mobilenet", "--plain", "m.pt2"], "leave out --plain"),
        (["mobilenet", "--size", "64,96", "m.onnx"], "a file holds one input and batch, not 2"),
        (["there.onnx", "m.onnx"], "there.onnx"),
        (["mobilenet", "--weights", "no.pt", "m.onnx"], "no.pt"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], why: str, capsys: Capture) -> None:
    before = sorted(Path().iterdir())
    assert run(["export", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert sorted(Path().iterdir()) == before
    assert Path("there.onnx").read_text(encoding="utf-8") == "mine"


def test_what_writes_files_is_told_with_the_command_that_installs_it(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archbench.cli.export.EXPORTERS", (Package("no-such-exporter", "1"),))
    assert run(["export", "mobilenet", "m.onnx"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "m.onnx cannot be written: no-such-exporter is not installed: "
        "pip install 'archbench[onnxruntime]'"
    )


@pytest.mark.slow
def test_a_detector_s_program_is_counted_as_the_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export", "mobilenet", "out.pt2", "-d", "ssd", "--size", "96"]) == 0
    exported, named = archbench.cost("out.pt2"), archbench.cost("mobilenet", "ssd", size=96)
    assert (exported.macs, exported.params) == (named.macs, named.params)
