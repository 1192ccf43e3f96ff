"""The few statistics that tables and verdicts stand on; pure Python, no dependency."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby
from math import sqrt
from statistics import fmean, median

Interval = tuple[float, float]

RESAMPLES = 1000
LEAST_PAIRS = 5
"""Pairs below which a correlation is given without an interval: resampling so few says nothing."""
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


def spearman_interval(left: Sequence[float], right: Sequence[float]) -> Interval | None:
    """The 95 % interval of rho: percentiles over resampled pairs, always the same resamples; None below 5 pairs."""
    if len(left) < LEAST_PAIRS:
        return None
    generator = random.Random(0)
    found = []
    for _ in range(RESAMPLES):
        drawn = generator.choices(range(len(left)), k=len(left))
        rho = spearman([left[index] for index in drawn], [right[index] for index in drawn])
        if rho is not None:
            found.append(rho)
    found.sort()
    cut = round((1 - CONFIDENCE) / 2 * len(found))
    return (found[cut], found[-1 - cut]) if found else None


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
