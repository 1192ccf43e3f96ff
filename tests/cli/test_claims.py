"""`archbench claims` from outside."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.papers.claims import claims, claims_of
from archbench.records import Metric, Reason, Record, Store
from archbench.report.claims import COLUMNS
from archbench.spec import Settings, Spec


def append(folder: Path, spec: Spec, latency_ms: float, *, device: str = "cuda:0", status: str = "ok") -> Record:
    """Append a record of a network, its interval 1 % to each side."""
    spread = {"n": 50, "median": latency_ms, "ci95": [0.99 * latency_ms, 1.01 * latency_ms]}
    record = Record(
        spec=spec, settings=Settings(), status=status, counted={"params": 1, "macs": 2, "mac_eq1": 3, "cio": 4, "activation_peak_bytes": 5},
        reason=None if status == "ok" else Reason("out_of_memory"),
        measured={"latency_ms": Metric(latency_ms, "ms", spread=spread), "fps": Metric(1e3 / latency_ms, "images/s")},
        environment={"device": device, "device_name": f"Example {device}", "threads": 2},
    )  # fmt: skip
    return Store(folder).append(record)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with the networks of VoVNet's Table 7, twice as fast as each other in the order of their claims."""
    folder = tmp_path / "results"
    for number, spec in enumerate(dict.fromkeys(spec for claim in claims_of("vovnet/table7") for spec in claim.specs)):
        append(folder, spec, 10.0 * 2**number)
    return folder


def test_claims_on_a_device(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("vovnet: 2 holds\n")
    assert "measured on Example cuda:0, fp32, contiguous" in out
    assert max(map(len, out.splitlines())) <= 80


def test_without_any_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["claims", "vovnet/table3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("vovnet: 2 holds, 2 not measured\n")
    assert "needs a CUDA device: archbench sweep vovnet/table3 (2)" in captured.out
    assert "counting vovnet27-slim + dsod, 300x300, 20 classes ..." in captured.err


def test_nothing_is_counted_where_that_is_not_wanted(results: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"run(['claims', '--no-count', '--csv', '--results', {str(results)!r}]); "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == len(claims())
    assert {row["outcome"] for row in rows} >= {"holds", "not measured", "not counted", "not testable"}


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results), "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)
    assert (first["ours"], first["outcome"], first["left"]) == (2.0, "holds", "vovnet39 + refinedet, 512x512, 80 classes")


@pytest.mark.parametrize(("flag", "text"), [("--markdown", "| Table 7 |"), ("--latex", "\\begin{tabular}{lrrrl}")])
def test_typeset(results: Path, capsys: pytest.CaptureFixture[str], flag: str, text: str) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results), flag]) == 0
    assert text in capsys.readouterr().out


def test_an_unknown_paper_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnett"]) == 2
    assert capsys.readouterr().err.startswith("error: no claim stands in 'vovnett'; there are ")


def test_what_explains_time(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "--explains", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert "what explains forward\nof 4 networks, batch 1" in out
    assert run(["claims", "--explains", "--results", str(results), "--device", "other"]) == 0
    assert "nothing to explain" in capsys.readouterr().err
    assert run(["claims", "vovnet", "--explains"]) == 2


def test_what_is_missing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The measurement itself is another test's: here it is a record that the supervisor would have made."""
    torch = pytest.importorskip("torch")
    asked: list[tuple[Spec, str]] = []

    def run_job(spec: Spec, settings: Settings, store: Store, **_: Any) -> Record:
        asked.append((spec, settings.device))
        return append(store.folder, spec, 10.0 * len(asked))

    monkeypatch.setattr("archbench.measure.supervisor.run_job", run_job)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    folder = tmp_path / "results"
    for expected in (4, 4):
        assert run(["claims", "vovnet/table7", "--run", "--results", str(folder)]) == 0
        assert len(asked) == expected
    assert {device for _, device in asked} == {"cuda"}
    assert "4 of 4: measuring" in capsys.readouterr().err


def test_a_job_that_fails_is_partly_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    endings = iter(["oom", "interrupted"])

    def run_job(spec: Spec, settings: Settings, store: Store, **_: Any) -> Record:
        return append(store.folder, spec, 10.0, status=next(endings))

    monkeypatch.setattr("archbench.measure.supervisor.run_job", run_job)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert run(["claims", "vovnet/table7", "--run", "--results", str(tmp_path / "results")]) == 130
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(["claims", "vovnet/table7", "--run", "--results", str(tmp_path / "results")]) == 0
    assert "no CUDA device here" in capsys.readouterr().err
