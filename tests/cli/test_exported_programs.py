"""Exported programs on the command line: measured, in suites, in views."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

from archbench.cli.main import run
from archbench.records import Store
from archbench.spec import PROGRAM, without_hash
from archbench.zoo import sources

QUICK = ["--device", "cpu", "--quick", "--budget", "0.2"]
Capture = pytest.CaptureFixture[str]


def export(file: str, width: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
    program = torch.export.export(network.eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(program, file)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(sources.ALLOW_CODE, raising=False)
    Path("nets").mkdir()
    export("nets/model.pt2", 8)
    torch.save({}, "nets/model.pt")


@pytest.mark.slow
def test_a_program_is_measured_with_its_own_weights(capsys: Capture) -> None:
    assert run(["profile", "nets/model.pt2", "--json", *QUICK]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"]["latency_ms"]["value"] > 0
    assert found["measured"]["total_ms"]["reason"] == "no_postprocess"
    assert found["conditions"]["weights"] == "its own"
    assert found["environment"]["graph_file"] == str(Path("nets/model.pt2").resolve())
    (record,) = Store("results").read()
    assert record.spec.origin == PROGRAM
    assert without_hash(record.spec.backbone) == "nets/model.pt2"
    words = shlex.split(record.spec.command())[1:]
    assert run([*words, "--no-measure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"] == found["spec"]


@pytest.mark.slow
def test_suites_and_views_know_it(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("nets/own.toml").write_text('backbone = "model.pt2"\n', encoding="utf-8")
    assert run(["sweep", "nets/own.toml", "--ray", "local"]) == 2
    assert "--ray cannot send your own code or files" in capsys.readouterr().err
    assert run(["sweep", "nets/own.toml", "--no-measure"]) == 0
    export("nets/model.pt2", 9)
    assert run(["count", "nets/model.pt2"]) == 0
    Path("nets/model.pt2").unlink()
    capsys.readouterr()
    words = ["compare", "--baseline", "nets/model.pt2", "--columns", "params"]
    assert run([*words, "--backbone", "nets/model.pt2"]) == 0
    shown = capsys.readouterr().out
    assert f"{(8 * 28 + 16) / (9 * 28 + 18):.3f}" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nets/model.pt2", "--batch", "2"], "exported for 1 alone"),
        (["nets/model.pt2", "--size", "64"], "exported for 32 alone"),
        (["nets/model.pt2", "--train"], "cannot be trained"),
        (["nets/model.pt2", "--weights", "nets/model.pt"], "leave out --weights"),
        (["nets/model.pt2", "--fold-bn"], "leave out --fold-bn"),
        (["nets/none.pt2"], "No such file"),
        (["mobilenet", "--allow-code"], "--allow-code is for .pt2 files"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: Capture) -> None:
    assert run(["profile", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
