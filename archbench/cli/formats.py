"""The forms in which a command prints what it found: tables for people, or one of the stable and the typeset ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.spec import UsageError

if TYPE_CHECKING:
    from archbench.report.tables import Table

AsCsv = Annotated[bool, typer.Option("--csv", help="Print as CSV, in base units.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print the tables as LaTeX.")]


def the_format(*, csv: bool, json: bool, markdown: bool, latex: bool) -> str:
    """The one format that was asked for; empty: tables for people."""
    asked = [name for name, wanted in {"csv": csv, "json": json, "markdown": markdown, "latex": latex}.items() if wanted]
    if len(asked) > 1:
        raise UsageError("--csv, --json, --markdown and --latex exclude one another: give one of them")
    return asked[0] if asked else ""


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Print rows as CSV or, as whole as they are, as JSON."""
    from archbench.report.rows import write_csv

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
