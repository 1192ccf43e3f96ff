"""The time of each network in each engine, as bars side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archbench.reasons import Status
from archbench.report.data.across import ENGINE, NOT_COMPARED, Across, Row, across, why_not
from archbench.report.data.configurations import configurations
from archbench.report.data.names import short_names
from archbench.report.figures.contract import Axis, Key, Mark, Missing, Panel, Plot, Plots
from archbench.report.figures.material import Material, bars_remark, listed, value_of
from archbench.report.tables.words import counted
from archbench.spec import Spec

NAME, TITLE = "engines", "Time by engine"
USUAL = " fp32"
"""The precision that a group need not name."""
TIME = Axis("total time", "ms")
MOST_RATIO = 5.0
"""How many times the least of a panel its largest network may take: bars below are too low to be
compared.
"""
MOST_A_PANEL, MOST_NETWORKS = 8, 32
WHY_NOT = (
    "no network has records of two engines; to create some: archbench sweep vovnet/table4 --engine "
    "eager --engine onnxruntime"
)


@dataclass(frozen=True)
class Shown:
    """The networks of the figure, and how many there is no room for."""

    rows: Sequence[Row]
    too_many: int


def by_engine(material: Material) -> Plots:
    """Draw a bar for each network in each engine and precision, of the device and settings with
    most networks; the networks by their slowest engine.
    """
    # Those that did not end well are told of.
    found = across(configurations(material.records), [ENGINE, "precision"])
    tables = [table for table in found if _both(table)]
    if not tables:
        return [Missing(NAME, WHY_NOT)]
    table, *others = sorted(tables, key=lambda table: -len(_both(table)))
    there = sorted(_both(table), key=_slowest)
    shown = Shown(there[:MOST_NETWORKS], len(there) - len(there[:MOST_NETWORKS]))
    names = short_names(row.spec for row in table.rows)
    groups = [_group(column) for column in table.columns]
    panels = [
        Panel("", Axis(""), TIME, tuple(_bars(rows, names, table.columns)))
        for rows in _panels(shown.rows)
    ]
    remarks = tuple(_remarks(table, shown, names, others))
    where = f"measured on {table.setup}"
    key = Key(tuple(groups), "engine")
    return [Plot(NAME, TITLE, where, tuple(panels), remarks, key, columns=1)]


def _both(table: Across) -> list[Row]:
    """The networks that can be compared: those with a figure in two columns."""
    return [row for row in table.rows if len(row.ranked) > 1]


def _panels(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of about the same time together."""
    panels: list[list[Row]] = []
    for row in rows:
        panel = panels[-1] if panels else []
        most_ms = MOST_RATIO * _slowest(panel[0]) if panel else 0.0
        if len(panel) == MOST_A_PANEL or _slowest(row) > most_ms:
            panels.append([])
        panels[-1].append(row)
    return panels


def _slowest(row: Row) -> float:
    return max(estimate.value for estimate in row.ranked.values())


def _bars(rows: Sequence[Row], names: dict[Spec, str], columns: Sequence[str]) -> Iterator[Mark]:
    for row in rows:
        for column in columns:
            if column not in row.ranked:
                continue
            value = value_of(row.configurations[column], row.word)
            assert value.value is not None
            name, group = names[row.spec], _group(column)
            yield Mark(
                f"{name}: {group}",
                name,
                value.value,
                y_interval=value.interval,
                colour=group,
                form="bar",
            )


def _group(column: str) -> str:
    """A column's name; the usual precision goes without saying."""
    return column.replace(USUAL, "")


def _remarks(
    table: Across, shown: Shown, names: dict[Spec, str], others: Sequence[Across]
) -> Iterator[str]:
    yield "Total time: the forward pass in the engine plus our postprocessing, if any."
    if any("int8" in column for column in table.columns):
        yield "For int8 only the time is meaningful, not the detections."
    bars = [(row, column) for row in shown.rows for column in row.ranked]
    yield from bars_remark(value_of(row.configurations[column], row.word) for row, column in bars)
    counts = Counter(flag for row, column in bars for flag in row.ranked[column].flags)
    if counts:
        flags = (f"{flag} ({count} of {len(bars)} bars)" for flag, count in sorted(counts.items()))
        yield f"Flags: {', '.join(flags)}."
    yield from _left_out(table, shown, names, others)


def _left_out(
    table: Across, shown: Shown, names: dict[Spec, str], others: Sequence[Across]
) -> Iterator[str]:
    differing = [
        f"{names[row.spec]} in {_group(column)}"
        for row in table.rows
        for column, estimate in row.estimates.items()
        if NOT_COMPARED in estimate.flags
    ]
    failed = [
        f"{names[row.spec]} in {_group(column)} ({why_not(each)})"
        for row in table.rows
        for column, each in row.configurations.items()
        if each.status != Status.OK
    ]
    if failed:
        yield f"Failed: {listed(failed)}."
    if differing:
        yield f"Left out, {NOT_COMPARED}: {listed(differing)}."
    if shown.too_many:
        yield f"Left out, the slowest: {counted(shown.too_many, 'network')}."
    alone = sum(len(row.ranked) == 1 for row in table.rows)
    if alone:
        yield f"Left out, measured in one engine only: {counted(alone, 'network')}."
    if others:
        elsewhere = "; ".join(f"{len(_both(other))} on {other.setup}" for other in others)
        yield f"Left out, from other devices or settings: {elsewhere}."
