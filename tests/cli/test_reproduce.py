"""`archbench reproduce` from outside."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.report.tables.reproduce import COLUMNS
from archbench.settings import Settings
from archbench.zoo import catalogue


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one row of VoVNet's Table 4."""
    folder = tmp_path / "results"
    record = Record(
        spec=catalogue.resolve("vovnet39", "refinedet320").spec,
        settings=Settings(),
        status=Status.OK,
        counted={"params": 56283844, "macs": 32626201600, "paper_flops": 32655481600},
        measured={"latency_ms": Metric(20.0, "ms"), "fps": Metric(50.0, "images/s")},
        environment={"device": "cuda:0", "device_name": "Example GPU"},
    )
    Store(folder).append(record)
    return folder


def test_a_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reproduce", "vovnet/table4", "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vovnet/table4: backbones under RefineDet320, COCO"
    at = lines.index("VoVNet-39")
    assert [line.split()[:4] for line in lines[at + 1 : at + 4]] == [
        ["paper", "32.6", "25", "56.28"],
        ["ours", "32.66", "50.0", "56.284"],
        ["ours", "/", "paper", "1.002"],
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", ["VoVNet Table 4", "vovnet/table-4"])
def test_a_name_in_another_spelling(results: Path, name: str) -> None:
    assert run(["reproduce", name, "--results", str(results)]) == 0


def test_csv_and_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reproduce", "vovnet/table4", "--results", str(results), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 60
    assert run(["reproduce", "vovnet/table4", "--results", str(results), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [
        row["ours"] for row in found if row["label"] == "VoVNet-39" and row["metric"] == "fps"
    ] == [50.0]


@pytest.mark.parametrize(
    ("flag", "text"), [("--markdown", "| VoVNet-39 |"), ("--latex", "VoVNet-39 &")]
)
def test_typeset(results: Path, capsys: pytest.CaptureFixture[str], flag: str, text: str) -> None:
    assert run(["reproduce", "vovnet/table4", "--results", str(results), flag]) == 0
    assert text in capsys.readouterr().out


def test_counting_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["reproduce", "vovnet/section3.2", "--count"]) == 0
    assert "3.68" in capsys.readouterr().out


def test_the_list_of_tables(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reproduce", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert "vovnet/table4      backbones under RefineDet320, COCO" in out
    assert "6/6       1/6\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert run(["reproduce", "--results", str(results), "--csv"]) == 0
    assert capsys.readouterr().out.startswith("name,title,rows,built,networks,measured\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vovnet/tabel4", "did you mean vovnet/table4"),
        ("huang/grid", "has no published figures to compare with"),
    ],
)
def test_bad_names_are_one_line(
    results: Path, capsys: pytest.CaptureFixture[str], name: str, expected: str
) -> None:
    assert run(["reproduce", name, "--results", str(results)]) == 2
    assert expected in capsys.readouterr().err


def test_no_torch_without_count(results: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"run(['reproduce', 'vovnet/table4', '--results', {str(results)!r}]); "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
