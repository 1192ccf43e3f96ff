"""What can be told apart, what is on a frontier, and whose range is widened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archbench.records import Metric, Record
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.configurations import Estimate, configurations
from archbench.report.data.frontier import frontier
from archbench.report.data.ties import Ranges, differ, exact, is_more_better

Make = Callable[..., Record]


def measured(value: float, *interval: float) -> Estimate:
    return Estimate(value, (interval[0], interval[1]) if interval else None, 1)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (measured(10, 9, 11), measured(12, 11.5, 13), True),
        (measured(10, 9, 12), measured(12, 11.5, 13), False),  # the ranges overlap
        (measured(10, 9.9, 10.1), measured(10.25, 10.2, 10.3), False),  # by 2.4 % alone
        (measured(10), measured(20), False),  # no range, no verdict
        (exact(33.5), exact(33.6), True),
        (exact(33.5), exact(33.5), False),
        (exact(0), exact(1), True),
    ],
)
def test_the_rule_of_the_baseline(left: Estimate, right: Estimate, expected: bool) -> None:
    assert differ(left, right) is differ(right, left) is expected


def test_more_or_less_is_better() -> None:
    assert all(map(is_more_better, ("accuracy", "fps_total", "gmacs_per_s", "engine_matched")))
    assert not any(map(is_more_better, ("total_ms", "params", "energy_per_image_j", "cio")))


def test_a_frontier_is_of_those_that_none_is_better_than() -> None:
    networks = [
        {"total_ms": measured(10, 9.9, 10.1), "accuracy": exact(20)},
        {"total_ms": measured(30, 29, 31), "accuracy": exact(30)},
        {"total_ms": measured(40, 39, 41), "accuracy": exact(30)},  # slower, no better
        {"total_ms": measured(30.5, 29, 32), "accuracy": exact(30)},  # not told from the second
        {"total_ms": measured(50, 49, 51), "accuracy": exact(29)},
        {"total_ms": measured(60, 59, 61), "accuracy": None},
        {"total_ms": measured(70, 69, 71), "accuracy": exact(31)},
    ]
    found = frontier(networks, ("total_ms", "accuracy"))
    assert found == [True, True, False, True, False, False, True]


def test_a_flagged_figure_has_at_least_the_range_of_repeats(record: Make) -> None:
    repeats = [record(latency_ms=time, day=day) for day, time in enumerate((19.0, 20.0, 21.0), 1)]
    flagged = record("resnet50-v1", latency_ms=20.0, flags=("ci_not_met",))
    sound = record("densenet201", latency_ms=20.0)
    made = configurations([*repeats, flagged, sound])
    ranges = Ranges(made)
    assert ranges.spread("latency_ms") == pytest.approx(0.1)
    intervals = [ranges.figure(each, "latency_ms") for each in made]
    assert [each.interval for each in intervals if each] == [
        (19.0, 21.0),
        (20.0 / 1.1, 22.0),
        (19.0, 22.0),
    ]


def test_a_figure_without_a_range_has_that_of_repeats(record: Make) -> None:
    (one,) = configurations([record()])
    memory = Ranges([one]).figure(one, "mem_device_delta_bytes")
    assert memory
    assert memory.interval == (pytest.approx(2e9 / 1.03), pytest.approx(2e9 * 1.03))


def test_energy_is_set_against_that_of_the_same_card_alone(record: Make) -> None:
    old, new = configurations(
        record(name, energy_j=2.0, day=day, environment={"device_name": "GPU", "uuid": uuid})
        for name, day, uuid in (("vovnet39", 1, "GPU-1"), ("resnet50-v1", 2, "GPU-2"))
    )
    ranges = Ranges([old, new])
    assert ranges.figure(old, "energy_per_image_j") is None
    assert ranges.figure(new, "energy_per_image_j")
    assert ranges.figure(old, "latency_ms")


def test_the_range_of_a_figure_below_0_is_widened_to_both_sides(record: Make) -> None:
    made = record(measured={"energy_net_per_image_j": Metric(-1.0, "J")})
    figure = Ranges(configurations([made])).figure(
        *configurations([made]), "energy_net_per_image_j"
    )
    assert figure
    assert figure.interval == (pytest.approx(-1.03), pytest.approx(-1 / 1.03))


def test_two_figures_differ_whichever_is_named_first() -> None:
    one, other = Estimate(100.0, (99.99, 100.01), 1), Estimate(103.05, (103.04, 103.06), 1)
    assert differ(one, other)
    assert differ(other, one)


def test_a_percentile_has_the_flags_of_its_time(record: Make) -> None:
    spread = {"median": 20.0, "p99": 30.0}
    made = record()
    metric = Metric(20.0, "ms", flags=made.metrics["latency_ms"].flags, spread=spread)
    (one,) = configurations([record(measured={"latency_ms": metric})])
    found = Ranges([one]).figure(one, "latency_ms_p99")
    assert found
    assert (found.value, found.flags) == (30.0, ())
    assert Ranges([one]).figure(one, "latency_ms_p95") is None


def test_accuracies_are_of_one_data_set(record: Make) -> None:
    (one,) = configurations([record()])
    assert Ranges([one]).figure(one, "accuracy") == exact(33.5)
    assert Ranges([one], Accuracies("voc2007-test")).figure(one, "accuracy") is None
