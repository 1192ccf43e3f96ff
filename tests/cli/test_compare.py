"""`archbench compare` from outside: output, exit codes, broken and missing folders."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.records import Metric, Record, Store
from archbench.report.compare import COLUMNS
from archbench.spec import Settings
from archbench.zoo import registry


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one measured record."""
    folder = tmp_path / "results"
    record = Record(
        spec=registry.resolve("vovnet39", "refinedet320"),
        settings=Settings(),
        status="ok",
        counted={"params": 56283844, "macs": 32626201600, "paper_flops": 32655481600, "mac_eq1": 122084061},
        measured={"latency_ms": Metric(20.0, "ms"), "fps": Metric(50.0, "images/s")},
        environment={"device": "cuda:0", "device_name": "Example GPU"},
    )
    Store(folder).append(record)
    return folder


def test_the_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Example GPU, fp32, contiguous"
    assert "vovnet39 + refinedet320   56.28     32.626   32.655   122.08    20.00  50.00" in lines
    assert max(map(len, lines)) <= 80


def test_an_approximate_network_says_so(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for backbone in ("csp-peleenet", "csp-peleenet-g25"):
        Store(results).append(Record(spec=registry.resolve(backbone), settings=None, status="ok", counted={"params": 1}))
    assert run(["compare", "--results", str(results)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "csp-peleenet is approximate: fitted to CSPNet's Table 1" in out
    assert "csp-peleenet-g25 is approximate:" in out


def test_csv(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["params"], row["fps"], row["published_fps"], row["energy_per_image_j"]) == ("56283844", "50.0", "25.0", "")


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row.keys() == {*COLUMNS, "missing", "published"}
    assert row["energy_per_image_j"] is None


def test_markdown(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--markdown"]) == 0
    assert "| vovnet39 + refinedet320 | 56.28 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "expected"), [([], ""), (["--csv"], ",".join(COLUMNS) + "\n"), (["--json"], "[]\n"), (["--markdown"], "")]
)  # fmt: skip
def test_no_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *flags]) == 0
    captured = capsys.readouterr()
    assert captured.out == expected
    assert captured.err == "no records in results; a command that makes one: archbench profile vovnet39 --detector refinedet320\n"


def test_a_folder_that_was_named_and_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: there is no results folder")


def test_one_format_at_a_time(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--csv", "--json"]) == 2
    assert capsys.readouterr().err == "error: --csv, --json and --markdown exclude one another: give one of them\n"


def test_a_torn_line_is_told_of_and_skipped(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = results.glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"schema_version": 1, "spec')
    assert run(["compare", "--results", str(results), "--csv"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 2
    assert f"{path}:2: skipped" in captured.err


def test_no_torch_pandas_or_matplotlib_is_loaded(results: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"run(['compare', '--results', {str(results)!r}, '--csv']); "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "\x1b" not in done.stdout
