"""Repeats put together: one figure, its range, what flags it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archbench.records import Metric, Record
from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.data.configurations import (
    Estimate,
    configurations,
    measured_setups,
    of_one_card,
)

Make = Callable[..., Record]


def test_repeats_are_one_configuration_with_their_median_and_range(record: Make) -> None:
    (one,) = configurations(
        [record(latency_ms=time, day=day) for day, time in enumerate([20.2, 20.0, 20.1], start=1)]
    )
    assert one.estimate("latency_ms") == Estimate(20.1, (20.0, 20.2), 3)
    fps = one.estimate("fps")
    assert fps is not None
    assert (fps.value, fps.interval) == (
        pytest.approx(1e3 / 20.1),
        pytest.approx((1e3 / 20.2, 1e3 / 20.0)),
    )


def test_of_two_repeats_speed_is_that_of_the_median_time(record: Make) -> None:
    (one,) = configurations([record(latency_ms=10.0), record(latency_ms=20.0)])
    time, speed = one.estimate("latency_ms"), one.estimate("fps")
    assert time is not None
    assert speed is not None
    assert speed.value == pytest.approx(1e3 / time.value)


def test_repeats_that_lie_too_far_apart_are_flagged(record: Make) -> None:
    near, far = (
        configurations([record(latency_ms=20.0), record(latency_ms=time)])[0].estimate("latency_ms")
        for time in (20.5, 21.0)
    )
    assert near is not None
    assert far is not None
    assert (near.flags, far.flags) == ((), ("not_repeatable",))


def test_one_process_has_the_interval_of_its_median(record: Make) -> None:
    (one,) = configurations([record()])
    assert one.estimate("latency_ms") == Estimate(20.0, (19.0, 22.0), 1)
    assert one.estimate("mem_device_delta_bytes") == Estimate(2e9, None, 1)
    fps = one.estimate("fps")
    assert fps is not None
    assert fps.interval == pytest.approx((1e3 / 22, 1e3 / 19))


def test_a_count_is_exact(record: Make) -> None:
    (one,) = configurations([record()])
    figure = one.estimate("params")
    assert figure == Estimate(56283844, (56283844, 56283844))
    assert figure.is_counted


def test_a_flawed_record_gives_way_to_others(record: Make) -> None:
    (one,) = configurations(
        [record(latency_ms=20.0), record(latency_ms=90.0, flags=("cpu_contended",))]
    )
    assert one.estimate("latency_ms") == Estimate(20.0, (19.0, 22.0), 1)
    (alone,) = configurations([record(latency_ms=90.0, flags=("cpu_contended",))])
    figure = alone.estimate("fps")
    assert figure is not None
    assert figure.flaws == ["cpu_contended"]


def test_what_differs_stays_apart(record: Make, failed: Record) -> None:
    made = configurations(
        [
            record(),
            record(batch=8),
            record(gpu=False),
            record("resnet50-v1"),
            replace(failed, spec=record().spec),
        ]
    )
    assert len(made) == 5
    assert [one.status for one in made] == ["ok", "ok", "ok", "oom", "ok"]


@pytest.mark.parametrize("of", ["archbench", "network_hash"])
def test_only_the_newest_version_s_records_count(record: Make, of: str) -> None:
    old, new = (
        record(
            latency_ms=time,
            day=day,
            environment={"device": "cuda:0", "device_name": "Example GPU", of: version},
        )
        for time, day, version in ((40.0, 1, "0.1.0"), (20.0, 2, "0.2.0"))
    )
    (one,) = configurations([new, old])
    assert one.records == (new,)


@pytest.mark.parametrize(
    "machines",
    [
        [{"device": "cuda:0", "uuid": "GPU-1"}, {"device": "cuda:0", "uuid": "GPU-2"}],
        [{"device": "cpu", "host": "one"}, {"device": "cpu", "host": "two"}],
    ],
)
def test_energy_is_of_the_newest_record_s_card_or_machine(
    record: Make, machines: list[dict[str, str]]
) -> None:
    cards = [
        record(energy_j=joules, day=day, environment={"device_name": "Example", **machine})
        for joules, day, machine in zip((2.0, 3.0), (1, 2), machines, strict=True)
    ]
    (one,) = configurations(cards)
    energy, time = one.estimate("energy_per_image_j"), one.estimate("latency_ms")
    assert energy is not None
    assert time is not None
    assert (energy.value, energy.processes, time.processes) == (3.0, 1, 2)


def test_energy_is_compared_on_the_card_that_has_most_of_it(record: Make) -> None:
    made = configurations(
        record(name, energy_j=joules, day=day, environment={"uuid": uuid, "device_name": "GPU"})
        for name, joules, day, uuid in (
            ("vovnet39", 2.0, 1, "GPU-1"),
            ("vovnet57", 3.0, 2, "GPU-2"),
            ("resnet50-v1", 4.0, 3, "GPU-2"),
            ("densenet201", None, 4, "GPU-1"),
        )
    )
    assert of_one_card(made, "energy_per_image_j") == made[1:3]
    assert of_one_card(made[:2], "energy_per_image_j") == made[1:2], "as many: the newest"
    assert of_one_card(made, "latency_ms") == made


def test_a_missing_figure_says_why(record: Make, failed: Record) -> None:
    one, other = configurations([record(), failed])
    assert (one.estimate("energy_per_image_j"), one.reason("energy_per_image_j")) == (
        None,
        "cpu_device",
    )
    assert other.reason("latency_ms") == "out_of_memory"
    assert one.reason("total_ms") == "not_asked_for"


def test_the_place_with_most_networks_comes_first(record: Make) -> None:
    made = configurations(
        [record(gpu=False), record(), record("resnet50-v1"), record(settings=None)]
    )
    found = measured_setups(made)
    assert list(found) == [
        "Example GPU, fp32, contiguous",
        "Example CPU, 2 threads, fp32, contiguous",
    ]
    assert COUNTED_ONLY not in found


def test_an_interval_of_a_time_that_reaches_0_bounds_no_rate(record: Make) -> None:
    made = record()
    time = replace(made.measured["latency_ms"], spread={"ci95": [0.0, 22.0]})
    (one,) = configurations([replace(made, measured=made.measured | {"latency_ms": time})])
    assert one.estimate("fps") == Estimate(50.0, None, 1)


def test_a_median_of_zero_is_no_division(record: Make) -> None:
    made = record()
    zero, some = (
        replace(made, measured={"latency_ms": Metric(value, "ms")}) for value in (0.0, 0.0)
    )
    (one,) = configurations([zero, some])
    assert one.estimate("latency_ms") == Estimate(0.0, (0.0, 0.0), 2)
