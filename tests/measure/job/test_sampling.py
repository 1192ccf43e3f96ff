"""The adaptive rule on seeded streams: intervals, when it stops, what it reports."""

from __future__ import annotations

import random
import statistics

import pytest

from archbench.measure.job.sampling import (
    autocorrelation,
    collect,
    converged,
    median_interval,
    spread,
)
from archbench.settings import Settings


def stream(seed: int, *, correlation: float = 0.0, sd: float = 0.02):
    """A positive noise stream around 1 with a given lag-1 correlation."""
    generator = random.Random(seed)
    noise = 0.0
    while True:
        noise = correlation * noise + (1 - correlation**2) ** 0.5 * generator.gauss(0, sd)
        yield 1 + noise


class Clock:
    """A clock that a fake sample moves on by its own duration."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(values, settings: Settings, *, interrupted_after: int | None = None, least: int = 1):
    clock = Clock()
    taken = 0

    def sample() -> dict[str, float]:
        nonlocal taken
        taken += 1
        seconds = next(values)
        clock.now += seconds
        return {"latency_ms": seconds}

    def interrupted() -> bool:
        return interrupted_after is not None and taken >= interrupted_after

    return collect(
        sample,
        settings,
        judged=["latency_ms"],
        interrupted=interrupted,
        on_progress=lambda *_: None,
        least=least,
        clock=clock,
    )


@pytest.mark.parametrize(("n", "low", "high"), [(20, 5, 16), (50, 18, 33), (100, 40, 61)])
def test_ranks_of_the_interval_for_independent_samples(n, low, high):
    samples = list(range(1, n + 1))
    random.Random(5).shuffle(samples)
    if autocorrelation(samples):
        samples = _decorrelated(samples)
    assert median_interval(samples) == (low, high)


def _decorrelated(samples: list[int]) -> list[int]:
    """Alternate small and large values: the lag-1 correlation is then negative and clipped to 0."""
    ordered = sorted(samples)
    half = len(ordered) // 2
    return [value for pair in zip(ordered[:half], ordered[half:], strict=True) for value in pair]


def test_no_interval_below_eight_samples():
    assert median_interval([1.0] * 7) is None
    assert median_interval([1.0] * 8) == (1.0, 1.0)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_interval_covers_the_true_median(correlation):
    settings = Settings(t_min_s=0.001, budget_s=1e9, n_max=2000)
    covered = 0
    for seed in range(400):
        samples = run(stream(seed, correlation=correlation), settings).columns["latency_ms"]
        interval = median_interval(samples)
        covered += interval is not None and interval[0] <= 1 <= interval[1]
    assert covered / 400 >= 0.90


def test_it_stops_when_the_median_is_known_well_enough():
    collected = run(stream(1), Settings(t_min_s=0.001, budget_s=1e9))
    assert collected.stop_reason == "converged"
    assert converged(collected.columns["latency_ms"], 0.01)
    assert len(collected.started) == len(collected.columns["latency_ms"]) >= 50


def test_drift_does_not_converge():
    drifting = (1 + 0.001 * i for i in range(10_000))
    assert run(drifting, Settings(t_min_s=0.001, budget_s=1e9, n_max=300)).stop_reason == "n_max"


def test_the_budget_ends_it_and_is_tested_after_every_sample():
    collected = run(stream(2), Settings(budget_s=5.5, t_min_s=0.001))
    assert (collected.stop_reason, len(collected.started)) == ("budget", 6)


def test_the_budget_waits_for_the_fewest_samples_that_are_asked_for():
    collected = run(stream(2), Settings(budget_s=3, t_min_s=0.001), least=8)
    assert (collected.stop_reason, len(collected.started)) == ("budget", 8)


def test_samples_that_are_known_well_enough_at_the_end_have_converged() -> None:
    """A past bug: the last were not asked, as their number had not grown by a quarter."""
    at_70 = run(stream(1, sd=0.001), Settings(t_min_s=69.5, budget_s=70.0))
    assert at_70.stop_reason == "converged"
    assert len(at_70.started) in (70, 71)
    too_few = run(stream(1, sd=0.001), Settings(t_min_s=0.001, budget_s=30.0))
    assert too_few.stop_reason == "budget"


def test_an_interruption_ends_it():
    collected = run(stream(3), Settings(), interrupted_after=4)
    assert (collected.stop_reason, len(collected.started)) == ("interrupted", 4)


def test_it_is_reproducible():
    first, second = (
        run(stream(9, correlation=0.5), Settings(t_min_s=0.001, budget_s=1e9)) for _ in range(2)
    )
    assert first == second


def test_spread_describes_and_removes_nothing():
    samples = [1.0 + 0.001 * (i % 7) for i in range(60)] + [9.0]
    described = spread(samples)
    assert (described["n"], described["max"], described["outliers"]) == (61, 9.0, 1)
    assert described["median"] == statistics.median(samples)
    assert described["mean"] == pytest.approx(statistics.fmean(samples))


@pytest.mark.parametrize(
    ("n", "known"), [(28, []), (29, ["p90"]), (59, ["p90", "p95"]), (299, ["p90", "p95", "p99"])]
)
def test_percentiles_are_null_below_their_floors(n, known):
    described = spread([float(i) for i in range(n)])
    assert [name for name in ("p90", "p95", "p99") if described[name] is not None] == known


@pytest.mark.parametrize(
    ("n", "ranks"),
    [(29, {"p90": 27}), (60, {"p90": 54, "p95": 57}), (301, {"p95": 286, "p99": 298})],
)
def test_a_percentile_is_the_least_sample_that_so_many_do_not_exceed(n, ranks):
    samples = [float(rank) for rank in range(1, n + 1)]
    random.Random(1).shuffle(samples)
    described = spread(samples)
    assert {name: described[name] for name in ranks} == ranks


def test_constant_samples_have_no_outliers_and_no_correlation():
    described = spread([2.0] * 30)
    assert (described["autocorrelation"], described["outliers"], described["ci95"]) == (
        0.0,
        0,
        [2.0, 2.0],
    )
