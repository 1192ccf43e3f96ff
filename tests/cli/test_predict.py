"""`archbench predict` from outside: the table, JSON, what is refused, and that nothing is mixed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.settings import QUICK
from archbench.zoo import catalogue

FAMILIES = (
    "vgg16",
    "vovnet39",
    "densenet121",
    "mobilenet",
    "darknet53",
    "hardnet68",
    "peleenet",
    "inception-v2",
    "inception-v3",
    "hourglass104",
)
"""A network of each of ten families, none of them a resnet."""
MS_A_GIGA = 20.0


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder in which a call takes 20 ms for each billion multiply-adds."""
    folder = tmp_path / "results"
    for number, name in enumerate(FAMILIES, start=1):
        add(folder, name, macs=number * 10**9)
    return folder


def add(
    folder: Path,
    name: str,
    *,
    macs: int,
    ms: float | None = None,
    device_name: str = "Example CPU",
) -> None:
    counted = {
        "macs_all": macs,
        "macs_depthwise": 0,
        # All else varies the other way, so that it explains nothing.
        "bytes_all": 10**18 // macs,
        "call_count": 2 * 10**11 // macs,
    }
    Store(folder).append(
        Record(
            spec=catalogue.resolve(name, classes=0).spec,
            settings=QUICK,
            status=Status.OK,
            counted=counted,
            measured={"latency_ms": Metric(ms or MS_A_GIGA * macs / 1e9, "ms")},
            environment={"device": "cpu", "device_name": device_name, "threads": 2},
        )
    )


def predict(results: Path, *words: str) -> int:
    return run(["predict", "resnet50", *words, "--results", str(results)])


def test_the_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(results) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "Example CPU, 2 threads, fp32, contiguous"
    assert lines[2].split() == ["network", "figure", "predicted", "90", "%", "from", "to"]
    assert lines[4].split()[-3:] == ["~81.8", "81.8", "81.8"], "4.089 G multiply-adds"
    text = " ".join(out.split())
    assert "forward: fitted on 10 networks of other families" in text
    assert (
        "cross-validated error 0 % (median), 0 % (90th percentile); the interval is x/÷ 1.00."
        in text
    )
    assert "To measure: archbench profile resnet50 --size 224x224 --classes 1000 --quick" in text
    assert "measured\n" not in lines[2]


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(results, "resnet18", macs=2 * 10**9, ms=50.0)
    assert run(["predict", "resnet18", "--classes", "0", "--results", str(results), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["figure"], row["unit"], row["fitted_on"]) == ("latency_ms", "ms", 10)
    assert row["predicted"] == pytest.approx(40.0), "by the others, and by what its record counted"
    assert row["interval90"] == pytest.approx([40.0, 40.0])
    assert (row["measured"], row["refused"]) == (50.0, None)


def test_what_is_beyond_the_measured_is_refused(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(results, "--size", "448") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "not predicted, multiply-adds: 1.635e+10, outside the" in out


def test_what_is_missing_is_said_with_what_would_help(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("H200", "threads"):
        assert predict(results, "--device", name) == 2
    assert "no measurements on a device called 'H200'" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert predict(empty) == 2
    assert capsys.readouterr().err.startswith(f"no records in {empty}; to create one: archbench")
    few = tmp_path / "few"
    for number, name in enumerate(FAMILIES[:7], start=1):
        add(few, name, macs=number * 10**9)
    assert predict(few) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "not predicted, 7 networks of other families were measured; a prediction needs 8" in out


def test_a_plan_is_estimated_by_what_calls_are_predicted_to_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from archbench.measure.machine import host

    folder, suite = tmp_path / "here", tmp_path / "mine.toml"
    for number, name in enumerate(FAMILIES, start=1):
        add(folder, name, macs=number * 10**9, ms=2000.0 * number, device_name=host.cpu_model())
    suite.write_text('backbone = "resnet50"\n')
    words = ["sweep", str(suite), "--quick", "--dry-run", "--device", "cpu"]
    assert run([*words, "--results", str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1 from predicted times of their calls" in out
    assert "about 2 min" in out, "16 calls of 8.2 s beside 13.5 s"
