"""The few statistics that tables and verdicts stand on; pure Python, no dependency."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from operator import mul
from statistics import fmean, median

Interval = tuple[float, float]

RESAMPLES = 1000
LEAST_ROWS = 5
"""Rows below which a correlation is given without an interval: resampling so few says nothing."""
CONFIDENCE = 0.95


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1 for the smallest; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranked = [0.0] * len(values)
    place = 0
    for _, tied in groupby(order, key=values.__getitem__):
        indices = list(tied)
        for index in indices:
            ranked[index] = place + (len(indices) + 1) / 2
        place += len(indices)
    return ranked


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rho: the correlation of the ranks, which holds with ties too; None below two pairs or where all are equal."""
    if len(left) != len(right):
        raise ValueError("a correlation is of pairs")
    if len(left) < 2:
        return None
    return _pearson(ranks(left), ranks(right))


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of one column with what it is to explain, its 95 % interval, and how often of all columns it explains it best.

    Interval and `best` (a share) are over resampled rows, always the same resamples; None below 5 rows.
    """

    rho: float | None
    interval: Interval | None = None
    best: float | None = None


def correlations(columns: Sequence[Sequence[float]], target: Sequence[float]) -> list[Correlation]:
    """Correlate each column with a target, row by row."""
    found = [spearman(column, target) for column in columns]
    if len(target) < LEAST_ROWS:
        return [Correlation(rho) for rho in found]
    generator = random.Random(0)
    drawn: list[list[float]] = [[] for _ in columns]
    first = [0] * len(columns)
    orders = [_ties(column) for column in columns]
    order = _ties(target)
    for _ in range(RESAMPLES):
        counts = [0] * len(target)
        for row in generator.choices(range(len(target)), k=len(target)):
            counts[row] += 1
        wanted = _deviations(order, counts)
        rhos = [_weighted(_deviations(one, counts), wanted, counts) for one in orders]
        there = [rho for rho in rhos if rho is not None]
        for index, rho in enumerate(rhos):
            if rho is not None:
                drawn[index].append(rho)
                first[index] += rho == max(there)
    return [Correlation(rho, percentiles(resampled), count / RESAMPLES) for rho, resampled, count in zip(found, drawn, first, strict=True)]


def _ties(values: Sequence[float]) -> list[list[int]]:
    """The rows by value, the least first, equal ones together."""
    order = sorted(range(len(values)), key=values.__getitem__)
    return [list(rows) for _, rows in groupby(order, key=values.__getitem__)]


def _deviations(ties: Sequence[Sequence[int]], counts: Sequence[int]) -> list[float]:
    """How far each row's rank lies from the middle one in a resample that holds the rows so often: sorted once, not for each."""
    found = [0.0] * len(counts)
    place = -len(counts) / 2
    for rows in ties:
        held = sum([counts[row] for row in rows])
        for row in rows:
            found[row] = place + held / 2
        place += held
    return found


def _weighted(left: Sequence[float], right: Sequence[float], counts: Sequence[int]) -> float | None:
    """The correlation of deviations that count so often."""
    of_left, of_right = list(map(mul, left, counts)), list(map(mul, right, counts))
    spread = sqrt(sum(map(mul, of_left, left)) * sum(map(mul, of_right, right)))
    return sum(map(mul, of_left, right)) / spread if spread else None


def percentiles(values: Iterable[float]) -> Interval | None:
    """The interval that leaves out 2.5 % of the values at each end; None of no values."""
    ranked = sorted(values)
    cut = round((1 - CONFIDENCE) / 2 * len(ranked))
    return (ranked[cut], ranked[-1 - cut]) if ranked else None


def ratio_interval(left: Interval, right: Interval) -> Interval:
    """The least and the greatest ratio of a value in `left` to one in `right`, all above 0.

    It leaves out 1 exactly where the two intervals do not overlap.
    """
    return left[0] / right[1], left[1] / right[0]


def apart(values: Sequence[float]) -> float:
    """How far values lie apart, as a share of their median; 0 where they are equal."""
    least, most = min(values), max(values)
    return (most - least) / (abs(median(values)) or (most - least)) if most > least else 0.0


def _pearson(left: Sequence[float], right: Sequence[float]) -> float | None:
    mean_left, mean_right = fmean(left), fmean(right)
    products = sum((x - mean_left) * (y - mean_right) for x, y in zip(left, right, strict=True))
    spread = sqrt(sum((x - mean_left) ** 2 for x in left) * sum((y - mean_right) ** 2 for y in right))
    return products / spread if spread else None
