"""Fewer records by how their configurations stand to one another: those on a frontier, the first
ones of an order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from archbench.quantities import FIGURES
from archbench.records import Record
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.configurations import Configuration, configurations
from archbench.report.data.frontier import frontier
from archbench.report.data.selection import column
from archbench.report.data.ties import Ranges
from archbench.spec import UsageError

Tabled = Callable[[Iterable[Configuration]], Mapping[str, Sequence[Configuration]]]
"""Sorts configurations into tables."""


def figure_column(name: str, flag: str) -> str:
    """A column of figures, of which one value may be better than another; raises UsageError for
    any other.
    """
    known = column(name)
    if known != "accuracy" and known not in FIGURES:
        raise UsageError(
            f"invalid {flag} {name} (a figure where less or more is better, such as total_ms)"
        )
    return known


def axes(text: str) -> list[str]:
    """The columns of a frontier, two or more of figures, as they are written: X,Y."""
    names = [name for name in text.split(",") if name.strip()]
    chosen = list(dict.fromkeys(figure_column(name, "--pareto") for name in names))
    if len(chosen) < 2:
        raise UsageError(
            f"invalid --pareto {text} (two or more figures, such as total_ms,accuracy)"
        )
    return chosen


def on_frontier(records: Sequence[Record], columns: Sequence[str], dataset: str) -> list[Record]:
    """Give the records of configurations that no other of their table is better than, in some
    columns.
    """
    kept: list[Configuration] = []
    for group in called_alike(configurations(records)):
        ranges = Ranges(group, Accuracies(dataset))
        figures = [{name: ranges.figure(each, name) for name in columns} for each in group]
        found = frontier(figures, columns)
        kept += [each for each, is_best in zip(group, found, strict=True) if is_best]
    return of(records, kept)


def first(records: Sequence[Record], count: int, tabled: Tabled) -> list[Record]:
    """Give the records of the first configurations of each table."""
    tables = tabled(configurations(records)).values()
    return of(records, [each for table in tables for each in table[:count]])


def called_alike(configurations: Iterable[Configuration]) -> list[list[Configuration]]:
    """Configurations of one setup, batch and mode together."""
    groups: dict[tuple[str, int, str], list[Configuration]] = {}
    for each in configurations:
        groups.setdefault((each.setup, each.spec.batch, each.spec.mode), []).append(each)
    return list(groups.values())


def of(records: Sequence[Record], kept: Iterable[Configuration]) -> list[Record]:
    """The records that are of some configurations, in their order."""
    identities = {record.record_id for each in kept for record in (*each.records, *each.earlier)}
    return [record for record in records if record.record_id in identities]
