"""The few statistics that tables and verdicts stand on. Only what resamples loads numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Interval = tuple[float, float]

RESAMPLES = 1000
LEAST_ROWS = 5
"""Rows below which a correlation is given without an interval: resampling so few says nothing."""
CONFIDENCE = 0.95


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1 for the smallest; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranked = [0.0] * len(values)
    before = 0
    for _, tied in groupby(order, key=values.__getitem__):
        indices = list(tied)
        for index in indices:
            ranked[index] = before + (len(indices) + 1) / 2
        before += len(indices)
    return ranked


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rho: the correlation of the ranks, which holds with ties too; None below two pairs
    or where all are equal.
    """
    if len(left) != len(right):
        raise ValueError("a correlation is of pairs")
    if len(left) < 2:
        return None
    return _pearson(ranks(left), ranks(right))


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of one column with what it is to explain, its 95 % interval, and how often of
    all columns it explains it best.

    Interval and `best` (a share) are over resampled rows, always the same resamples; None below 5
    rows.
    """

    rho: float | None
    interval: Interval | None = None
    best: float | None = None


def correlations(columns: Sequence[Sequence[float]], target: Sequence[float]) -> list[Correlation]:
    """Correlate each column with a target, row by row."""
    import numpy as np

    rhos = [spearman(column, target) for column in columns]
    rows = len(target)
    if rows < LEAST_ROWS:
        return [Correlation(rho) for rho in rhos]
    counts = np.random.default_rng(0).multinomial(rows, [1 / rows] * rows, size=RESAMPLES)
    wanted = _deviations(target, counts)
    drawn = np.array([_weighted(_deviations(column, counts), wanted, counts) for column in columns])
    best = drawn == np.fmax.reduce(drawn)
    return [
        Correlation(
            rho, percentiles(resampled[~np.isnan(resampled)].tolist()), float(firsts.mean())
        )
        for rho, resampled, firsts in zip(rhos, drawn, best, strict=True)
    ]


def _deviations(values: Sequence[float], counts: Array) -> Array:
    """How far each row's rank lies from the middle one, in resamples [R, N] that hold the rows so
    often: sorted once for all.
    """
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    ends = np.cumsum(counts[:, order], axis=1)[:, last]
    starts = np.concatenate([np.zeros_like(ends[:, :1]), ends[:, :-1]], axis=1)
    deviations = np.empty(counts.shape)
    deviations[:, order] = np.repeat(
        (starts + ends - counts.shape[1]) / 2, np.diff(last, prepend=-1), axis=1
    )
    return deviations


def _weighted(left: Array, right: Array, counts: Array) -> Array:
    """The correlation of deviations that count so often, for each resample; NaN where all rows of
    one are equal.
    """
    import numpy as np

    spread = np.sqrt((counts * left * left).sum(axis=1) * (counts * right * right).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.asarray((counts * left * right).sum(axis=1) / spread)


def percentiles(values: Iterable[float]) -> Interval | None:
    """The interval that leaves out 2.5 % of the values at each end; None of no values."""
    ranked = sorted(values)
    cut = round((1 - CONFIDENCE) / 2 * len(ranked))
    return (ranked[cut], ranked[-1 - cut]) if ranked else None


def ratio_interval(left: Interval, right: Interval) -> Interval | None:
    """The least and the greatest ratio of a value in `left` to one in `right`; None where not all
    of them are above 0.

    It leaves out 1 exactly where the two intervals do not overlap.
    """
    return (left[0] / right[1], left[1] / right[0]) if min(left[0], right[0]) > 0 else None


def apart(values: Sequence[float]) -> float:
    """How far values lie apart, as a share of their median; 0 where they are equal."""
    least, most = min(values), max(values)
    return (most - least) / (abs(median(values)) or (most - least)) if most > least else 0.0


def _pearson(left: Sequence[float], right: Sequence[float]) -> float | None:
    mean_left, mean_right = fmean(left), fmean(right)
    products = sum((x - mean_left) * (y - mean_right) for x, y in zip(left, right, strict=True))
    spread = sqrt(
        sum((x - mean_left) ** 2 for x in left) * sum((y - mean_right) ** 2 for y in right)
    )
    return products / spread if spread else None
