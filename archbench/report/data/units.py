"""Values as people write them, a number and a unit, in the unit that a column is stored in."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from archbench.report.data.columns import unit_of
from archbench.spec import UsageError

PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
UNITS: dict[str, Mapping[str, float]] = {
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "J": {"mJ": 1e-3, "J": 1.0},
    "W": {"mW": 1e-3, "W": 1.0},
    "bytes": {
        "B": 1.0,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
    },
    "images/s": {"images/s": 1.0, "fps": 1.0},
    "%": {"%": 1.0},
    **dict.fromkeys(("", "multiply-adds", "operations", "elements"), PREFIXES),
}
"""By the unit of a column: the units that a value of it may have, each as a multiple of that."""


def value_in(column: str, text: str) -> float:
    """Read a value of a column, such as 50ms, 500MB or 0.5, in the column's own unit, which a bare
    number has; raises UsageError for what is no number or has a unit of another dimension.
    """
    text = text.strip()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/%")
    unit = text[len(number) :]
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"{text!r} is no value of {column}{_choices(column)}") from None
    scaled = value * _factor(column, unit)
    if not isfinite(scaled):
        raise UsageError(f"{text!r} is no finite value of {column}")
    return scaled


def _factor(column: str, unit: str) -> float:
    if not unit:
        return 1.0
    units = UNITS.get(unit_of(column), {})
    if unit in units:
        return units[unit]
    folded = [factor for name, factor in units.items() if name.casefold() == unit.casefold()]
    if len(folded) == 1:
        return folded[0]
    raise UsageError(f"{unit!r} is no unit of {column}{_choices(column)}")


def _choices(column: str) -> str:
    """The units that a value may have, behind what is wrong with one."""
    units = UNITS.get(unit_of(column), {})
    if not units:
        return ": it takes a number without a unit"
    return f" (a number, or one with {', '.join(units)})"
