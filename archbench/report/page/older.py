"""The older records of each configuration, which the page sums up in a row."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from archbench.records import Record
from archbench.report.data.configurations import Configuration
from archbench.report.data.names import short_names
from archbench.report.tables.table import MISSING, Column, Table

TIME = "latency_ms"
COLUMNS = [
    Column("network", "left"),
    Column("measured on", "left"),
    Column("status", "left"),
    Column("older records"),
    Column("made", "left"),
    Column("forward, median (ms)"),
    Column("of all (ms)"),
]


def older_records(configuration: Configuration) -> list[Record]:
    """Give all records of a configuration but the newest, the oldest first."""
    return [*configuration.earlier, *configuration.records[:-1]]


def older_table(configurations: Sequence[Configuration]) -> Table:
    """Give a row for each configuration that has older records."""
    names = short_names(configuration.spec for configuration in configurations)
    older = [(configuration, older_records(configuration)) for configuration in configurations]
    rows = [
        [names[configuration.spec], configuration.setup, configuration.status, *_summary(records)]
        for configuration, records in older
        if records
    ]
    return Table(COLUMNS, rows)


def _summary(records: Sequence[Record]) -> list[str]:
    days = sorted({record.time_utc[:10] for record in records})
    dates = f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0]
    values = [record.value(TIME) for record in records]
    times = [time for time in values if time is not None]
    if not times:
        return [f"{len(records):,}", dates, MISSING, MISSING]
    span = f"{min(times):,.2f} to {max(times):,.2f}" if len(times) > 1 else ""
    return [f"{len(records):,}", dates, f"{median(times):,.2f}", span]
