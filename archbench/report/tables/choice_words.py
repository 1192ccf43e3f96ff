"""The figures that decide a choice, in words: headings, values with their units, ranges."""

from __future__ import annotations

from archbench.quantities import QUANTITIES
from archbench.quantity import Quantity, Scale
from archbench.report.data.choice import ACCURACY, Candidate, Choice
from archbench.report.data.columns import unit_of
from archbench.report.data.conditions import Condition
from archbench.report.data.configurations import Estimate
from archbench.report.data.rounding import decimals_of_interval, rounded
from archbench.report.tables.deciding import accuracy_text, metric_of


def bound_text(bound: Condition, choice: Choice) -> str:
    """A bound in words and in the unit that people read."""
    assert isinstance(bound.value, float)
    scale = scale_of(bound.column)
    how = "at most" if bound.operator == "<=" else "at least"
    unit = f" {scale.unit}" if scale.unit else ""
    return f"{heading_of(bound.column, choice)} {how} {bound.value * scale.factor:,.10g}{unit}"


def _quantity(column: str) -> Quantity | None:
    return QUANTITIES.get(column)


def scale_of(column: str) -> Scale:
    row = _quantity(column)
    return row.scale if row else Scale(unit_of(column) if column != ACCURACY else "")


def heading_of(column: str, choice: Choice) -> str:
    if column == ACCURACY:
        return metric_of(choice.accuracies.dataset)
    row = _quantity(column)
    return row.title if row else column


def text_of(column: str, estimate: Estimate) -> str:
    row = _quantity(column)
    if column == ACCURACY:
        return accuracy_text(estimate.value)
    if row is None:
        return f"{estimate.value:,.4g}"
    if estimate.is_counted:
        return row.show(estimate.value)
    return rounded(estimate.value * row.scale.factor, _scaled(column, estimate), row.scale)


def value_text(column: str, each: Candidate) -> str:
    """A figure with its unit."""
    unit = scale_of(column).unit
    return f"{text_of(column, each.figure(column))}{f' {unit}' if unit else ''}"


def _scaled(column: str, estimate: Estimate) -> tuple[float, float] | None:
    factor = scale_of(column).factor
    interval = estimate.interval
    return (interval[0] * factor, interval[1] * factor) if interval else None


def span_text(column: str, estimate: Estimate, before: str = "") -> str:
    """The range of a figure; empty where it has none."""
    scaled = _scaled(column, estimate)
    if scaled is None or scaled[0] == scaled[1]:
        return ""
    digits = decimals_of_interval(scaled)
    return f"{before}{scaled[0]:,.{digits}f} to {scaled[1]:,.{digits}f}"
