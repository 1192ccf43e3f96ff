"""`archbench choose` from outside: three tasks on the committed records, against a spreadsheet that
takes nothing from the package but `compare --csv`.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.records import Store

RESULTS = Path(__file__).parents[2] / "results"
HERE_NAMES = ("amd-epyc-2-threads", "amd-epyc-2-threads-pairs")
HERE = [word for name in HERE_NAMES for word in ("--results", str(RESULTS / name))]
Capture = pytest.CaptureFixture[str]
Row = dict[str, Any]
NETWORK = ("backbone", "detector", "input", "options", "classes")


@pytest.fixture
def spreadsheet(capsys: Capture) -> list[Row]:
    """A row a network of single images in fp32: the medians of its rows of `compare --csv`."""
    assert run(["compare", *HERE, "--csv"]) == 0
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(capsys.readouterr().out)):
        is_single = (row["batch"], row["mode"], row["precision"]) == ("1", "infer", "fp32")
        if is_single and row["status"] == "ok":
            groups.setdefault(tuple(row[name] for name in NETWORK), []).append(row)
    sheet = []
    for network, rows in groups.items():
        made: Row = dict(zip(NETWORK, network, strict=True))
        for column in ("total_ms", "mem_host_peak_bytes", "accuracy"):
            values = [float(row[column]) for row in rows if row[column]]
            made[column] = median(values) if values else None
        sheet.append(made)
    return sheet


def chosen(capsys: Capture, *arguments: str) -> Row:
    """The row of the choice, and all that `--json` gives."""
    assert run(["choose", *HERE, *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = [each for each in found["networks"] if each["standing"] == "choice"]
    return row | {"found": found}


EDGE_BOX = ["--max", "latency=100ms"]
SERVER = ["--max", "latency=700ms", "--best", "ap"]
SMALL = ["--min", "ap=30", "--best", "mem_host_peak_bytes"]


@pytest.mark.parametrize(
    ("arguments", "fits", "rank"),
    [
        (EDGE_BOX, lambda row: row["total_ms"] <= 100, lambda row: -row["accuracy"]),
        (["--min", "fps_total=10"], lambda row: row["total_ms"] <= 100, lambda r: -r["accuracy"]),
        (SERVER, lambda row: row["total_ms"] <= 700, lambda row: -row["accuracy"]),
        (SMALL, lambda row: row["accuracy"] >= 30, lambda row: row["mem_host_peak_bytes"]),
    ],
    ids=["edge box", "edge box by its rate", "server", "small"],
)
def test_three_tasks_agree_with_a_spreadsheet(
    capsys: Capture,
    spreadsheet: list[Row],
    arguments: list[str],
    fits: Callable[[Row], bool],
    rank: Callable[[Row], float],
) -> None:
    whole = [row for row in spreadsheet if row["accuracy"] and row["total_ms"]]
    within = [row for row in whole if fits(row)]
    answer = chosen(capsys, *arguments)
    best = min(within, key=rank)
    assert [answer[name] or "" for name in NETWORK[:4]] == [best[name] for name in NETWORK[:4]]
    count = sum(row["within"] != "no" for row in answer["found"]["networks"])
    assert count == len(within)


def test_the_frontier_is_that_of_the_spreadsheet(capsys: Capture, spreadsheet: list[Row]) -> None:
    whole = [row for row in spreadsheet if row["accuracy"] and row["total_ms"]]
    best = {
        (row["backbone"], row["detector"], row["input"])
        for row in whole
        if not any(
            other["total_ms"] <= row["total_ms"]
            and other["accuracy"] >= row["accuracy"]
            and other is not row
            for other in whole
        )
    }
    found = chosen(capsys, *EDGE_BOX)["found"]["networks"]
    there = {
        (row["backbone"], row["detector"], row["input"])
        for row in found
        if row["frontier"] == "yes"
    }
    assert there == best


def test_it_says_what_is_chosen_and_why_and_fits_a_terminal(capsys: Capture) -> None:
    assert run(["choose", *HERE, *SMALL]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "Choice: csp-resnext50 + panet-spp320, peak host memory 633 MB: the best of 20" in text
    assert "indistinguishable from hardnet68 + ssd512 (647 MB); densenet201" in text
    assert "Margin: 0.94 times that of resnet50-v1 + refinedet320 (671 MB)." in text


def test_flagged_figures_are_no_win(capsys: Capture) -> None:
    choice = chosen(capsys, *EDGE_BOX)["found"]["choice"]
    assert choice["is_win"] is False
    assert choice["flags"] == ["ci_not_met"]
    assert any("Not a clear win" in sentence for sentence in choice["reason"])


def test_what_could_still_win_has_its_prediction_and_its_command(
    capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "network,dataset,value\nvovnet27-slim+refinedet320,apples,50\nvovnet39+refinedet320,apples,40\n"
    )
    arguments = ["--accuracy", str(file), "--max", "latency=700ms"]
    found = chosen(capsys, *arguments)["found"]
    assert found["dataset"] == "apples"
    (other,) = found["unmeasured"]
    assert other["network"] == "vovnet27-slim + refinedet320"
    assert run(["choose", *HERE, *arguments]) == 0
    assert f"\n{other['command']}\n" in capsys.readouterr().out


def test_a_rate_leaves_as_much_to_win_as_its_time(capsys: Capture) -> None:
    by_time, by_rate = (
        chosen(capsys, *arguments)["found"] for arguments in (EDGE_BOX, ["--min", "fps_total=10"])
    )
    assert by_time["unmeasured"] == by_rate["unmeasured"]
    assert by_time["ruled_out"] == by_rate["ruled_out"]


def test_csv_has_every_candidate_with_its_ranges(capsys: Capture) -> None:
    assert run(["choose", *HERE, *EDGE_BOX, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["within"] for row in rows} == {"yes", "perhaps", "no"}
    for row in rows:
        low, value, high = (float(row[f"total_ms{end}"]) for end in ("_lo", "", "_hi"))
        assert low < value < high
        assert row["total_ms_flags"]


def test_what_lacks_an_accuracy_may_be_given_one(capsys: Capture, tmp_path: Path) -> None:
    (record,) = Store(RESULTS / HERE_NAMES[0]).read()[:1]
    unpublished = replace(record, spec=replace(record.spec, width=128, height=128))
    Store(tmp_path).append(unpublished)
    assert run(["choose", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("; --accuracy FILE.csv gives accuracies of yours\n")


def test_a_folder_without_records_is_one_line(capsys: Capture, tmp_path: Path) -> None:
    assert run(["choose", "--results", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"no records in {tmp_path}; to create one: ")
    assert (captured.out, captured.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--max", "latency=50MB"], 2, "error: invalid unit 'MB' of total_ms (a number"),
        (["--max", "latency"], 2, "error: invalid --max latency (COLUMN=VALUE"),
        (["--min", "batch=1"], 2, "error: invalid --min batch (a figure"),
        (["--best", "device"], 2, "error: invalid --best device (a figure"),
        (["--best", "speed"], 2, "error: unknown column 'speed'"),
        (["--max", "latency=-5ms"], 2, "error: invalid limit '-5ms' of total_ms (0 or more)"),
        (["--dataset", "imagenet"], 2, "error: unknown data set 'imagenet'"),
        (["--precision", "fp8"], 2, "error: invalid precision 'fp8' (choose from fp32"),
        (["--engine", "eagre"], 2, "error: invalid engine 'eagre' (did you mean eager?)"),
        (["--device", "H100"], 2, "none of the 187 records is at batch 1 on a device called"),
        (["--max", "energy=1J"], 2, "none of 128 networks measured on AMD EPYC, 2 threads, fp32"),
    ],
)
def test_what_cannot_be_is_one_line(
    capsys: Capture, arguments: list[str], code: int, expected: str
) -> None:
    assert run(["choose", *HERE, *arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(expected)
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_the_short_words_of_columns_are_suggested_too(capsys: Capture) -> None:
    assert run(["choose", *HERE, "--max", "latncy=50ms"]) == 2
    assert "'latncy'; did you mean latency_ms or latency?" in capsys.readouterr().err


def test_nothing_within_the_budget_fails(capsys: Capture) -> None:
    assert run(["choose", *HERE, "--max", "latency=1us"]) == 1
    assert "No measured network is within the budget" in capsys.readouterr().out


def test_it_loads_no_torch() -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"run(['choose', *{HERE!r}, '--csv']); "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
