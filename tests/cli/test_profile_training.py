"""`archbench profile --train` and `--weights` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import archbench
from archbench.cli.main import run

QUICK = ["--device", "cpu", "--quick", "--budget", "1", "--size", "64"]


@pytest.mark.parametrize(
    ("network", "batch", "loss"),
    [
        (["resnet18"], 4, "cross-entropy"),
        pytest.param(
            ["resnet18", "-d", "refinedet"],
            2,
            "surrogate: sum over raw outputs of their mean square",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_training_step_has_its_time_and_memory(
    network: list[str], batch: int, loss: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(
            [
                "profile",
                *network,
                "--train",
                "--batch",
                str(batch),
                *QUICK,
                "--results",
                str(tmp_path),
                "--json",
            ]
        )
        == 0
    )
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["spec"]["mode"], record["conditions"]["loss"]) == (
        "ok",
        "train",
        loss,
    )
    step = record["measured"]["latency_ms"]
    assert step["protocol"] == "train"
    assert step["value"] > 0
    assert record["measured"]["fps"]["value"] == pytest.approx(1e3 * batch / step["value"])
    memory = record["measured"]["mem_host_peak_bytes"]
    assert memory["value"] > 0
    assert memory["protocol"] == "train"
    assert record["counted"]["train_memory_bytes"] > 12 * record["counted"]["params"]
    assert "gmacs_per_s" not in record["measured"]
    assert "throughput" not in record["phases"]


@pytest.mark.slow
def test_the_page_says_that_it_is_a_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(
            [
                "profile",
                "resnet18",
                "--train",
                "--batch",
                "2",
                "--roofline",
                *QUICK,
                "--results",
                str(tmp_path),
            ]
        )
        == 0
    )
    out = " ".join(capsys.readouterr().out.split())
    assert "training step" in out
    assert "Counts cover the forward pass only. Training memory covers a whole step" in out
    assert "training memory, predicted" in out
    assert "loss: cross-entropy" in out
    assert (
        "not available for training steps (training): roofline bound, layers, roofline bound, all "
        "roofline bound / forward" in out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet18", "--train", "--size", "32"], "use a larger batch"),
        (
            ["mobilenet", "-d", "faster-rcnn", "--train", "--batch", "2"],
            "two-stage detectors cannot be trained",
        ),
        (["resnet18", "--train", "--batch", "2", "--fold-bn"], "not available for training steps"),
        (["resnet18", "--weights", "no/such/file.pt"], "no such file"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["profile", *arguments, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.slow
def test_a_checkpoint_is_loaded_and_one_that_does_not_fit_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resnet18.pt"
    torch.save(archbench.build("resnet18").state_dict(), file)
    assert (
        run(
            [
                "profile",
                "resnet18",
                "--weights",
                str(file),
                *QUICK,
                "--results",
                str(tmp_path),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["settings"]["weights"] == str(file)
    assert (
        run(["profile", "resnet34", "--weights", str(file), *QUICK, "--results", str(tmp_path)])
        == 2
    )
    assert "stage2.2" in capsys.readouterr().err
