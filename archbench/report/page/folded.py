"""The records that one row of the page stands for."""

from __future__ import annotations

from collections.abc import Sequence

from archbench.quantities import QUANTITIES
from archbench.report.data.configurations import Configuration
from archbench.report.data.names import short_names
from archbench.report.page.summary import days
from archbench.report.tables.deciding import whole_time
from archbench.report.tables.table import MISSING, Column, Table

COLUMNS = [
    Column("network", "left"),
    Column("measured on", "left"),
    Column("status", "left"),
    Column("records"),
    Column("of earlier versions"),
    Column("made", "left"),
    Column("total (ms)"),
    Column("processes"),
    Column("their medians (ms)"),
]


def folded_table(configurations: Sequence[Configuration]) -> Table:
    """Give a row for each configuration of several records; figures are not of those of earlier
    versions of archbench.
    """
    names = short_names(each.spec for each in configurations)
    rows = [
        [names[each.spec], each.setup, each.status, *_records(each), *_time(each)]
        for each in configurations
        if len(each.records) + len(each.earlier) > 1
    ]
    return Table(COLUMNS, rows)


def _records(configuration: Configuration) -> list[str]:
    records = [*configuration.earlier, *configuration.records]
    earlier = len(configuration.earlier)
    return [f"{len(records):,}", f"{earlier:,}" if earlier else "", days(records)]


def _time(configuration: Configuration) -> list[str]:
    """The total time, the processes that it is of, and the range of their medians."""
    time, row = whole_time(configuration), QUANTITIES["total_ms"]
    if time is None:
        return [MISSING, "", ""]
    ends = [row.show(end) for end in time.interval or ()] if time.processes > 1 else []
    return [row.show(time.value), f"{time.processes:,}", " to ".join(ends)]
