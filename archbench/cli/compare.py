"""`archbench compare`: the records of a results folder side by side, the papers' figures with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from archbench.records import DEFAULT_FOLDER, Record, Store
from archbench.spec import UsageError

EXAMPLE = "archbench profile vovnet39 --detector refinedet320"


def compare(
    results: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the records.")] = DEFAULT_FOLDER,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row a record as CSV, in base units.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON, with every published figure of each network.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
) -> None:
    """Show what was counted and measured, a table for each device, with the papers' figures below ours.

    Example: archbench compare --csv > table.csv
    """
    if as_csv + as_json + as_markdown > 1:
        raise UsageError("--csv, --json and --markdown exclude one another: give one of them")
    from archbench.report.compare import rows_with_published, tables, write_csv

    records = read_records(results)
    if as_csv:
        write_csv(records, sys.stdout)
    elif as_json:
        print(json.dumps(rows_with_published(records), indent=2, allow_nan=False))
    elif as_markdown:
        print("\n".join(table.markdown() for table in tables(records, width=None)), end="")
    else:
        for index, table in enumerate(tables(records)):
            if index:
                print()
            table.print()


def read_records(folder: Path) -> list[Record]:
    """Read a results folder; say on stderr how to fill one that is empty. One that was named and is not there is a UsageError."""
    if folder != DEFAULT_FOLDER and not folder.is_dir():
        raise UsageError(f"there is no results folder {folder}; {EXAMPLE} --results {folder} would make it")
    records = Store(folder).read()
    if not records:
        print(f"no records in {folder}; a command that makes one: {EXAMPLE}", file=sys.stderr)
    return records
