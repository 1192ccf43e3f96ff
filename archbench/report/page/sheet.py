"""Records as a sheet for people: a row a record, every stable column in its rendered unit, rounded
to what is known of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archbench.escaping import visible
from archbench.quantities import COUNTED, MEASURED, QUANTITIES
from archbench.quantity import Scale
from archbench.records import Record
from archbench.report.data.columns import heading_of, quantity_of
from archbench.report.data.configurations import interval_of
from archbench.report.data.names import short_names
from archbench.report.data.rounding import decimals_of_interval, rounded
from archbench.report.data.rows import ASKED, COLUMNS, ENGINE, rows
from archbench.report.data.statistics import Interval
from archbench.report.tables.table import MISSING

BOUND = "_ci95"
COMMAND = "command"
ASKED_FIRST = ("status", "reason", "device", "engine", "precision", "batch", "mode")
SHOWN = (*ASKED_FIRST, *(row.name for row in QUANTITIES.values() if row.is_leading), COMMAND)
"""What is shown first, where it tells records apart or has figures."""
TELLING = ("status", "device", "engine", "precision", "batch", "mode")
"""Columns that are shown first only where not all records are alike in them."""
OF_MEASURED = ("engine",)
"""Those in which what was only counted has nothing."""
GROUPS = {"asked": ASKED | ENGINE, "counted": COUNTED, "measured": MEASURED}
DIGITS_KEPT = 7
"""Digits of the values that are sorted and plotted."""


@dataclass(frozen=True)
class SheetColumn:
    """A column: its stable name, its heading, its group, and for each record its value in `unit`,
    its text and its interval's.
    """

    name: str
    heading: str
    unit: str
    group: str
    is_number: bool
    values: Sequence[Any]
    texts: Sequence[str]
    spans: Sequence[str]

    @property
    def is_empty(self) -> bool:
        """Whether no record has anything in it."""
        return all(value is None for value in self.values)

    @property
    def is_uniform(self) -> bool:
        """Whether all records are alike in it."""
        return len(set(self.values)) < 2

    @property
    def is_told_once(self) -> bool:
        """Whether all records that have it are alike in it, as those of one engine are."""
        return len({*self.values} - {None}) < 2

    @cached_property
    def decimals(self) -> int:
        """The most decimals of its texts."""
        return max((decimals_of(text) for text in self.texts), default=0) if self.is_number else 0

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data, values of an empty one left out."""
        data: dict[str, Any] = {
            "name": self.name,
            "heading": self.heading,
            "unit": self.unit,
            "group": self.group,
            "number": self.is_number,
            "decimals": self.decimals,
        }
        if not self.is_empty:
            data["texts"] = list(self.texts)
            if self.is_number:
                data["values"] = [
                    None if value is None else float(f"{value:.{DIGITS_KEPT}g}")
                    for value in self.values
                ]
            if any(self.spans):
                data["spans"] = list(self.spans)
        return data


@dataclass(frozen=True)
class Sheet:
    """The records' short names, and the columns in their stable order, the command that makes each
    record last.
    """

    names: Sequence[str]
    columns: Sequence[SheetColumn]

    @property
    def shown(self) -> list[SheetColumn]:
        """The columns that are shown first: those that say something."""
        named = {column.name: column for column in self.columns}
        chosen = [named[name] for name in SHOWN]
        return [
            column
            for column in chosen
            if not column.is_empty
            and not (column.name in TELLING and column.is_uniform)
            and not (column.name in OF_MEASURED and column.is_told_once)
        ]

    def tells(self, name: str) -> bool:
        """Whether rows may be chosen by a column: not by the one engine of all that ran."""
        return not any(
            column.name == name and column.name in OF_MEASURED and column.is_told_once
            for column in self.columns
        )


def sheet(records: Sequence[Record]) -> Sheet:
    """Give the records as a sheet."""
    named = short_names(record.spec for record in records)
    data = rows(records)
    columns = [_column(name, [row[name] for row in data], records) for name in COLUMNS]
    commands = [visible(record.command()) for record in records]
    columns.append(
        SheetColumn(
            COMMAND,
            "command that makes it",
            "",
            "asked",
            False,
            commands,
            commands,
            [""] * len(commands),
        )
    )
    return Sheet([visible(named[record.spec]) for record in records], columns)


def decimals_of(text: str) -> int:
    """The digits behind a number's point."""
    return len(text.partition(".")[2])


def _column(name: str, values: Sequence[Any], records: Sequence[Record]) -> SheetColumn:
    group = next((group for group, names in GROUPS.items() if name in names), "published")
    heading = heading_of(name)
    if COLUMNS[name] is str:
        texts = [MISSING if value is None else visible(str(value)) for value in values]
        return SheetColumn(name, heading, "", group, False, values, texts, [""] * len(texts))
    row = quantity_of(name)
    scale = row.scale if row else Scale()
    scaled = [None if value is None else value * scale.factor for value in values]
    if group == "published":
        texts, spans = (
            [MISSING if value is None else f"{value:.10g}" for value in scaled],
            [""] * len(scaled),
        )
    else:
        intervals = [interval_of(record, name.partition(BOUND)[0]) for record in records]
        ranges = [
            interval or _range(record, name)
            for interval, record in zip(intervals, records, strict=True)
        ]
        texts = [
            _text(value, _scaled(span, scale.factor), scale)
            for value, span in zip(scaled, ranges, strict=True)
        ]
        spans = [
            "" if BOUND in name else _span(_scaled(interval, scale.factor))
            for interval in intervals
        ]
    return SheetColumn(name, heading, scale.unit, group, True, scaled, texts, spans)


def _range(record: Record, name: str) -> Interval | None:
    """The range of the samples, where they are too few for an interval."""
    metric = record.metrics.get(name)
    spread = (metric.spread or {}) if metric else {}
    least, most = spread.get("min"), spread.get("max")
    return None if least is None or most is None else (least, most)


def _scaled(interval: Interval | None, factor: float) -> Interval | None:
    return (interval[0] * factor, interval[1] * factor) if interval else None


def _text(value: float | None, interval: Interval | None, scale: Scale) -> str:
    """A figure rounded to the interval or range of it, or to the scale's digits where there is
    none.
    """
    return MISSING if value is None else rounded(value, interval, scale)


def _span(interval: Interval | None) -> str:
    if interval is None or interval[1] == interval[0]:
        return ""
    digits = decimals_of_interval(interval)
    return f"{interval[0]:,.{digits}f} to {interval[1]:,.{digits}f}"
