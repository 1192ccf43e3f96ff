"""The stable columns of records as a table for people."""

from __future__ import annotations

from archbench.report.data.columns import GROUPS, Described, described
from archbench.report.tables.table import Column, Table

NOTE = (
    "These names and units are those of compare --csv and --json; tables for people round and "
    "scale. What was not measured is empty, and "
    "--json says why. published_* quote the paper's own figure, on its own device."
)


def tables() -> list[Table]:
    """A table for each group."""
    columns = [Column("column", "left"), Column("unit", "left"), Column("", "left")]
    drawn = [
        Table(
            columns, [_row(column) for column in described() if column.group == group], title=group
        )
        for group in GROUPS
    ]
    return [*drawn[:-1], Table(columns, drawn[-1].rows, drawn[-1].title, (NOTE,))]


def _row(column: Described) -> list[str]:
    """What a name says by itself is not said again."""
    return [
        column.name,
        column.unit,
        "" if column.what == column.name.replace("_", " ") else column.what,
    ]
