"""The records as a sheet: every column, figures rounded to what is known of them, the command that
makes each.
"""

from __future__ import annotations

from collections.abc import Callable

from archbench.records import Metric, Record
from archbench.report.data.comparable import setups
from archbench.report.data.configurations import alone, configurations
from archbench.report.data.rows import COLUMNS
from archbench.report.page.sheet import COMMAND, Sheet, SheetColumn, sheet
from archbench.settings import QUICK, Settings


def of_each(*records: Record) -> Sheet:
    return sheet(alone(setups(records)))


def columns(*records: Record) -> dict[str, SheetColumn]:
    return {column.name: column for column in of_each(*records).columns}


def timed(value: float, low: float, high: float) -> dict[str, Metric]:
    return {
        "latency_ms": Metric(value, "ms", spread={"ci95": [low, high]}),
        "fps": Metric(1e3 / value, "images/s"),
    }


def test_every_stable_column_is_there_and_the_command_last(record: Callable[..., Record]) -> None:
    assert [column.name for column in of_each(record()).columns] == [*COLUMNS, COMMAND]


def test_a_figure_is_rounded_to_its_interval_and_so_are_its_ends(
    record: Callable[..., Record],
) -> None:
    found = columns(
        record(measured=timed(509.2212, 498.76, 518.07)),
        record(measured=timed(12.34567, 12.3405, 12.3499)),
    )
    assert found["latency_ms"].texts == ["509", "12.346"]
    assert found["latency_ms"].spans == [
        "95 % interval: 499 to 518",
        "95 % interval: 12.341 to 12.350",
    ]
    assert found["latency_ms_ci95_lo"].texts == ["499", "12.341"]
    assert found["fps"].texts == ["1.96", "81.000"], (
        "what is computed from a time is known as well as the time"
    )
    assert found["latency_ms"].decimals == 3


def test_without_an_interval_the_range_of_the_samples_rounds(record: Callable[..., Record]) -> None:
    few = {"latency_ms": Metric(971.4512, "ms", spread={"n": 3, "min": 950.0, "max": 1010.0})}
    assert columns(record(measured=few))["latency_ms"].texts == ["971"]


def test_without_any_spread_the_word_says_how_many_digits(record: Callable[..., Record]) -> None:
    found = columns(record())
    assert (found["params"].texts, found["params"].unit) == (["56.28"], "M")
    assert (found["mem_params_bytes"].texts, found["mem_params_bytes"].unit) == (["225.1"], "MB")
    ratio = columns(record(measured={"energy_counter_ratio": Metric(1.0234567, "")}))[
        "energy_counter_ratio"
    ]
    assert ratio.texts == ["1.023"]


def test_what_is_missing_is_a_dash_and_no_zero(failed: Record) -> None:
    found = columns(failed)["latency_ms"]
    assert (found.texts, found.values, found.is_empty) == (["-"], [None], True)


def test_repeats_are_a_row_of_the_median_of_their_medians(record: Callable[..., Record]) -> None:
    repeats = [record(latency_ms=time, day=day) for day, time in enumerate((20.0, 23.0, 21.0), 1)]
    found = {column.name: column for column in sheet(configurations(repeats)).columns}
    assert found["latency_ms"].values == [21.0]
    assert found["latency_ms"].spans == ["medians of 3 processes: 20.0 to 23.0"]
    assert found["flags"].texts == ["not_repeatable"]


def test_the_whole_time_stands_before_the_forward_time(record: Callable[..., Record]) -> None:
    measured = timed(20.0, 19.0, 22.0) | {"total_ms": Metric(25.0, "ms")}
    shown = [column.heading for column in of_each(record(measured=measured)).shown]
    assert shown.index("total time") < shown.index("forward")


def test_columns_that_are_alike_in_all_rows_are_told_once(record: Callable[..., Record]) -> None:
    larger = {"params": 100_000_000, "macs": 40_000_000_000}
    apart = of_each(record(), record("vgg16", latency_ms=30.0, counted=larger))
    assert {"latency_ms", "params", "macs"} <= {column.name for column in apart.shown}
    alike = {column.name: column.told_once for column in apart.alike}
    assert (alike["status"], alike["precision"]) == ("ok", "fp32")
    devices = [column.name for column in of_each(record(), record(gpu=False)).shown]
    assert "device" in devices
    assert "params" not in devices


def test_of_one_row_every_filled_column_is_shown(record: Callable[..., Record]) -> None:
    one = of_each(record())
    assert not one.alike
    assert {"status", "params", "latency_ms"} <= {column.name for column in one.shown}


def test_a_paper_is_quoted_as_printed(record: Callable[..., Record]) -> None:
    found = columns(record())["published_macs"]
    assert (found.heading, found.unit, found.texts) == ("paper: multiply-adds", "G", ["32.6"])


def test_an_accuracy_is_of_one_data_set_and_has_a_tenth(record: Callable[..., Record]) -> None:
    found = columns(record("snet535", "thundernet320"))["accuracy"]
    assert (found.heading, found.texts) == ("AP (coco-test-dev)", ["28.0"])


def test_no_two_columns_have_the_same_heading(record: Callable[..., Record]) -> None:
    headings = [column.heading for column in of_each(record()).columns]
    assert len(headings) == len(set(headings))


def test_the_command_has_the_settings(record: Callable[..., Record]) -> None:
    base = "archbench profile vovnet39 --detector refinedet --size 320x320 --classes 80"
    settings = Settings(precision="bf16", threads=3, cudnn_benchmark=False, images="my pictures")
    texts = columns(
        record(), record(settings=QUICK), record(settings=None), record(settings=settings)
    )[COMMAND].texts
    rest = "--precision bf16 --threads 3 --images 'my pictures' --no-cudnn-benchmark"
    assert texts == [base, f"{base} --quick", f"{base} --no-measure", f"{base} {rest}"]
