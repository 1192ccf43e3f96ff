"""Texts that would act on a terminal, break a document or be taken for a formula, in a record, a
file's name or an argument: every view shows them as text.
"""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unicodedata import category

import pytest

from archbench.cli.main import run
from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.settings import Settings, same_job
from archbench.spec import Spec

HOSTILE = "=1+1\x1b[31m\x00\x07\r\n\x7f\x9b\u202e|<img src=x>&amp;\\|"
SHOWN = r"=1+1\x1b[31m\x00\x07\r\n\x7f\x9b\u202e"
EXTRACTS = ("latency_ms", "params")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a hostile record beside a usual one."""
    folder = tmp_path / "results"
    specs = [
        Spec(HOSTILE, HOSTILE, 320, 320, 20, options=((HOSTILE, HOSTILE),)),
        Spec("vovnet39", None, 224, 224, 1000),
    ]
    for spec in specs:
        record = Record(
            spec,
            Settings(images=HOSTILE),
            Status.OK,
            Cause(Reason(HOSTILE), HOSTILE, HOSTILE),
            {"params": 10, "macs": 20},
            {"latency_ms": Metric(20.0, HOSTILE, HOSTILE, HOSTILE, flags=(Flag(HOSTILE),))},
            {"device": HOSTILE, "device_name": HOSTILE, HOSTILE: HOSTILE},
            {"inputs": HOSTILE},
        )
        Store(folder).append(record)
    return folder


def hidden(text: str) -> set[str]:
    return {char for char in text if char != "\n" and category(char) in ("Cc", "Cf", "Cs")}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--markdown"],
        ["--latex"],
        ["--csv"],
        ["--json"],
        ["--columns", "message,device,options,flags,latency_ms"],
        ["--baseline", "vovnet39", "--force"],
    ],
    ids=lambda options: options[0] if options else "plain",
)
def test_compare_shows_it_as_text(
    results: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(results), *options]) == 0
    captured = capsys.readouterr()
    assert not hidden(captured.out + captured.err)
    assert "\\x1b[31m" in captured.out or options[:1] in (["--json"], ["--latex"])


def test_a_newline_in_a_name_breaks_no_table(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(results), "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len({line.replace(r"\\\|", "").replace(r"\|", "").count("|") for line in rows}) == 1
    assert not any("<img" in line or "&amp;" in line.replace("&amp;amp;", "") for line in lines)


def test_texts_of_csv_are_no_formulas_and_its_numbers_are_numbers(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(results), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    row = next(row for row in rows if row["params"] == "10" and row["backbone"] != "vovnet39")
    assert row["backbone"].startswith("'=1+1\\x1b[31m")
    assert not [name for name, text in row.items() if text[:1] in ("=", "+", "@", "-")]
    assert float(row["latency_ms"]) == 20.0


def test_a_table_of_a_paper_does_not_fail(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["reproduce", "vovnet/table4", "--results", str(results)]) == 0
    captured = capsys.readouterr()
    assert not hidden(captured.out + captured.err)


def test_a_figure_has_it_as_text(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures\x1b[31m"
    options = [
        "--x",
        "macs",
        "--y",
        "latency_ms",
        "--group",
        "device",
        "--data",
        "--style",
        "paper",
    ]
    assert run(["plot", "trade-off", "--results", str(results), "--out", str(out), *options]) == 0
    captured = capsys.readouterr()
    assert not hidden(captured.out + captured.err)
    assert {path.suffix for path in out.iterdir()} == {".png", ".svg", ".csv", ".txt"}
    (drawn,) = out.glob("*.svg")
    ElementTree.parse(drawn)
    for path in out.glob("*.[sct]??"):
        assert not hidden(path.read_text(encoding="utf-8"))
    rows = list(csv.DictReader(drawn.with_suffix(".csv").open(encoding="utf-8", newline="")))
    assert all(row["label"].startswith(("'=1+1", "vovnet39")) for row in rows)
    caption = drawn.with_suffix(".txt").read_text(encoding="utf-8")
    assert caption.count("\n") == 1
    assert SHOWN in caption


def test_a_page_has_it_as_text(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert run(["report", "--results", str(results), "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    ours = text.partition('<script type="application/json"')[0]
    assert not hidden(ours)
    assert SHOWN in ours
    assert "<img" not in ours


def test_an_argument_is_shown_as_text_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "\x1b[31m" + "x" * 5000, "--no-measure"]) == 2
    message = capsys.readouterr().err
    assert not hidden(message)
    assert message.count("\n") == 1
    assert len(message) < 1100


def test_a_warning_of_a_file_shows_its_name_as_text(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "\x1b[31m.jsonl").write_text("torn", encoding="utf-8")
    assert run(["compare", "--results", str(results)]) == 0
    captured = capsys.readouterr()
    assert not hidden(captured.err)
    assert r"\x1b[31m.jsonl:1: skipped" in captured.err


def test_a_name_that_is_not_utf8_is_written_escaped_and_resumed(tmp_path: Path) -> None:
    settings = Settings(images="pictures/caf\udce9")
    record = Record(Spec("vovnet39", None, 224, 224, 1000), settings, Status.OK)
    Store(tmp_path).append(record)
    (stored,) = Store(tmp_path).read()
    assert stored.settings is not None
    assert stored.settings.images == r"pictures/caf\xe9"
    assert same_job(stored.settings, settings)
    assert run(["compare", "--results", str(tmp_path)]) == 0
