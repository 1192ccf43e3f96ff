"""`archbench claims` from outside."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.measure.job.supervisor import Job, Watch
from archbench.measure.sweep.places import Place
from archbench.papers.claims import claims, claims_of
from archbench.reasons import Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.report.tables.claims import COLUMNS
from archbench.settings import Settings
from archbench.spec import Spec


def made(spec: Spec, latency_ms: float, *, status: str = "ok") -> Record:
    """A record of a network on a card, its interval 1 % to each side."""
    spread = {"n": 50, "median": latency_ms, "ci95": [0.99 * latency_ms, 1.01 * latency_ms]}
    return Record(
        spec=spec,
        settings=Settings(),
        status=Status(status),
        counted={
            "params": 1,
            "macs": 2,
            "uncounted": [],
            "mac_eq1": 3,
            "cio": 4,
            "activation_peak_bytes": 5,
        },
        reason=None if status == "ok" else Cause(Reason.OUT_OF_MEMORY),
        measured={
            "latency_ms": Metric(latency_ms, "ms", spread=spread),
            "fps": Metric(1e3 / latency_ms, "images/s"),
        },
        environment={"device": "cuda:0", "device_name": "Example card"},
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with the networks of VoVNet's Table 7, twice as fast as each other in the
    order of their claims.
    """
    folder = tmp_path / "results"
    for number, spec in enumerate(
        dict.fromkeys(spec for claim in claims_of("vovnet/table7") for spec in claim.specs)
    ):
        Store(folder).append(made(spec, 10.0 * 2**number))
    return folder


def test_claims_on_a_device(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("vovnet: 2 hold\n")
    assert "measured on Example card, fp32, contiguous" in out
    assert max(map(len, out.splitlines())) <= 80


def test_without_any_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["claims", "vovnet/table3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("vovnet: 2 hold, 2 not measured\n")
    assert "needs a CUDA device: archbench sweep vovnet/table3 (2)" in captured.out


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
    assert {row["outcome"] for row in rows} >= {
        "holds",
        "not measured",
        "not counted",
        "not testable",
    }


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results), "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)
    assert (first["ours"], first["outcome"], first["left"]) == (
        2.0,
        "holds",
        "vovnet39 + refinedet, 512x512, 80 classes",
    )


@pytest.mark.parametrize(
    ("flag", "text"), [("--markdown", "| Table 7 |"), ("--latex", "\\begin{tabular}{lrrrl}")]
)
def test_typeset(results: Path, capsys: pytest.CaptureFixture[str], flag: str, text: str) -> None:
    assert run(["claims", "vovnet/table7", "--results", str(results), flag]) == 0
    assert text in capsys.readouterr().out


def test_an_unknown_paper_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "vovnett"]) == 2
    assert capsys.readouterr().err.startswith("error: no claims from 'vovnett' (choose from ")


def test_what_explains_time(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "--explains", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert "what explains forward\nof 4 networks, batch 1" in out
    assert run(["claims", "--explains", "--results", str(results), "--device", "other"]) == 0
    assert "too few records" in capsys.readouterr().err
    assert run(["claims", "vovnet", "--explains"]) == 2


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Spec, str]]:
    """A machine with a card, whose jobs end as records without being run: what was asked for, in
    order.
    """
    asked: list[tuple[Spec, str]] = []

    def measure(job: Job, keep: Callable[..., Record], watch: Watch) -> Record:
        asked.append((job.spec, job.settings.device))
        return keep(made(job.spec, 10.0 * len(asked)), None)

    monkeypatch.setattr(
        "archbench.measure.sweep.places.places",
        lambda settings: [Place("cuda:0", "cuda", "Example card", "GPU-1")],
    )
    monkeypatch.setattr("archbench.measure.job.supervisor.measure", measure)
    return asked


def test_what_is_missing_is_measured(
    tmp_path: Path, card: list[tuple[Spec, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert (
            run(["claims", "vovnet/table7", "--run", "--results", str(tmp_path / "results")]) == 0
        )
        assert Counter(card) == {
            (spec, "cuda"): 3 for claim in claims_of("vovnet/table7") for spec in claim.specs
        }
    assert "12/12  " in capsys.readouterr().err


def test_a_quick_run_is_one_process_each(tmp_path: Path, card: list[tuple[Spec, str]]) -> None:
    assert (
        run(["claims", "vovnet/table7", "--run", "--quick", "--results", str(tmp_path / "results")])
        == 0
    )
    assert len(card) == 4


def test_a_job_that_fails_is_partly_done(
    tmp_path: Path, card: list[tuple[Spec, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(job: Job, keep: Callable[..., Record], watch: Watch) -> Record:
        return keep(made(job.spec, 10.0, status="oom"), None)

    monkeypatch.setattr("archbench.measure.job.supervisor.measure", measure)
    assert (
        run(["claims", "vovnet/table7", "--run", "--quick", "--results", str(tmp_path / "results")])
        == 3
    )


def test_what_an_engine_cannot_run_is_told_and_not_run(
    tmp_path: Path, card: list[tuple[Spec, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["claims", "dsnet/table9", "--run", "--engine", "tensorrt"]
    assert run([*words, "--results", str(tmp_path / "results")]) == 0
    assert card == []
    assert "engine tensorrt does not run training steps" in capsys.readouterr().err


def test_without_a_card_claims_on_gpus_are_not_run(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("archbench.measure.sweep.places._cards", list)
    assert run(["claims", "vovnet/table4", "--run", "--results", str(results)]) == 0
    assert (
        "device cuda: there is no CUDA device here: 6 networks left out" in capsys.readouterr().err
    )
