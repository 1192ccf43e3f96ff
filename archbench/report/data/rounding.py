"""Figures as texts with no more digits than are known of them."""

from __future__ import annotations

from math import floor, log10

from archbench.quantity import Scale
from archbench.report.data.statistics import Interval

SIGNIFICANT = 4
"""Digits of a figure of which nothing says how many."""


def decimals_for(half_width: float) -> int:
    """The decimals that a figure is known to: two digits of its uncertainty where it begins with 1,
    2 or 3.5 at most, else one.

    The Particle Data Group's rule (Review of Particle Physics, section 5.3 of its introduction).
    """
    exponent = floor(log10(half_width))
    digits = 2 if half_width / 10**exponent < 3.55 else 1
    return max(0, digits - 1 - exponent)


def decimals_of_interval(interval: Interval) -> int:
    """The decimals that an interval leaves a figure, where it is one."""
    return decimals_for((interval[1] - interval[0]) / 2)


def rounded(value: float, interval: Interval | None, scale: Scale) -> str:
    """A figure rounded to its interval or range, all in the unit of the scale, or to the scale's
    digits where there is none.
    """
    if interval and interval[1] > interval[0]:
        return f"{value:,.{decimals_of_interval(interval)}f}"
    if scale.digits is not None:
        return f"{value:,.{scale.digits}f}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.{SIGNIFICANT}g}"
