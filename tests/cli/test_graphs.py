"""ONNX graphs on the command line: counted, kept, and told why they are not measured."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

helper = pytest.importorskip("onnx.helper", reason="ONNX models are written by onnx")

from onnx import TensorProto  # noqa: E402

import archbench  # noqa: E402
from archbench.cli.main import run  # noqa: E402
from archbench.records import Store  # noqa: E402
from archbench.spec import ONNX, Spec, origin_of  # noqa: E402

Capture = pytest.CaptureFixture[str]
MACS = 6 * 6 * 4 * 27
SIZED = 'backbone = ["nets/model.onnx", "snet49"]\nsize = 8\n'


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="stem"),
            helper.make_node("Mystery", ["c"], ["y"], domain="my.ops"),
        ],
        "graph",
        [info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [info("y", TensorProto.FLOAT, None)],
        [TensorProto(name="w", dims=[4, 3, 3, 3], data_type=TensorProto.FLOAT)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    Path("nets").mkdir()
    Path("nets/model.onnx").write_bytes(model.SerializeToString())


def test_a_graph_is_counted_and_kept(capsys: Capture) -> None:
    path = Path("nets/model.onnx").resolve()
    assert run(["count", str(path), "--size", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["counted"]["macs"], found["counted"]["params"]) == (MACS, 108)
    assert found["counted"]["uncounted"] == [["my.ops::Mystery", 1]]
    assert found["environment"]["graph_file"] == str(path)
    (note,) = found["conditions"]["count_notes"]
    assert note.startswith("no batch normalisation is in the graph")
    (record,) = Store(Path("results")).read()
    assert record.spec == Spec("nets/model.onnx", None, 8, 8, classes=None)
    assert (record.spec.origin, record.spec.is_whole) == (ONNX, True)
    assert record.counts["macs"] == MACS


def test_its_command_makes_it_anew(capsys: Capture) -> None:
    assert run(["count", "nets/model.onnx", "-s", "10x8", "-b", "3", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    command = Spec.from_dict(first["spec"]).command()
    assert command == "archbench profile nets/model.onnx --size 10x8 --batch 3"
    assert run([*shlex.split(command)[1:], "--no-measure", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["spec"], again["counted"]) == (first["spec"], first["counted"])


def test_it_is_shown_with_its_layers_and_in_views(capsys: Capture) -> None:
    assert run(["profile", "nets/model.onnx", "--size", "8", "--no-measure", "--layers"]) == 0
    shown = capsys.readouterr().out
    assert "nets/model.onnx, 8x8" in shown
    assert "not counted, no rule: my.ops::Mystery (1 calls)" in shown
    assert "stem" in shown
    Path("nets/model.onnx").unlink()
    for words in ([], ["--backbone", "./nets/model.onnx"], ["--baseline", "nets/model.onnx"]):
        assert run(["compare", *words]) == 0
        assert "nets/model.onnx, 8x8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["profile", "nets/model.onnx", "-s", "8", "--engine", "eager"],
            "engine eager does not run ONNX graphs (choose from onnxruntime, openvino, tensorrt)",
        ),
        (["count", "nets/model.onnx"], "axis 2 ('h') of input 'x' of model.onnx is dynamic"),
        (["count", "nets/model.onnx", "-d", "ssd300"], "a graph runs as exported"),
        (["count", "nets/model.onnx", "--train"], "leave out --train"),
        (["count", "nets/model.onnx", "-o", "a=b"], "leave out --option"),
        (["count", "nets/model.onnx", "-s", "8", "--check"], "leave out --check"),
        (["count", "nets/model.onnx", "-s", "2"], "its kernel is larger than what it reads"),
        (["count", "none.onnx"], "model none.onnx cannot be read: No such file"),
        (["sweep", "own.toml", "--no-measure"], "has no default input size: give one"),
        (["sweep", "sized.toml", "--engine", "eager"], "engine eager does not run ONNX graphs"),
        (["sweep", "sized.toml", "--ray", "local"], "cannot send your own code or files"),
    ],
)
def test_what_cannot_be_is_one_line(capsys: Capture, words: list[str], message: str) -> None:
    Path("own.toml").write_text('backbone = "nets/model.onnx"\n', encoding="utf-8")
    Path("sized.toml").write_text(SIZED, encoding="utf-8")
    assert run(words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_suite_has_graphs_too(capsys: Capture) -> None:
    Path("nets/own.toml").write_text('backbone = "model.onnx"\nsize = 8\n', encoding="utf-8")
    assert run(["count", "nets/model.onnx", "--size", "8"]) == 0
    assert run(["sweep", "nets/own.toml", "--no-measure"]) == 0
    first, second = Store(Path("results")).read()
    assert (first.spec, first.counted) == (second.spec, second.counted)
    assert run(["sweep", "nets/own.toml", "--no-measure", "--resume"]) == 0
    assert len(Store(Path("results")).read()) == 2
    capsys.readouterr()
    assert run(["sweep", "nets/own.toml", "--dry-run", "--json", "--device", "cpu"]) == 0
    (job, *_) = json.loads(capsys.readouterr().out)["jobs"]
    assert (job["engine"], job["command"]) == ("onnxruntime", first.spec.command())


def test_the_library_counts_a_graph_and_builds_none() -> None:
    assert archbench.cost("nets/model.onnx", size=8).macs == MACS
    with pytest.raises(archbench.UsageError, match="a graph is no module of torch"):
        archbench.build("nets/model.onnx", size=8)


def test_count_is_profile_that_measures_nothing(capsys: Capture) -> None:
    words = ["resnet18", "--classes", "10", "--size", "64", "--json"]
    assert run(["count", *words]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert run(["profile", *words, "--no-measure"]) == 0
    profiled = json.loads(capsys.readouterr().out)
    for key in ("spec", "settings", "counted", "measured", "conditions"):
        assert counted[key] == profiled[key]


def test_counting_a_graph_loads_no_torch() -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        "code = run(['count', 'nets/model.onnx', '-s', '8', '--json']); "
        "sys.exit(code or 3 * bool({'torch', 'pandas', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ})
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "origin"),
    [("a.onnx", ONNX), ("C:/x/a.onnx", ONNX), ("nets.py:onnx", "file"), ("vovnet39", "")],
)
def test_a_graph_is_told_by_its_ending(name: str, origin: str) -> None:
    assert origin_of(name) == origin
