"""`archbench profile` from outside: output, exit codes, files, processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archbench import __version__
from archbench.cli.main import run
from archbench.records import Store

FAST = ["--quick", "--budget", "1"]

CPU = ["--device", "cpu"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def started(*arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", "from archbench.cli.main import main; main()", *arguments]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers() -> list[int]:
    """Process ids of the measurement workers of this test: those that run in its folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"archbench.measure.job.worker" in (path / "cmdline").read_bytes()
                and (path / "cwd").readlink() == Path.cwd()
            ):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_counting_prints_the_counts_beside_the_paper_and_keeps_a_record(capsys):
    assert run(["profile", "vovnet39", "--detector", "refinedet320", "--no-measure"]) == 0
    out = capsys.readouterr().out
    rows = {line[:28].strip(): line[28:].split() for line in out.splitlines()}
    assert rows["parameters"] == ["56.28", "M", "56.28"]
    assert rows["multiply-adds"] == ["32.626", "G"]
    assert rows["FLOPs as VoVNet counts them"] == ["32.655", "G", "32.6"]
    assert rows["MAC (Eq. 1)"] == ["122.08", "M", "elements"]
    assert "vovnet/table4" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    (record,) = Store("results").read()
    assert (record.status, record.counted["params"], record.measured) == ("ok", 56_283_844, {})
    assert record.environment["archbench"] == __version__


def test_json_is_the_record(capsys):
    assert (
        run(["profile", "densenet121", "--no-measure", "--json", "--layers", "--results", "r"]) == 0
    )
    data = json.loads(capsys.readouterr().out)
    assert data["counted"]["params"] == 7_978_856
    assert (
        data["command"]
        == "archbench profile densenet121 --size 224x224 --classes 1000 --no-measure"
    )
    assert sum(layer["macs"] for layer in data["layers"]) == data["counted"]["macs"]
    assert [record.record_id for record in Store("r").read()] == [data["record_id"]]


def test_the_peak_of_activations_says_that_it_is_the_batch_s(capsys):
    assert run(["profile", "resnet18", "--batch", "8", "--no-measure"]) == 0
    assert "whole batch of 8" in capsys.readouterr().out


def test_an_approximate_network_says_so(capsys):
    assert run(["profile", "csp-peleenet", "-d", "efm", "--no-measure"]) == 0
    out = capsys.readouterr().out
    assert "efm is approximate: fitted to CSPNet's Table 2" in out
    assert max(map(len, out.splitlines())) <= 80


def test_layers_has_a_row_for_each_call(capsys):
    assert run(["profile", "vgg16", "--no-measure", "--layers"]) == 0
    out = capsys.readouterr().out
    assert "conv1_1.0  3x3        64x224x224" in out
    assert "last       linear           1000" in out
    assert "16 calls, per image" in out


@pytest.mark.parametrize(
    "backbone",
    [
        "vovnet39",
        pytest.param("resnet50-v1", marks=pytest.mark.slow),
        pytest.param("densenet161", marks=pytest.mark.slow),
    ],
)
def test_check_agrees_with_fvcore_to_the_unit(backbone, capsys):
    assert run(["profile", backbone, "-d", "refinedet320", "--no-measure", "--check"]) == 0
    assert "equal ours" in capsys.readouterr().out


def test_check_says_when_it_disagrees(capsys, monkeypatch):
    from archbench.counting import check

    wrong = check.Check(fvcore_conv=1, fvcore_linear=0, conv=2, linear=0)
    monkeypatch.setattr("archbench.api.check_against_fvcore", lambda *_: wrong)
    assert run(["profile", "resnet18", "--no-measure", "--check"]) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_measuring_prints_medians_with_intervals_and_reasons(capsys):
    assert run(["profile", "resnet18", "--size", "64", "--quick", *CPU]) == 0
    captured = capsys.readouterr()
    assert "95 % interval" in captured.out
    assert "forward" in captured.out
    assert "(cpu_device)" in captured.out
    assert max(map(len, captured.out.splitlines())) <= 80
    assert "timing ..." in captured.err
    (record,) = Store("results").read()
    assert record.status == "ok"
    assert not workers()


