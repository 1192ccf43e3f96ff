"""Conditions and bounds as text: what they mean, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archbench.records import Record
from archbench.report.data.conditions import bound, conditions, meeting
from archbench.report.data.rows import COLUMNS
from archbench.report.data.units import value_in
from archbench.spec import UsageError

Make = Callable[..., Record]
EMPTY: dict[str, Any] = dict.fromkeys(COLUMNS)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("total_ms", "50ms", 50.0),
        ("total_ms", "50", 50.0),
        ("total_ms", " 0.05 s ", 50.0),
        ("total_ms", "250us", 0.25),
        ("energy_per_image_j", "1J", 1.0),
        ("energy_per_image_j", "300mJ", 0.3),
        ("mem_host_peak_bytes", "500MB", 500e6),
        ("mem_host_peak_bytes", "1MiB", 2.0**20),
        ("mem_host_peak_bytes", "2GiB", 2.0**31),
        ("mem_host_peak_bytes", "1e9", 1e9),
        ("mem_host_peak_bytes", "1e3kB", 1e6),
        ("params", "5M", 5e6),
        ("macs", "2G", 2e9),
        ("fps_total", "10fps", 10.0),
        ("power_mean_w", "2W", 2.0),
        ("accuracy", "30%", 30.0),
        ("engine_matched", "99%", 0.99),
        ("engine_prepare_s", "500ms", 0.5),
        ("total_ms", "50 ms", 50.0),
        ("mem_host_peak_bytes", "5mb", 5e6),
    ],
)
def test_values_have_the_units_that_people_write(column: str, text: str, value: float) -> None:
    assert value_in(column, text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("total_ms", "50MB", "invalid unit 'MB' of total_ms (a number, or one with a unit: us"),
        ("mem_host_peak_bytes", "5ms", "invalid unit 'ms' of mem_host_peak_bytes"),
        ("total_ms", "fast", "invalid total_ms 'fast'"),
        ("total_ms", "nan", "invalid total_ms 'nan'"),
        ("total_ms", "1e999", "a finite number"),
        ("batch", "8x", "invalid unit 'x' of batch"),
        ("energy_per_image_j", "1MJ", "'MJ'"),
        ("power_mean_w", "1MW", "'MW'"),
        ("classes", "8ms", "invalid unit 'ms' of classes"),
    ],
)
def test_another_dimension_is_an_error(column: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        value_in(column, text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("latency<=50ms", True),
        ("latency<50", False),
        ("total_ms>=0.05s", True),
        ("total_ms>50", False),
        ("total_ms!=50", False),
        ("total_ms=50", True),
        ("detector=SSD", True),
        ("detector!=ssd", False),
        ("detector != ssd and total_ms < 60", False),
        ("detector = ssd and total_ms < 60 and batch = 1", True),
        ("device=Fish and Chips", True),
        ("device=fish and chips and batch=2", False),
        ("energy<1J", False),
        ("energy!=1J", True),
        ("energy=", True),
        ("energy!=", False),
        ("detector==ssd", True),
        ("detector='ssd'", True),
        ('detector != "ssd"', False),
        ("device='fish and chips' and batch=2", False),
        ("device='fish and chips' and batch=1", True),
        ("device='fish and batch=2' and batch=1", False),
        ("batch=", False),
        ("batch!=", True),
    ],
)
def test_a_row_meets_conditions(text: str, holds: bool) -> None:
    row = EMPTY | {"total_ms": 50.0, "detector": "ssd", "batch": 1, "device": "Fish and Chips"}
    assert all(condition.holds(row) for condition in conditions(text)) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch", "COLUMN=VALUE"),
        ("batch and mode", "COLUMN=VALUE"),
        ("batch<", "< takes a number"),
        ("mode<infer", "mode is text"),
        ("__import__('os')=1", "unknown column"),
        ("total_ms<1+1", "invalid total_ms '1+1'"),
        ("device='fish and batch=2", "' is not closed"),
        ("detector='", "' is not closed"),
        ("batch=1 and sped=2", "unknown column 'sped'"),
    ],
)
def test_what_is_no_condition(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        conditions(text)
    assert message in str(raised.value)


def test_a_bound_is_inclusive_and_of_a_number() -> None:
    assert bound("latency=50ms", "<=", "--max").holds(EMPTY | {"total_ms": 50.0})
    assert not bound("ap=30", ">=", "--min").holds(EMPTY | {"accuracy": 29.9})
    for text in ("latency", "latency=", "device=3", "speed=1", "latency=-5ms", "latency=NaN"):
        with pytest.raises(UsageError):
            bound(text, "<=", "--max")


def test_what_is_left_above_something_else_may_be_below_0() -> None:
    assert bound("energy_net_per_image_j=-1mJ", "<=", "--max").value == -1e-3


def test_a_condition_says_itself() -> None:
    assert str(bound("latency=0.05s", "<=", "--max")) == "total_ms <= 50 ms"


def test_repeats_are_taken_or_left_together(record: Make) -> None:
    repeats = [record(latency_ms=time, day=day) for day, time in enumerate((19.0, 20.0, 24.0), 1)]
    other = record("resnet50-v1", latency_ms=23.0)
    records = [*repeats, other]
    assert meeting(records, conditions("forward<=22ms")) == repeats, "their middle one is 20 ms"
    assert meeting(records, conditions("forward>22ms")) == [other]
    assert meeting(records, conditions("latency_ms=24")) == [repeats[2]]
