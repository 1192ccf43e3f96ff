"""Values as people write them, a number and a unit, in the unit that a column is stored in."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from archbench.report.data.columns import quantity_of, unit_of
from archbench.spec import UsageError

PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
UNITS: dict[str, Mapping[str, float]] = {
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "s": {"ms": 1e-3, "s": 1.0},
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
DIFFERENCES = ("energy_net_per_image_j", "mem_device_delta_bytes")
"""Figures that are what is left above something else, and may be below 0."""


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
        raise UsageError(f"invalid {column} {text!r}{_choices(column)}") from None
    scaled = value * _factor(column, unit)
    if not isfinite(scaled):
        raise UsageError(f"invalid {column} {text!r} (a finite number)")
    return scaled


def limit_in(column: str, text: str) -> float:
    """Read a limit of a figure as `value_in` reads a value; raises UsageError for one below 0, too,
    where the figure never is.
    """
    limit = value_in(column, text)
    if limit < 0 and column not in DIFFERENCES:
        raise UsageError(f"invalid limit {text.strip()!r} of {column} (0 or more)")
    return limit


def _factor(column: str, unit: str) -> float:
    if not unit:
        return 1.0
    units = _units_of(column)
    if unit in units:
        return units[unit]
    folded = [factor for name, factor in units.items() if _is_spelled(unit, name)]
    if len(folded) == 1:
        return folded[0]
    raise UsageError(f"invalid unit {unit!r} of {column}{_choices(column)}")


def _units_of(column: str) -> Mapping[str, float]:
    """The units that a value may have; of a share that people read in percent, that."""
    row = quantity_of(column)
    if row and row.scale.unit == "%":
        return {"%": 1 / row.scale.factor}
    return UNITS.get(unit_of(column), {})


def _is_spelled(unit: str, name: str) -> bool:
    """Whether a unit is one that has a name, in other letters; an M is mega and never milli."""
    return unit.casefold() == name.casefold() and not (unit[0] == "M" and name[0] == "m")


def _choices(column: str) -> str:
    """The units that a value may have, behind what is wrong with one."""
    units = _units_of(column)
    if not units:
        return " (a number without a unit)"
    return f" (a number, or one with a unit: {', '.join(units)})"
