"""Networks of a make-believe device, on which each kind of work has its cost."""

from __future__ import annotations

import numpy as np

from archbench.report.data.prediction import Network, Sample, Work

COSTS = (3e-9, 2e-8, 5e-8, 1e-2)
"""What a unit of each kind of work takes there, ms."""


def network(number: int, *families: str, batch: int = 1) -> Network:
    """A network whose kinds of work vary each on its own; of a family by itself unless others are
    named.
    """
    draw = np.random.default_rng(number)
    work = Work(*(draw.uniform(1, 9, 4) * (1e9, 1e8, 1e8, 20)).tolist())
    return Network(work, batch, frozenset(families or {f"family {number}"}))


def sample(number: int, *families: str, times: float = 1.0) -> Sample:
    """Such a network, measured: `times` what its work says."""
    known = network(number, *families)
    return Sample(known, times * float(np.dot(COSTS, known.work)))


def noisy(count: int, *, spread: float = 0.1, seed: int = 0) -> list[Sample]:
    """Networks of families of their own, measured with an error of lognormal spread."""
    errors = np.random.default_rng(seed).normal(0, spread, count)
    return [sample(number, times=float(np.exp(error))) for number, error in enumerate(errors)]
