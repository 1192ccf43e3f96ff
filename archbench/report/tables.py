"""A table of text cells and how it is written: plain columns, rich on a terminal, Markdown."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TextIO

MISSING = "-"
NOTE_WIDTH = 80
"""Columns at which notes are wrapped, or the table's own width where it is wider."""


@dataclass(frozen=True)
class Column:
    """A heading (its lines stand under each other) and the side to which cells are aligned."""

    heading: str
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Table:
    """Rows of text under columns, with a title above and notes below; an empty row is a gap."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def plain(self) -> str:
        """Aligned columns two spaces apart, no frame, no colour."""
        headings = [column.heading.split("\n") for column in self.columns]
        height = max(map(len, headings))
        top = [[("", *[""] * height, *lines)[-height:][i] for lines in headings] for i in range(height)]
        body = [row or [""] * len(self.columns) for row in self.rows]
        widths = [max(len(row[i]) for row in (*top, *body)) for i in range(len(self.columns))]
        lines = [self.title, ""] if self.title else []
        lines += [self._line(row, widths) for row in top]
        lines.append("  ".join("-" * width for width in widths))
        lines += [self._line(row, widths) for row in body]
        wide = max(NOTE_WIDTH, *map(len, lines))
        notes = [textwrap.fill(note, wide, break_on_hyphens=False) for note in self.notes]
        return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"

    def markdown(self) -> str:
        """A Markdown table; pipes in cells are escaped."""

        def row(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|").replace("-\n", "-").replace("\n", " ") for cell in cells) + " |"

        marks = ["---:" if column.align == "right" else "---" for column in self.columns]
        lines = [f"**{self.title}**", ""] if self.title else []
        lines += [row([column.heading for column in self.columns]), row(marks), *(row(cells) for cells in self.rows if cells)]
        return "\n".join([*lines, *(line for note in self.notes for line in ("", note))]) + "\n"

    def print(self, file: TextIO | None = None) -> None:
        """Write the table for whoever reads `file` (default: stdout): rich on a terminal, plain elsewhere."""
        file = file or sys.stdout
        if not file.isatty():
            file.write(self.plain())
            return
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table as RichTable

        table = RichTable(
            title=escape(self.title) or None, title_justify="left", title_style="bold",
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
        )  # fmt: skip
        for column in self.columns:
            table.add_column(escape(column.heading), justify=column.align)
        for cells in self.rows:
            table.add_row(*map(escape, cells or [""] * len(self.columns)))
        console = Console(file=file, highlight=False)
        console.print(table)
        if self.notes:
            console.print()
        for note in self.notes:
            console.print(escape(note), style="dim")

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = (
            cell.rjust(width) if column.align == "right" else cell.ljust(width)
            for cell, width, column in zip(cells, widths, self.columns, strict=True)
        )
        return "  ".join(padded).rstrip()
