"""Which records a command reads: the flags that say so, and how results folders are read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from archbench.cli.messages import is_verbose, say
from archbench.records import DEFAULT_FOLDER, Record, Store
from archbench.spec import UsageError

EXAMPLE = "archbench profile vovnet39 --detector refinedet320"
RECORDS = "Records"
"""The heading of what is read."""

Results = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the records. Repeatable. Default: ./results.",
        rich_help_panel=RECORDS,
    ),
]


@dataclass(frozen=True, kw_only=True)
class RecordFlags:
    """Which records are read: those of some folders, on devices of a name."""

    results: Results = None
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="Only devices whose name contains this.")
    ] = ""


def read_records(folders: Sequence[Path] | None, *, quietly: bool = False) -> list[Record]:
    """Read results folders, a record that several of them have once; say on stderr, unless quietly,
    how to fill one that is empty.

    One that was named and is not there is a UsageError.
    """
    records: dict[str, Record] = {}
    for folder in folders or [DEFAULT_FOLDER]:
        require_folder(folder)
        store = Store(folder)
        read = store.read()
        if is_verbose():
            say(f"{folder}: records read: {len(read)}, from files: {len(store.files())}")
        if not read and not quietly:
            say_empty(folder)
        records |= {record.record_id: record for record in read}
    return sorted(records.values(), key=lambda record: record.time_utc)


def require_folder(folder: Path) -> None:
    """Raise UsageError where a folder was named that is not there."""
    if folder != DEFAULT_FOLDER and not folder.is_dir():
        where = shlex.quote(str(folder))
        raise UsageError(f"no results folder {folder}; to create it: {EXAMPLE} --results {where}")


def say_empty(folder: Path) -> None:
    """Say that a folder has no records, and which folder or command has."""
    say(f"no records in {folder}{instead_of(folder)}")


def instead_of(folder: Path) -> str:
    """What to read instead of a folder without records, or how to fill it."""
    having = Store(folder).folders_within()
    if not having:
        return f"; to create one: {EXAMPLE}"
    first = shlex.quote(str(having[0]))
    return f"; its subfolders have some ({', '.join(map(str, having))}): --results {first}"