BAD = {
    "unknown backbone": (["vovnet93"], "did you mean vovnet39"),
    "unknown detector": (["vovnet39", "-d", "refindet320"], "did you mean refinedet"),
    "a detector as backbone": (["refinedet"], "it is a detector"),
    "not a multiple of 64": (["vovnet39", "-d", "refinedet", "--size", "300"], "multiples of 64"),
    "two sizes": (["vovnet39", "-d", "refinedet320", "--size", "512"], "leave one out"),
    "no size": (["vovnet39", "--size", "big"], "WIDTHxHEIGHT"),
    "a size of zero": (["vovnet39", "--size", "0"], "sides of at least 1 pixel"),
    "a map that vanishes": (["vgg16", "--size", "8", "--option", "fc=linear"], "cannot run"),
    "unknown option": (["vovnet39", "--option", "stemm=pool"], "did you mean stem"),
    "an option of others": (["vovnet27-slim", "--option", "norm=gn"], "32 groups"),
    "a wrong value": (["vovnet39", "--option", "stem=big"], "conv, pool"),
    "a flag as option": (["vovnet39", "--option", "size=320"], "--size"),
    "no value": (["vovnet39", "--option", "stem"], "KEY=VALUE"),
    "an unbuildable pair": (["resnet50", "-d", "refinedet", "-o", "output_stride=16"], "has no c5"),
    "no batch": (["vovnet39", "--batch", "0"], "1 or more"),
    "negative classes": (["vovnet39", "--classes", "-1"], "(0, the backbone alone, or more)"),
    "a batch that is no batch": (["vovnet39", "--batch", "99999999999999999999"], "below 2**40"),
    "a size that is no size": (
        ["vovnet39", "--size", "99999999999999999999", "--no-measure"],
        "sides of at most 1,048,576 pixels",
    ),
    "no classes for a detector": (["vovnet39", "-d", "refinedet", "--classes", "0"], "1 or more"),
    "too many threads": (["vovnet39", "--threads", "100000"], "processors"),
    "a deadline that is no number": (["vovnet39", "--deadline", "nan"], "(above 0, at most"),
    "an endless budget": (["vovnet39", "--budget", "inf"], "(above 0, at most"),
    "a seed out of range": (["vovnet39", "--seed", "99999999999999999999"], "below 2**63"),
    "a detector without a name": (["vovnet39", "-d", ""], "unknown detector"),
    "more channels than memory has addresses": (
        ["resnet50", "--option", "width=1e9", "--no-measure"],
        "at most 1048576",
    ),
    "bins without end": (["mobilenet", "-d", "rfcn", "-o", "bins=1000000000"], "at most 1048576"),
    "a width without end": (["mobilenet", "-o", "width=1e30"], "at most 1048576"),
    "classes without end": (
        ["mobilenet", "-d", "ssd-huang", "--classes", "10000000000000000000000"],
        "at most 1048576",
    ),
    "a width of nothing": (["mobilenet", "-d", "ssd-huang", "-o", "width=0.01"], "cannot be built"),
    "an oblong size in a name": (
        ["mobilenet", "-d", "faster-rcnn1000x600"],
        "faster-rcnn --size 1000x600",
    ),
    "no threads": (["vovnet39", "--threads", "0"], "above 0"),
    "no budget": (["vovnet39", "--budget", "-1"], "above 0"),
    "a target in percent": (["vovnet39", "--target", "3"], "0.03 for 3 %"),
    "no deadline": (["vovnet39", "--deadline", "0"], "above 0"),
    "a negative seed": (["vovnet39", "--seed", "-1"], "0 or more"),
    "unknown precision": (["vovnet39", "--precision", "fp8"], "fp32, tf32"),
    "unknown format": (["vovnet39", "--memory-format", "nhwc"], "channels_last"),
    "unknown device": (["vovnet39", "--device", "tpu"], "auto, cpu, cuda"),
    "tf32 on a CPU": (["resnet18", "--device", "cpu", "--precision", "tf32"], "CUDA"),
    "an absent image folder": (["vovnet39", "--images", "nowhere"], "cannot be read"),
    "an unknown flag": (["vovnet39", "--fast"], "--fast"),
    "a word for a number": (["vovnet39", "--batch", "two"], "a whole number"),
    "no backbone": ([], "BACKBONE"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2_and_leaves_no_record(arguments, says, capsys):
    assert run(["profile", *CPU, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.endswith("...")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert says in lines[0]
    assert Store("results").read() == []


def test_an_empty_or_broken_image_folder_is_one_line(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    assert run(["profile", "resnet18", "--images", "pictures"]) == 2
    assert "contains no pictures" in capsys.readouterr().err
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"nothing")
    assert run(["profile", "resnet18", "--images", "pictures"]) == 2
    assert "a.jpg" in capsys.readouterr().err


def test_an_unwritable_results_folder_is_found_before_any_work(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    start = time.monotonic()
    assert run(["profile", "resnet18", "--results", "taken"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert time.monotonic() - start < 1


def test_a_deadline_is_a_record_and_exit_1(capsys):
    assert run(["profile", "resnet50", "--deadline", "1", *CPU]) == 1
    assert "timeout (deadline)" in capsys.readouterr().err
    (record,) = Store("results").read()
    assert record.status == "timeout"
    assert not workers()


def wait_for_worker(child: subprocess.Popen[str]) -> int:
    while not workers():
        assert child.poll() is None
        time.sleep(0.05)
    return workers()[0]


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_is_a_record_and_exit_1():
    child = started("profile", "resnet18", *CPU, "--budget", "60", "--json")
    worker = wait_for_worker(child)
    for line in child.stderr:
        if line.startswith("warming up"):
            break
    os.kill(worker, signal.SIGKILL)
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 1
    data = json.loads(out)
    assert (data["status"], data["reason"]["code"]) == ("error", "killed")
    assert data["reason"]["phase"] in ("warmup", "latency")
    assert data["counted"]["params"] == 11_689_512
    (record,) = Store("results").read()
    assert record.record_id == data["record_id"]
    assert not workers()


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker in /proc")
def test_an_interruption_is_a_record_with_what_was_measured_and_exit_130():
    child = started("profile", "resnet18", *CPU, "--budget", "60")
    wait_for_worker(child)
    for line in child.stderr:
        if line.startswith("timing"):
            break
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    assert child.returncode == 130
    (record,) = Store("results").read()
    assert record.status == "interrupted"
    assert record.measured["latency_ms"].spread["stop_reason"] == "interrupted"
    assert not workers()
