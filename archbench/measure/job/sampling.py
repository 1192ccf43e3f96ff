"""Adaptive sampling: how long to measure, and what the samples say of the median. Torch-free."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, sqrt
from typing import Any

from archbench.settings import Settings

NORMAL_95 = 1.96
MAD_TO_SD = 1.4826
"""A normal distribution's standard deviation in median absolute deviations."""
MIN_FOR_INTERVAL = 8
PERCENTILE_FLOORS = {90: 29, 95: 59, 99: 299}
"""Samples below which a percentile says nothing."""


@dataclass
class Collected:
    """Samples in order, one list a quantity, seconds each, with the time at which each was started
    and why sampling stopped.
    """

    columns: dict[str, list[float]]
    started: list[float] = field(default_factory=list)
    calls: int = 1
    """Calls that one sample averages."""
    elapsed_s: float = 0.0
    stop_reason: str = ""


def autocorrelation(samples: Sequence[float]) -> float:
    """Lag-1 autocorrelation, outliers clipped at three robust standard deviations; from 0 to
    0.995.
    """
    median = statistics.median(samples)
    limit = 3 * MAD_TO_SD * _mad(samples, median)
    if not limit:
        return 0.0
    z = [min(max(x - median, -limit), limit) for x in samples]
    power = sum(v * v for v in z)
    return min(max(sum(a * b for a, b in pairwise(z)) / power, 0.0), 0.995) if power else 0.0


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the median by ranks, widened for autocorrelated samples; None below 8
    samples or off their range.
    """
    n = len(samples)
    if n < MIN_FOR_INTERVAL:
        return None
    r = autocorrelation(samples)
    half = NORMAL_95 * sqrt((1 + r) / (1 - r)) * sqrt(n) / 2
    low, high = floor(n / 2 - half), ceil(n / 2 + 1 + half)
    if low < 1 or high > n:
        return None
    ordered = sorted(samples)
    return ordered[low - 1], ordered[high - 1]


def converged(samples: Sequence[float], target: float) -> bool:
    """Whether the interval's half-width is within `target` of the median, and the four quarters'
    medians within 4 `target`.

    The second condition (their range at most 2 * target * median) catches drift that the interval
    does not see.
    """
    interval = median_interval(samples)
    if interval is None:
        return False
    median = statistics.median(samples)
    n = len(samples)
    quarters = [statistics.median(samples[i * n // 4 : (i + 1) * n // 4]) for i in range(4)]
    return (interval[1] - interval[0]) / 2 <= target * median and max(quarters) - min(
        quarters
    ) <= 2 * target * median


def collect(
    sample: Callable[[], dict[str, float]],
    settings: Settings,
    *,
    judged: Sequence[str],
    interrupted: Callable[[], bool],
    on_progress: Callable[[int, float], None],
    least: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Collected:
    """Call `sample` until every `judged` quantity has converged, or the budget, `n_max` or an
    interruption ends it.

    Convergence is tested at `n_min` samples, whenever their number grew by a quarter, and at the
    end. The budget ends nothing before there are `least` samples.
    """
    start = clock()
    collected = Collected({})
    due = settings.n_min
    while not collected.stop_reason:
        collected.started.append(clock() - start)
        for name, seconds in sample().items():
            collected.columns.setdefault(name, []).append(seconds)
        n = len(collected.started)
        elapsed = clock() - start
        on_progress(n, elapsed)
        if interrupted():
            collected.stop_reason = "interrupted"
        elif elapsed >= settings.budget_s and n >= least:
            collected.stop_reason = "budget"
        elif n >= settings.n_max:
            collected.stop_reason = "n_max"
        if n >= due or (n >= settings.n_min and collected.stop_reason):
            due = ceil(n * 1.25)
            known = all(converged(collected.columns[name], settings.target) for name in judged)
            if known and elapsed >= settings.t_min_s:
                collected.stop_reason = "converged"
        collected.elapsed_s = elapsed
    return collected


def spread(samples: Sequence[float]) -> dict[str, Any]:
    """Describe samples in their own unit: n, median, its interval, moments, range, percentiles
    (None below their floors).
    """
    n = len(samples)
    ordered = sorted(samples)
    median = statistics.median(samples)
    mad = _mad(samples, median)
    interval = median_interval(samples)
    percentiles = {
        f"p{p}": ordered[min(n - 1, ceil(p / 100 * n) - 1)] if n >= least else None
        for p, least in PERCENTILE_FLOORS.items()
    }
    return {
        "n": n,
        "median": median,
        "ci95": list(interval) if interval else None,
        "mean": statistics.fmean(samples),
        "sd": statistics.stdev(samples) if n > 1 else None,
        "min": ordered[0],
        "max": ordered[-1],
        "mad": mad,
        "autocorrelation": autocorrelation(samples) if n > 1 else None,
        **percentiles,
        "outliers": sum(abs(x - median) > 10 * MAD_TO_SD * mad for x in samples) if mad else 0,
    }


def _mad(samples: Sequence[float], median: float) -> float:
    return statistics.median(abs(x - median) for x in samples)
