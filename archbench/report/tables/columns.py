"""The stable columns of records as a table for people."""

from __future__ import annotations

from archbench.report.data.columns import GROUPS, Described, described
from archbench.report.tables.table import Column, Table

NOTE = (
    "Names and units as in compare --csv and --json; other tables round and scale. Figures that "
    "were not measured are empty, and --json says why. published_* columns quote the paper's own "
    "figure, on its own device."
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
