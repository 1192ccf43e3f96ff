"""The fit: non-negative coefficients of work by least squares of relative errors, for many parts of
the samples at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

from archbench.report.data.prediction.work import Sample, Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LEAST_OTHERS = len(Work._fields)
"""Networks of other families without which a network is not predicted: one a coefficient."""


def coefficients(samples: Sequence[Sample], families: Sequence[frozenset[str]]) -> Array:
    """Fit what a call takes a unit of each kind of work, [F, 4]; row f is of the samples that share
    no family with `families[f]`.
    """
    import numpy as np

    work = np.array([sample.network.work for sample in samples])
    shares = work / np.array([sample.value for sample in samples])[:, None]
    # The kinds of work are ten orders of magnitude apart.
    scale = np.where(shares.any(axis=0), shares.max(axis=0), 1.0)
    shares = shares / scale
    apart = np.array(
        [[not sample.network.families & each for sample in samples] for each in families], float
    )
    products = (shares[:, :, None] * shares[:, None, :]).reshape(len(samples), -1)
    kinds = shares.shape[1]
    grams = (apart @ products).reshape(len(families), kinds, kinds)
    return non_negative(grams, apart @ shares) / scale


def non_negative(grams: Array, rights: Array) -> Array:
    """Solve non-negative least squares by their normal equations [F, K, K] and right sides [F, K].

    The solution is the plain one of some of the columns: of all choices of columns whose solution
    has no negative coefficient, that of the least error. Few columns have few choices.
    """
    import numpy as np

    best, gains = np.zeros_like(rights), np.zeros(len(rights))
    every = range(rights.shape[1])
    choices = chain.from_iterable(combinations(every, size) for size in range(1, len(every) + 1))
    for columns in map(list, choices):
        part = grams[:, columns][:, :, columns]
        found = (np.linalg.pinv(part, hermitian=True) @ rights[:, columns, None])[..., 0]
        # By how much the squares of the errors are less than those of no coefficients at all.
        gain = (found * rights[:, columns]).sum(axis=1)
        better = (found >= 0).all(axis=1) & (gain > gains)
        gains[better] = gain[better]
        best[better] = 0.0
        best[np.ix_(better, columns)] = found[better]
    return best


def crossed(samples: Sequence[Sample]) -> list[float]:
    """Predict each sample by those of other families: ratios of predicted to measured.

    A sample with too few others has none.
    """
    families = list(dict.fromkeys(sample.network.families for sample in samples))
    fitted = dict(zip(families, coefficients(samples, families), strict=True)) if samples else {}
    others = {each: sum(not each & s.network.families for s in samples) for each in families}
    return [
        float(sample.network.work @ fitted[sample.network.families]) / sample.value
        for sample in samples
        if others[sample.network.families] >= LEAST_OTHERS
    ]
