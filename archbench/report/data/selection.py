"""Which records a table is of, in which order, and which of the columns it shows: what the filters
of `compare` mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from archbench.records import Record
from archbench.report.data.rows import COLUMNS, rows
from archbench.spec import UsageError, without_hash
from archbench.spelling import did_you_mean

T = TypeVar("T")

ALIASES = {
    "latency": "total_ms",
    "forward": "latency_ms",
    "energy": "energy_per_image_j",
    "ap": "accuracy",
}
"""Short words for columns that decide."""


@dataclass(frozen=True)
class Filters:
    """What a record must be: one of some backbones and detectors, on a device; none: anything."""

    backbones: Sequence[str] = ()
    """Canonical names; those of a user's own code stand for every version without a hash."""
    detectors: Sequence[tuple[str, int | None]] = ()
    """Canonical names, and the side of a square input where it matters."""
    device: str | None = None
    """A part of the device's name."""


def select(records: Sequence[Record], filters: Filters) -> list[Record]:
    """Give the records that fit; raises UsageError for a name or a column that there is not."""
    tests = _networks(filters)
    if filters.device:
        tests.append(
            lambda row: (
                bool(row["device"])
                and filters.device is not None
                and filters.device.casefold() in row["device"].casefold()
            )
        )
    if not tests:
        return list(records)
    return [
        record
        for record, row in zip(records, rows(records), strict=True)
        if all(test(row) for test in tests)
    ]


def column(name: str) -> str:
    """A column's name as it is written; raises UsageError with the nearest where there is none."""
    known = name.strip().lower()
    known = ALIASES.get(known, known)
    if known not in COLUMNS:
        otherwise = "archbench list columns shows them all"
        hint = did_you_mean(known, (*COLUMNS, *ALIASES), otherwise, at_most=3)
        raise UsageError(f"unknown column {name.strip()!r}; {hint}")
    return known


def columns(text: str | None) -> list[str]:
    """The columns of a text such as backbone,latency_ms; none where there is no text."""
    return (
        list(dict.fromkeys(column(name) for name in text.split(",") if name.strip()))
        if text
        else []
    )


def ordered(items: Iterable[T], by: str | None, row: Callable[[T], Mapping[str, Any]]) -> list[T]:
    """Sort by a column, the largest first where a minus stands before its name; what has no value
    comes last.
    """
    if not by:
        return list(items)
    falling, name = by.startswith("-"), column(by.removeprefix("-"))
    valued = [(row(item)[name], item) for item in items]
    there = sorted(
        (pair for pair in valued if pair[0] is not None), key=lambda pair: pair[0], reverse=falling
    )
    return [item for _, item in there] + [item for value, item in valued if value is None]


def _networks(filters: Filters) -> list[Callable[[Mapping[str, Any]], bool]]:
    tests: list[Callable[[Mapping[str, Any]], bool]] = []
    if filters.backbones:
        tests.append(
            lambda row: bool(
                {row["backbone"], without_hash(row["backbone"])} & {*filters.backbones}
            )
        )
    if filters.detectors:
        detectors = {(name, f"{side}x{side}" if side else None) for name, side in filters.detectors}
        tests.append(
            lambda row: bool({(row["detector"], None), (row["detector"], row["input"])} & detectors)
        )
    return tests
