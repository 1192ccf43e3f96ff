"""Which count explains what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archbench.records import Record
from archbench.report.data.configurations import configurations
from archbench.report.data.explains import EXPLAINING, explanations
from archbench.report.tables.explains import COLUMNS, rows, tables
from archbench.settings import Settings

Make = Callable[..., Record]


def series(record: Make, count: int = 8, **changes: object) -> list[Record]:
    """Networks whose time follows their multiply-adds, against their parameters, and has nothing to
    do with the rest.
    """
    return [
        record(
            detector="refinedet",
            size=64 * n,
            latency_ms=10.0 * n,
            energy_j=float(n),
            counted={
                "macs": n,
                "uncounted": [],
                "params": -n,
                "mac_eq1": n * n % 7,
                "cio": n * n % 5,
                "activation_peak_bytes": 4,
            },
            **changes,
        )
        for n in range(2, 2 + count)
    ]


def test_the_count_that_orders_times_is_found(record: Make) -> None:
    time, energy = explanations(configurations(series(record)))
    assert (time.measured, energy.measured, time.n) == ("latency_ms", "energy_per_image_j", 8)
    assert time.counted["macs_all"].rho == pytest.approx(1.0)
    assert time.counted["params"].rho == pytest.approx(-1.0)
    assert time.counted["activation_peak_bytes"].rho is None
    assert time.counted["macs_all"].best == 1.0


def test_places_batches_and_modes_are_apart(record: Make) -> None:
    records = [
        *series(record),
        *series(record, gpu=False),
        *series(record, batch=4),
        *series(record, settings=Settings(precision="fp16")),
    ]
    found = [
        (one.setup, one.batch, one.n)
        for one in explanations(configurations(records))
        if one.measured == "latency_ms"
    ]
    assert sorted(found) == [
        ("Example CPU, 2 threads, fp32, contiguous", 1, 8),
        ("Example GPU, fp16, contiguous", 1, 8),
        ("Example GPU, fp32, contiguous", 1, 8),
        ("Example GPU, fp32, contiguous", 4, 8),
    ]
    assert {one.setup for one in explanations(configurations(records), device="cpu")} == {
        "Example CPU, 2 threads, fp32, contiguous"
    }


def test_energies_are_of_the_card_that_measured_most_networks(record: Make) -> None:
    """Five on one card, and later three on another whose sensor shows the opposite."""
    records = series(record)
    for place, each in enumerate(records):
        if place > 4:
            joules = replace(each.measured["energy_per_image_j"], value=1.0 / place)
            records[place] = replace(
                each,
                measured=each.measured | {"energy_per_image_j": joules},
                environment=each.environment | {"uuid": "another"},
                time_utc="2025-02-01T00:00:00+00:00",
            )
    time, energy = explanations(configurations(records))
    assert (time.n, energy.n) == (8, 5)
    assert energy.counted["macs_all"].rho == pytest.approx(1.0)


def test_repeats_are_one_network(record: Make) -> None:
    time, _ = explanations(configurations([*series(record), *series(record)]))
    assert time.n == 8


def test_flawed_times_are_left_out_unless_asked_for(record: Make) -> None:
    records = series(record, flags=("throttled",))
    assert [one.measured for one in explanations(configurations(records))] == ["energy_per_image_j"]
    assert [one.measured for one in explanations(configurations(records), with_flawed=True)] == [
        "latency_ms",
        "energy_per_image_j",
    ]


def test_too_few_networks_explain_nothing(record: Make) -> None:
    assert explanations(configurations(series(record, 2))) == []
    time, _ = explanations(configurations(series(record, 4)))
    assert time.counted["macs_all"].rho == pytest.approx(1.0)
    assert time.counted["macs_all"].interval is None


def test_tables_and_rows(record: Make) -> None:
    found = explanations(configurations(series(record)))
    assert all(list(row) == list(COLUMNS) for row in rows(found))
    assert len(rows(found)) == 2 * len(EXPLAINING)
    first, second = tables(found)
    assert first.title == "Example GPU, fp32, contiguous"
    assert first.rows[0] == ["all multiply-adds", "1.00", "1.00 - 1.00", "100 %"]
    assert first.rows[-1] == ["peak activation memory", "-", "", "0 %"]
    assert not first.notes
    assert second.notes
