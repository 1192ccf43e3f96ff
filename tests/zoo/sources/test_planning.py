"""Planning imports no source: names are taken as written, and what cannot be known is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archbench import __version__
from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.spec import Spec
from archbench.zoo import catalogue

Write = Callable[[str, str], Path]

LIBRARIES = ("timm", "torchvision", "transformers", "onnx", "huggingface_hub")
MARKING = "from pathlib import Path\nPath({!r}).touch()\nraise RuntimeError('it is imported')\n"
IN_TURN = """
import json, subprocess, sys
from archbench.cli.main import run

started = subprocess.Popen

def start(command, *more, **options):
    assert command[0] == "git", f"planning starts {command}"
    return started(command, *more, **options)

subprocess.Popen = start
codes = [run(words) for words in json.loads(sys.argv[1])]
assert "torch" not in sys.modules
sys.exit(0 if codes == json.loads(sys.argv[2]) else f"they end with {codes}")
"""
SUITE = """
size = 64
backbone = [
    "timm:chain", "torchvision:gone", "transformers:TinyForObjectDetection", "transformers:detr",
    "nets.py:Net", "model.pt2", "model.onnx", "resnet18",
]
include = [
    { backbone = ["timm:bare", "torchvision:bare", "resnet34"] },
    { backbone = "timm:chain", detector = "ssd300" },
]
"""
PROGRAM: dict[str, Any] = {
    "graph_module": {
        "signature": {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}]},
        "graph": {
            "tensor_values": {
                "x": {"sizes": [{"as_int": side} for side in (1, 3, 64, 64)], "dtype": 7}
            }
        },
    },
    "range_constraints": {},
}
"""What the file of a program says of the images that it takes."""
DIMS = b"".join(b"\x0a\x02\x08" + bytes([side]) for side in (1, 3, 64, 64))
"""The sides of images as an ONNX file has them."""


def nested(number: int, content: bytes) -> bytes:
    """A field of a message in protobuf's encoding, of below 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


GRAPH = nested(7, nested(11, nested(1, b"x") + nested(2, nested(1, b"\x08\x01" + nested(2, DIMS)))))


@pytest.fixture
def sources(write: Write, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A network of each source, all of which leave a mark where they are imported; gives what runs
    command lines beside them and expects these exit codes.
    """
    for name in LIBRARIES:
        write(f"libraries/{name}.py", MARKING.format(str(tmp_path / f"{name}.mark")))
    marking = MARKING.format(str(tmp_path / "nets.mark"))
    write("nets.py", marking + "class Net: ...\n")
    write("detr/config.json", json.dumps({"architectures": ["Tiny"]}))
    with zipfile.ZipFile("model.pt2", "w") as archive:
        archive.writestr("model/models/model.json", json.dumps(PROGRAM))
    Path("model.onnx").write_bytes(GRAPH)
    write("own.toml", SUITE)
    environment = {**os.environ, "PYTHONPATH": "libraries", "XDG_CACHE_HOME": str(tmp_path)}

    def in_turn(*lines: str, codes: list[int]) -> subprocess.CompletedProcess[str]:
        words = json.dumps([line.split() for line in lines])
        command = [sys.executable, "-c", IN_TURN, words, json.dumps(codes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert [*tmp_path.glob("*.mark")] == []
        return done

    return in_turn


def test_a_dry_run_imports_none_and_says_what_is_not_known(sources: Any) -> None:
    plan = "sweep own.toml --dry-run"
    on_cpu = f"{plan} --device cpu"
    done = sources(
        f"{on_cpu} --json", f"{plan} --no-measure", f"{on_cpu} --resume --quick", codes=[0, 0, 0]
    )
    plain, _, left = done.stdout.partition("networks to count")
    planned = json.loads(plain[: plain.rindex("}") + 1])
    commands = {job["command"].split()[2]: job for job in planned["jobs"]}
    names = {name.partition("@")[0] for name in commands}
    assert {"timm:chain", "torchvision:gone", "nets.py:Net", "transformers:./detr"} <= names
    assert commands["model.onnx"]["engine"] == "onnxruntime"
    assert {row["label"]: row["why"] for row in planned["missing"]} == {
        f"{name}:bare": f"{name}:bare has a default input size that only {name} knows, which is "
        "not imported to plan"
        for name in ("timm", "torchvision")
    }
    assert "timm is not imported to plan: taken as written: timm:chain" in done.stderr
    assert "not built, timm:bare has a default" in " ".join(left.split())


def test_resuming_imports_none_of_what_is_there(sources: Any, write: Write) -> None:
    own = catalogue.resolve("nets.py:Net", size=64).spec
    chain = Spec("timm:chain", None, 64, 64, classes=None)
    store = Store(Path("results"))
    for spec in (own, chain, Spec("model.onnx", None, 64, 64, classes=None)):
        store.append(
            Record(
                spec=spec,
                settings=None,
                status=Status.OK,
                counted={"params": 1, "macs": 1},
                environment={"archbench": __version__},
            )
        )
    write("own.toml", 'size = 64\nbackbone = ["timm:chain", "nets.py:Net", "model.onnx"]\n')
    write("bare.toml", 'backbone = "timm:bare"\n')
    rest = "--no-measure --allow-code --resume"
    done = sources(f"sweep own.toml {rest}", f"sweep bare.toml {rest}", codes=[0, 2])
    assert "timm:chain" in done.stdout
    assert "give a size, or run archbench list timm: once" in done.stderr
    assert len(store.read()) == 3


def test_what_a_library_said_before_is_known(
    standins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(["list", "timm:"]) == 0
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it is asked again"))
    Path("own.toml").write_text('backbone = ["timm:chain", "timm:chian"]\n', encoding="utf-8")
    capsys.readouterr()
    assert run(["sweep", "own.toml", "--dry-run", "--no-measure"]) == 2
    assert "timm has no network 'chian'; did you mean chain?" in capsys.readouterr().err
    Path("own.toml").write_text('backbone = "timm:chain"\n', encoding="utf-8")
    assert run(["sweep", "own.toml", "--dry-run", "--json", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "--size 64x64" in json.loads(said.out)["jobs"][0]["command"]
    assert "taken as written" not in said.err
