"""Predictions by the records of one setup: which networks stand for it, with which counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from archbench.report.data.configurations import Configuration, of_one_card
from archbench.report.data.counts import Count
from archbench.report.data.prediction.predictor import (
    LEAST,
    Prediction,
    Predictor,
    Refusal,
    too_few,
)
from archbench.report.data.prediction.work import Network, Sample, Work
from archbench.spec import Spec, UsageError

PREDICTED = ("latency_ms", "total_ms", "energy_per_image_j")
"""The figures that can be predicted."""
AN_IMAGE = ("energy_per_image_j",)
"""Those of an image; the others are of a call."""


class Networks:
    """What predictions follow from, network by network: `count` counts one that no record has
    counted so far, or raises UsageError; `families` names its families.
    """

    def __init__(self, count: Count, families: Callable[[Spec], frozenset[str]]) -> None:
        self._count, self.families = count, families
        self._known: dict[Spec, Network | None] = {}

    def find(self, spec: Spec, counts: Mapping[str, Any] | None = None) -> Network | None:
        """Give a network's, by what a record has counted where that is enough; None where it
        cannot be counted.
        """
        if spec not in self._known:
            work = Work.of(counts or {}, spec.batch) or self._counted(spec)
            self._known[spec] = work and Network(work, spec.batch, self.families(spec))
        return self._known[spec]

    def _counted(self, spec: Spec) -> Work | None:
        try:
            return Work.of(self._count(spec), spec.batch)
        except UsageError:
            return None


class SetupPredictor:
    """Predicts figures of networks that were not measured, by the configurations of one setup."""

    def __init__(self, configurations: Sequence[Configuration], networks: Networks) -> None:
        self._configurations, self._networks = configurations, networks
        self._predictors: dict[tuple[str, str], Predictor] = {}

    def words(self, mode: str) -> list[str]:
        """The figures that any of the configurations has, of inference or of training."""
        of_mode = [each for each in self._configurations if each.spec.mode == mode]
        return [word for word in PREDICTED if any(each.estimate(word) for each in of_mode)]

    def predict(self, spec: Spec, word: str = "total_ms") -> Prediction | Refusal:
        """Predict a figure by its word, one of `PREDICTED`, or say why that cannot be."""
        related = self._networks.families(spec)
        measured = self._measured(word, spec.mode)
        others = sum(not related & self._networks.families(each.spec) for each, _ in measured)
        if others < LEAST:  # Nothing has to be counted to see that.
            return too_few(others)
        key = (word, spec.mode)
        if key not in self._predictors:
            self._predictors[key] = Predictor(self._samples(word, measured))
        network = self._networks.find(spec)
        if network is None:
            return Refusal("its multiply-adds are only partly known")
        found = self._predictors[key].predict(network)
        if isinstance(found, Prediction) and word in AN_IMAGE:
            return replace(found, value=found.value / spec.batch)
        return found

    def _measured(self, word: str, mode: str) -> list[tuple[Configuration, float]]:
        """The configurations that have a figure, with it."""
        of_mode = [each for each in self._configurations if each.spec.mode == mode]
        estimates = [(each, each.estimate(word)) for each in of_one_card(of_mode, word)]
        return [
            (each, estimate.value)
            for each, estimate in estimates
            if estimate and estimate.value > 0
        ]

    def _samples(self, word: str, measured: Sequence[tuple[Configuration, float]]) -> list[Sample]:
        samples = []
        for each, value in measured:
            network = self._networks.find(each.spec, each.newest.counts)
            calls = each.spec.batch if word in AN_IMAGE else 1
            if network and isfinite(max(network.work) / value):
                samples.append(Sample(network, calls * value))
        return samples
