"""Which figures can be told apart, by the rule of `--baseline`: where their ranges do not overlap
and they are further apart than repeats are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from archbench.quantities import QUANTITIES, is_of_one_card
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.baseline import ratio_of
from archbench.report.data.configurations import (
    REPEATABLE,
    Configuration,
    Estimate,
    of_one_card,
)
from archbench.report.data.rows import merged
from archbench.report.data.statistics import Interval, apart

PERCENTILE = "_ms_p"


def measured_as(column: str) -> str:
    """The figure that a column is of: of a percentile of calls their time."""
    time, percentile, _ = column.partition(PERCENTILE)
    return f"{time}_ms" if percentile else column


def is_more_better(column: str) -> bool:
    """Whether of two figures the larger one is the better."""
    return column == "accuracy" or (column in QUANTITIES and QUANTITIES[column].is_more_better)


def differ(left: Estimate, right: Estimate) -> bool:
    """Whether two figures can be told apart."""
    if left.value <= 0 or right.value <= 0:
        return left.value != right.value and left.is_counted and right.is_counted
    return ratio_of(left, right).verdict in ("less", "more")


class Ranges:
    """Figures of configurations with the ranges that they are told apart by.

    A figure that is flagged with a flaw, or that has no range of its own, has at least the range
    that repeats of networks here have.
    """

    def __init__(
        self, configurations: Iterable[Configuration], accuracies: Accuracies | None = None
    ) -> None:
        self._configurations = list(configurations)
        self._accuracies = accuracies or Accuracies()
        self._spreads: dict[str, float] = {}
        self._cards: dict[str, set[str]] = {}

    def figure(self, configuration: Configuration, column: str) -> Estimate | None:
        """A figure of a configuration by its column, its range widened where it has to be; None
        where there is none, or where it is of another card than those that it is set against.
        """
        is_alike = not is_of_one_card(column) or configuration.card in self._cards_of(column)
        return self.widened(configuration, column) if is_alike else None

    def widened(self, configuration: Configuration, column: str) -> Estimate | None:
        """The same figure, of whichever card it is."""
        if column == "accuracy":
            known = self._accuracies.of_record(configuration.newest)
            return exact(known.value) if known else None
        estimate = configuration.estimate(column) or _of_calls(configuration, column)
        if estimate is None or (estimate.interval and not estimate.flaws):
            return estimate
        return replace(estimate, interval=_widened(estimate, self.spread(column)))

    def _cards_of(self, column: str) -> set[str]:
        """The card that a figure is set against others on; all of them where none has it."""
        if column not in self._cards:
            self._cards[column] = {each.card for each in of_one_card(self._configurations, column)}
        return self._cards[column]

    def spread(self, column: str) -> float:
        """How far repeats of one network lie apart here, as a share of the figure: that of the
        middle network, and what counts as repeatable where none was repeated or that is more.
        """
        if column not in self._spreads:
            estimates = (each.estimate(column) for each in self._configurations)
            spreads = [
                apart([estimate.interval[0], estimate.interval[1]])
                for estimate in estimates
                if estimate and estimate.processes > 1 and estimate.interval
            ]
            self._spreads[column] = max(REPEATABLE, median(spreads) if spreads else 0.0)
        return self._spreads[column]


def exact(value: float) -> Estimate:
    """A figure that is known exactly, such as one that was counted or quoted."""
    return Estimate(value, (value, value))


def _of_calls(configuration: Configuration, column: str) -> Estimate | None:
    """A percentile of calls, which the newest process alone tells, with the flags of its time."""
    if PERCENTILE not in column or column not in QUANTITIES:
        return None
    value = merged(configuration)[column]
    time = configuration.estimate(measured_as(column))
    return Estimate(value, None, 1, time.flags) if value is not None and time else None


def _widened(estimate: Estimate, spread: float) -> Interval:
    least, most = sorted((estimate.value / (1 + spread), estimate.value * (1 + spread)))
    own = estimate.interval or (estimate.value, estimate.value)
    return min(own[0], least), max(own[1], most)
