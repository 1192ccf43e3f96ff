"""How names of columns, values and numbers of things read in tables and captions."""

from __future__ import annotations

from typing import Any

from archbench.report.tables.table import MISSING

HEADING_WIDTH = 12


def heading(column: str) -> str:
    """A column's name in lines, broken behind underscores."""
    lines = [""]
    for part in column.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1] + part) > HEADING_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def in_base_units(value: Any) -> str:
    """A value of a row as it stands in the CSV, in a few digits, thousands apart."""
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def counted(count: int, word: str) -> str:
    """A number of things: 1 record, 2,000 records."""
    return f"{count:,} {word}{'s' * (count != 1)}"
