"""The page of columns: what `compare --csv` and `--json` give, from `archbench.quantities`."""

from __future__ import annotations

from archbench.quantities import QUANTITIES
from archbench.report.data.columns import GROUPS, Described, described
from from_code.markdown import code, table, text

HEAD = """# Columns

The columns of `archbench compare --csv` and `--json`, which `archbench list columns` prints too.
Their names, units and order are stable. A figure that was not measured is empty in CSV and null in
JSON, and the record says why ([reasons](reasons.md)).
"""
KEPT = """
## Kept in records alone

Figures that records hold and tables do not show as columns.

"""


def page() -> str:
    """Write the page."""
    columns = described()
    parts = [HEAD]
    for group in GROUPS:
        rows = [_row(column) for column in columns if column.group == group]
        parts.append(f"## {group.capitalize()}\n\n{table(['column', 'unit', 'meaning'], rows)}")
    rows = [
        [code(row.name), row.unit, text(row.meaning)]
        for row in QUANTITIES.values()
        if not row.is_column
    ]
    return "\n".join(parts) + KEPT + table(["name", "unit", "meaning"], rows)


def _row(column: Described) -> list[str]:
    known = QUANTITIES.get(column.name)
    meaning = known.meaning if known else f"{column.what[:1].upper()}{column.what[1:]}."
    return [code(column.name), column.unit, text(meaning)]
