"""A sweep of networks from anywhere that is killed outright goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from archbench.reasons import Status
from archbench.records import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = "from archbench.cli.main import main; main()"
REPEATS = 2
WAIT_S = 300.0
WORDS = ("sweep", "nets.toml", "--allow-code", "--repeats", str(REPEATS), "--device", "cpu")
QUICK = ("--quick", "--budget", "0.5")


def own(name: str) -> Callable[[], str]:
    def write() -> str:
        shutil.copy(EXAMPLES / name.partition(":")[0], ".")
        return name

    return write


def exported() -> str:
    import torch
    from torch import nn

    program = torch.export.export(nn.Conv2d(3, 8, 3).eval(), (torch.zeros(1, 3, 64, 64),))
    torch.export.save(program, "model.pt2")
    return "model.pt2"


def graph() -> str:
    helper = pytest.importorskip("onnx.helper", reason="ONNX models are written by onnx")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime runs graphs", exc_type=Exception)
    from onnx import TensorProto

    info = helper.make_tensor_value_info
    weight = TensorProto(name="w", dims=[8, 3, 3, 3], data_type=1, float_data=[0.1] * 216)
    made = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "graph",
        [info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [info("y", TensorProto.FLOAT, [1, 8, 62, 62])],
        [weight],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    Path("model.onnx").write_bytes(model.SerializeToString())
    return "model.onnx"


def of_library(name: str) -> Callable[[], str]:
    def find() -> str:
        library = name.partition(":")[0]
        pytest.importorskip(library, reason=f"{name} needs {library}", exc_type=Exception)
        return name

    return find


KINDS = {
    "backbone of a file": (own("tiny_backbone.py:tiny_backbone"), 'detector = "ssd"\nsize = 96'),
    "whole network of a file": (own("tiny_detector.py:TinyDetector"), "size = 64"),
    "exported program": (exported, ""),
    "exported graph": (graph, ""),
    "timm": (of_library("timm:mobilenetv3_small_050"), "size = 64"),
    "torchvision": (of_library("torchvision:squeezenet1_1"), "size = 64"),
    "transformers": (of_library("transformers:MobileNetV2ForImageClassification"), "size = 64"),
}


def lines(folder: Path) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in folder.glob("*.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_sweep_is_resumed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network, more = KINDS[kind]
    Path("nets.toml").write_text(f'backbone = "{network()}"\n{more}\n', encoding="utf-8")
    command = [sys.executable, "-c", RUN, *WORDS, *QUICK]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + WAIT_S
    while not lines(tmp_path / "results") and first.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (kept,) = Store(Path("results")).read()
    # What is there may not be run again, nor anything else of the first sweep's.
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    records = Store(Path("results")).read()
    assert len(records) == REPEATS
    assert [record.status for record in records] == [Status.OK] * REPEATS
    assert {record.spec for record in records} == {kept.spec}
    assert kept.record_id in {record.record_id for record in records}
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert lines(tmp_path / "results") == REPEATS
