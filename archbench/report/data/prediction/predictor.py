"""Predictions with an interval, and why a network has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, log
from statistics import median, quantiles

from archbench.report.data.prediction.fitting import coefficients, crossed
from archbench.report.data.prediction.work import Network, Sample
from archbench.report.data.statistics import Interval

LEAST = 8
"""Networks below which nothing is predicted."""
CONFIDENCE = 0.9
KINDS = ("multiply-adds", "depthwise multiply-adds", "bytes moved", "layer calls")
"""The kinds of work in words."""


@dataclass(frozen=True)
class Error:
    """How far `networks` predictions, each by networks of other families, lie from what was
    measured, as shares of it. Within x/÷ `factor` are 90 % of them.
    """

    networks: int
    median: float
    p90: float
    factor: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Error:
        """Make it of ratios of predicted to measured."""
        errors = [abs(ratio - 1) for ratio in ratios]
        factors = sorted(abs(log(ratio)) if ratio else inf for ratio in ratios)
        count = len(ratios)
        # The next network is as likely to lie beyond any of them: the rank leaves room for it.
        rank = min(count, ceil(CONFIDENCE * (count + 1)))
        p90 = quantiles(errors, n=10, method="inclusive")[-1]
        return cls(count, median(errors), p90, exp(factors[rank - 1]))


@dataclass(frozen=True)
class Prediction:
    """What a call is predicted to take, with the interval that holds nine times of ten."""

    value: float
    error: Error
    networks: int
    """Those of other families that it is fitted on; some of them may not be cross-validated."""

    @property
    def interval(self) -> Interval:
        """The 90 % interval."""
        return self.value / self.error.factor, self.value * self.error.factor


@dataclass(frozen=True)
class Refusal:
    """Why there is no prediction."""

    why: str


def too_few(others: int) -> Refusal:
    """Refuse for the number of networks of other families."""
    return Refusal(f"{others} networks of other families were measured; a prediction needs {LEAST}")


class Predictor:
    """Predicts what a call takes, by samples of one device, engine and setting."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._fits: dict[frozenset[str], _Fit | Refusal] = {}

    def predict(self, network: Network) -> Prediction | Refusal:
        """Predict a network by those of other families, or say why that cannot be."""
        if network.families not in self._fits:
            self._fits[network.families] = _fit(self._samples, network.families)
        fit = self._fits[network.families]
        return fit if isinstance(fit, Refusal) else fit.predict(network)


@dataclass(frozen=True)
class _Fit:
    """What samples of other families came to."""

    samples: Sequence[Sample]
    coefficients: Sequence[float]
    error: Error

    def predict(self, network: Network) -> Prediction | Refusal:
        outside = next(self._outside(network), None)
        if outside:
            return Refusal(outside)
        pairs = zip(self.coefficients, network.work, strict=True)
        value = sum(coefficient * amount for coefficient, amount in pairs)
        if not value or not isfinite(value * self.error.factor):
            return Refusal("the measured networks say nothing about such a network")
        return Prediction(value, self.error, len(self.samples))

    def _outside(self, network: Network) -> Iterator[str]:
        """Say which of its figures lie beyond those of the samples."""
        measured = [(*each.network.work, each.network.batch) for each in self.samples]
        named = zip((*KINDS, "images per call"), (*network.work, network.batch), strict=True)
        for index, (name, value) in enumerate(named):
            values = [each[index] for each in measured]
            least, most = min(values), max(values)
            if not least <= value <= most:
                yield (
                    f"{name}: {value:.4g}, outside the {least:.4g} to {most:.4g} of the measured "
                    "networks of other families"
                )


def _fit(samples: Sequence[Sample], families: frozenset[str]) -> _Fit | Refusal:
    """Fit the samples of other families, and see how well they predict one another."""
    others = [sample for sample in samples if not sample.network.families & families]
    if len(others) < LEAST:
        return too_few(len(others))
    ratios = crossed(others)
    if len(ratios) < LEAST:
        return Refusal(
            f"{len(ratios)} of {len(others)} networks can be cross-validated against other "
            f"families; a prediction needs {LEAST}"
        )
    return _Fit(others, coefficients(others, [families])[0].tolist(), Error.of(ratios))
