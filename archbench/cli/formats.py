"""The forms in which a command prints what it found: tables for people, or one of the stable and
the typeset ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.spec import UsageError

if TYPE_CHECKING:
    from archbench.report.tables.table import Table


MAX_WIDTH = 120
"""The characters that a line of a table has at most, however wide the terminal is."""


def _form(flag: str, text: str) -> Any:
    return Annotated[bool, typer.Option(flag, help=text, rich_help_panel="Output")]


AsCsv = _form("--csv", "Print as CSV, in base units.")
AsJson = _form("--json", "Print as JSON.")
AsMarkdown = _form("--markdown", "Print the tables as Markdown.")
AsLatex = _form("--latex", "Print the tables as LaTeX.")


def the_format(**asked: bool) -> str:
    """The one format that was asked for, of those that a command has by name; empty: tables for
    people.
    """
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        *first, last = (f"--{name}" for name in asked)
        raise UsageError(f"{', '.join(first)} and {last} are mutually exclusive: give one of them")
    return chosen[0] if chosen else ""


def table_width(form: str) -> int | None:
    """The characters that a line of a table may have: on a terminal as many as it has, up to what
    is read with ease; None: no end of them, where people do not read it as it is.
    """
    from archbench.report.tables.table import NOTE_WIDTH

    if form:
        return None
    if not sys.stdout.isatty():
        return NOTE_WIDTH
    return min(max(NOTE_WIDTH, get_terminal_size().columns), MAX_WIDTH)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Print rows as CSV or, as whole as they are, as JSON."""
    from archbench.report.data.rows import write_csv

    if form == "csv":
        write_csv(rows, columns, sys.stdout)
    else:
        print(json.dumps(rows, indent=2, allow_nan=False))


def print_tables(tables: Iterable[Table], form: str) -> None:
    """Print tables one below the other: Markdown, LaTeX or, for people, as stdout takes them."""
    for index, table in enumerate(tables):
        if index:
            print()
        if form:
            print(table.markdown() if form == "markdown" else table.latex(), end="")
        else:
            table.print()
