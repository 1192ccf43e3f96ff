"""A table of text cells, written as plain columns, rich on a terminal, Markdown or LaTeX."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TextIO, TypeVar

from archbench.escaping import visible, visible_lines

T = TypeVar("T")

MISSING = "-"
NOTE_WIDTH = 80
"""Columns at which notes are wrapped, or the table's own width where it is wider."""
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        "[": "{[}",
        "*": "{*}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
"""What stands for itself in text only in this form."""
HYPHEN = re.compile(r"-(?=-)")
"""A hyphen that LaTeX would make a dash of with the next one."""
TAG, ENTITY = re.compile(r"<(?=[A-Za-z/!?])"), re.compile(r"&(?=#?\w+;)")
"""Where Markdown would take a text for HTML: a comparison such as "< 0.9" is none."""
PIPE = re.compile(r"(\\*)\|")


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

    def __post_init__(self) -> None:
        # Here every text comes by, in whatever form the table is written.
        columns = [
            replace(column, heading=visible_lines(column.heading)) for column in self.columns
        ]
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", [list(map(visible, row)) for row in self.rows])
        object.__setattr__(self, "title", visible(self.title))
        object.__setattr__(self, "notes", list(map(visible, self.notes)))

    def plain(self) -> str:
        """Aligned columns two spaces apart, no frame, no colour."""
        headings = [column.heading.split("\n") for column in self.columns]
        height = max(map(len, headings))
        top = [
            [("", *[""] * height, *lines)[-height:][i] for lines in headings] for i in range(height)
        ]
        body = [row or [""] * len(self.columns) for row in self.rows]
        widths = self.widths()
        lines = [self.title, ""] if self.title else []
        lines += [self._line(row, widths) for row in top]
        lines.append("  ".join("-" * width for width in widths))
        lines += [self._line(row, widths) for row in body]
        wide = max(NOTE_WIDTH, *map(len, lines))
        notes = [textwrap.fill(note, wide, break_on_hyphens=False) for note in self.notes]
        return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"

    def markdown(self) -> str:
        """A Markdown table; pipes in cells are escaped, and nothing in a text is taken for HTML."""

        def row(cells: Sequence[str]) -> str:
            return "| " + " | ".join(_markdown_cell(cell) for cell in cells) + " |"

        marks = ["---:" if column.align == "right" else "---" for column in self.columns]
        lines = [f"**{markdown_text(self.title)}**", ""] if self.title else []
        lines += [
            row([column.heading for column in self.columns]),
            row(marks),
            *(row(cells) for cells in self.rows if cells),
        ]
        notes = (line for note in self.notes for line in ("", markdown_text(note)))
        return "\n".join([*lines, *notes]) + "\n"

    def latex(self) -> str:
        """A LaTeX table, for any document class and without a package: the title is its caption,
        notes stand below.
        """

        def row(cells: Sequence[str]) -> str:
            texts = (latex_text(one_line(cell)) for cell in cells)
            return " & ".join(texts) + r" \\"

        sides = "".join("r" if column.align == "right" else "l" for column in self.columns)
        lines = [
            r"\begin{table}",
            r"\centering",
            *([rf"\caption{{{latex_text(self.title)}}}"] if self.title else []),
        ]
        lines += [
            rf"\begin{{tabular}}{{{sides}}}",
            r"\hline",
            row([column.heading for column in self.columns]),
            r"\hline",
        ]
        lines += [*(row(cells) for cells in self.rows if cells), r"\hline", r"\end{tabular}"]
        return (
            "\n".join(
                [
                    *lines,
                    *(rf"\par {{\footnotesize {latex_text(note)}}}" for note in self.notes),
                    r"\end{table}",
                ]
            )
            + "\n"
        )

    def split(self, width: int) -> list[Table]:
        """Give the table in parts no wider than `width` where columns allow it; each repeats the
        first column, the last has the notes.
        """
        widths = self.widths()
        parts: list[list[int]] = [[]]
        for index in range(1, len(self.columns)):
            taken = widths[0] + sum(2 + widths[i] for i in parts[-1])
            if parts[-1] and taken + 2 + widths[index] > width:
                parts.append([])
            parts[-1].append(index)
        tables = [
            replace(
                self,
                columns=_pick(self.columns, part),
                rows=[_pick(row, part) for row in self.rows],
                notes=(),
            )
            for part in parts
        ]
        tables = [tables[0], *(replace(table, title="") for table in tables[1:])]
        return [*tables[:-1], replace(tables[-1], notes=self.notes)]

    def widths(self) -> list[int]:
        """The characters that each column takes."""
        body = [row for row in self.rows if row]
        return [
            max(map(len, (*column.heading.split("\n"), *(row[i] for row in body))))
            for i, column in enumerate(self.columns)
        ]

    def print(self, file: TextIO | None = None) -> None:
        """Write the table for whoever reads `file` (default: stdout): rich on a terminal, plain
        elsewhere.
        """
        file = file or sys.stdout
        if not file.isatty():
            file.write(self.plain())
            return
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table as RichTable

        table = RichTable(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for column in self.columns:
            table.add_column(escape(column.heading), justify=column.align)
        for cells in self.rows:
            table.add_row(*map(escape, cells or [""] * len(self.columns)))
        console = Console(file=file, highlight=False)
        if self.title:
            # A table's own title would be folded at the table's width.
            console.print(escape(self.title), style="bold")
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


def _pick(cells: Sequence[T], indices: Iterable[int]) -> list[T]:
    """The first cell and some others, none of an empty row."""
    return [cells[0], *(cells[index] for index in indices)] if cells else []


def one_line(text: str) -> str:
    """Give a cell's text on one line; a hyphen at the end of a line joins what it parted."""
    return text.replace("-\n", "-").replace("\n", " ")


def markdown_text(text: str) -> str:
    """A text as Markdown has it where a tag or an entity of HTML would begin."""
    return TAG.sub("&lt;", ENTITY.sub("&amp;", text))


def _markdown_cell(text: str) -> str:
    # A backslash before a pipe would itself be escaped by the pipe's.
    return PIPE.sub(r"\1\1\|", markdown_text(one_line(text)))


def latex_text(text: str) -> str:
    """A text as LaTeX has it, the spaces before it as a space of its own."""
    bare = text.lstrip(" ")
    plain = HYPHEN.sub("-{}", bare.translate(LATEX))
    return (r"\quad " if bare != text and bare else "") + plain
