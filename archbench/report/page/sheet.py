"""Configurations as a sheet for people: a row for each, its repeats folded, every stable column in
its rendered unit, rounded to what is known of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archbench.escaping import visible
from archbench.papers.accuracies import DATASET
from archbench.quantities import COUNTED, FIGURES, MEASURED, QUANTITIES
from archbench.quantity import Scale
from archbench.report.data.columns import heading_of, quantity_of
from archbench.report.data.configurations import Configuration, interval_of
from archbench.report.data.names import short_names
from archbench.report.data.rounding import decimals_of_interval, rounded
from archbench.report.data.rows import ASKED, COLUMNS, ENGINE, merged
from archbench.report.data.statistics import Interval
from archbench.report.tables.deciding import accuracy_text, metric_of
from archbench.report.tables.table import MISSING

BOUND = "_ci95"
COMMAND = "command"
ACCURACY = f"{metric_of(DATASET)} ({DATASET})"
ASKED_FIRST = ("status", "reason", "device", "engine", "precision")
DECIDING = ("total_ms", "accuracy")
LEADING = tuple(row.name for row in QUANTITIES.values() if row.is_leading)
SHOWN = (*ASKED_FIRST, *DECIDING, *LEADING, COMMAND)
"""What is shown first, where it has something and tells rows apart; names tell batch and mode."""
OF_MEASURED = ("device", "engine", "precision")
"""Those in which what was only counted has nothing."""
GROUPS = {"asked": ASKED | ENGINE, "counted": COUNTED, "measured": MEASURED}
DIGITS_KEPT = 7
"""Digits of the values that are sorted and plotted."""


@dataclass(frozen=True)
class SheetColumn:
    """A column: its stable name, its heading, its group, and for each row its value in `unit`,
    its text and its range in words.
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
        """Whether no row has anything in it."""
        return all(value is None for value in self.values)

    @property
    def is_uniform(self) -> bool:
        """Whether all rows are alike in it."""
        return len(set(self.values)) < 2

    @property
    def is_told_once(self) -> bool:
        """Whether all rows that have it are alike in it, as those of one engine are."""
        return len({*self.values} - {None}) < 2

    @property
    def told_once(self) -> str:
        """The text of the first row that has one."""
        return next((text for text in self.texts if text != MISSING), MISSING)

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
    """The rows' short names, and the columns in their stable order, the command that makes each row
    last.
    """

    names: Sequence[str]
    columns: Sequence[SheetColumn]

    @property
    def shown(self) -> list[SheetColumn]:
        """The columns that are shown first: those that say something and are not alike in all."""
        return [column for column in self._filled if column not in self.alike]

    @property
    def alike(self) -> list[SheetColumn]:
        """Those in which several rows do not differ, which are told once."""
        if len(self.names) < 2:
            return []
        return [
            column
            for column in self._filled
            if column.is_uniform or (column.name in OF_MEASURED and column.is_told_once)
        ]

    @cached_property
    def _filled(self) -> list[SheetColumn]:
        named = {column.name: column for column in self.columns}
        return [named[name] for name in SHOWN if not named[name].is_empty]

    def tells(self, name: str) -> bool:
        """Whether rows may be chosen by a column: not by the one engine of all that ran."""
        return not any(
            column.name == name and column.name in OF_MEASURED and column.is_told_once
            for column in self.columns
        )


def sheet(configurations: Sequence[Configuration]) -> Sheet:
    """Give configurations as a sheet."""
    named = short_names(each.spec for each in configurations)
    data = [merged(each) for each in configurations]
    columns = [_column(name, [row[name] for row in data], configurations) for name in COLUMNS]
    commands = [visible(each.newest.command()) for each in configurations]
    columns.append(_text_column(COMMAND, "command that makes it", "asked", commands))
    return Sheet([visible(named[each.spec]) for each in configurations], columns)


def decimals_of(text: str) -> int:
    """The digits behind a number's point."""
    return len(text.partition(".")[2])


def _column(
    name: str, values: Sequence[Any], configurations: Sequence[Configuration]
) -> SheetColumn:
    group = next((group for group, names in GROUPS.items() if name in names), "published")
    heading = ACCURACY if name == "accuracy" else heading_of(name)
    if COLUMNS[name] is str:
        return _text_column(name, heading, group, values)
    row = quantity_of(name)
    scale = row.scale if row else Scale()
    scaled = [None if value is None else value * scale.factor for value in values]
    if group == "published":
        quote = accuracy_text if name == "accuracy" else "{:.10g}".format
        texts = [MISSING if value is None else quote(value) for value in scaled]
        spans = [""] * len(scaled)
    else:
        ranges = [_range(each, name) for each in configurations]
        texts = [
            _text(value, _scaled(found, scale.factor), scale)
            for value, found in zip(scaled, ranges, strict=True)
        ]
        spans = [_span(each, name, scale.factor) for each in configurations]
    return SheetColumn(name, heading, scale.unit, group, True, scaled, texts, spans)


def _text_column(name: str, heading: str, group: str, values: Sequence[Any]) -> SheetColumn:
    texts = [MISSING if value is None else visible(str(value)) for value in values]
    return SheetColumn(name, heading, "", group, False, values, texts, [""] * len(texts))


def _range(configuration: Configuration, name: str) -> Interval | None:
    """What says how many digits of a figure are known: its range, or where it has none that of the
    samples.
    """
    if name not in FIGURES:
        return None
    if BOUND in name:
        return interval_of(configuration.newest, name.partition(BOUND)[0])
    estimate = configuration.estimate(name)
    if estimate and estimate.interval:
        return estimate.interval
    metric = configuration.newest.metrics.get(name)
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


def _span(configuration: Configuration, name: str, factor: float) -> str:
    """The range of a figure in words, and what it is of."""
    estimate = configuration.estimate(name) if name in FIGURES else None
    interval = _scaled(estimate.interval, factor) if estimate else None
    if estimate is None or interval is None or interval[1] == interval[0]:
        return ""
    digits = decimals_of_interval(interval)
    ends = f"{interval[0]:,.{digits}f} to {interval[1]:,.{digits}f}"
    count = estimate.processes
    return f"medians of {count} processes: {ends}" if count > 1 else f"95 % interval: {ends}"
