"""`archbench records`: which records a folder has, and how they leave it and come into it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.cli.exit import Exit
from archbench.cli.formats import AsJson, AsLatex, AsMarkdown, print_tables, the_format
from archbench.cli.reading import require_folder, say_empty
from archbench.escaping import visible
from archbench.records import DEFAULT_FOLDER, Record, Store, moving
from archbench.report.tables.words import counted
from archbench.spec import UsageError


def records(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[ACTION]",
            help="list; show ID; drop ID...; or merge DIR... into the results folder.",
        ),
    ] = "list",
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID|DIR]...", help="Record ids, or unique prefixes of them."),
    ] = None,
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the records.", show_default=True)
    ] = DEFAULT_FOLDER,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
) -> int:
    """List the records of a folder, show one, drop some, or merge other folders into it.

    Dropped records go to the folder bin inside the results folder, from which merge brings them
    back. Merged folders stay as they are.

    Example: archbench records drop 1a2b3c4d
    """
    form = the_format(json=as_json, markdown=as_markdown, latex=as_latex)
    if action not in ACTIONS:
        raise UsageError(f"invalid action {action!r} (choose from {', '.join(ACTIONS)})")
    needs, act = ACTIONS[action]
    given = what or []
    if bool(needs) != bool(given):
        wanted = f"takes {needs}" if needs else "takes nothing more"
        raise UsageError(f"records {action} {wanted}: archbench records {action} {needs}".strip())
    if action != "merge":
        require_folder(results)
    return act(Store(results), given, form)


def _list(store: Store, _: Sequence[str], form: str) -> int:
    from archbench.report.data.listing import listed
    from archbench.report.tables.listing import listing_tables

    # The last of two with one id holds.
    lines = {line.record.record_id: line for line in store.lines()}.values()
    ordered = sorted(lines, key=lambda line: (line.file, line.record.time_utc))
    rows = [listed(line.record, line.file) for line in ordered]
    if form == "json":
        print(json.dumps(rows, indent=2, allow_nan=False))
    else:
        print_tables(listing_tables(rows), form)
    if not rows:
        say_empty(store.folder)
        return Exit.USAGE
    return Exit.DONE


def _show(store: Store, beginnings: Sequence[str], form: str) -> int:
    from archbench.cli.profile import print_record

    found = moving.find(store, beginnings)
    if len(found) > 1:
        raise UsageError("records show takes one id")
    record = found[0].record
    if form == "json":
        print(json.dumps(record.to_dict(), indent=2, allow_nan=False))
        return Exit.DONE
    print(visible(f"record {record.record_id} of {record.time_utc}, {found[0].file}"))
    print(visible(record.command()), end="\n\n")
    print_record(record, {}, form)
    return Exit.DONE


def _drop(store: Store, beginnings: Sequence[str], form: str) -> int:
    ids = [line.record.record_id for line in moving.find(store, beginnings)]
    folder = moving.drop(store, ids)
    back = shlex.join(
        ["archbench", "records", "merge", str(folder), "--results", str(store.folder)]
    )
    _tell(
        {"dropped": ids, "bin": str(folder), "recover": back},
        f"dropped {counted(len(ids), 'record')} into {folder}; to restore everything there: {back}",
        form,
    )
    return Exit.DONE


def _merge(store: Store, folders: Sequence[str], form: str) -> int:
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UsageError(f"no results folder {folder}")
        if folder.resolve() == store.folder.resolve():
            raise UsageError(f"{folder} is the results folder itself")
    copied, there = moving.merge([Store(folder) for folder in folders], store)
    known = f"; {counted(len(there), 'record')} already there" if there else ""
    data = {"merged": _ids(copied), "already_there": _ids(there)}
    _tell(data, f"merged {counted(len(copied), 'record')} into {store.folder}{known}", form)
    return Exit.DONE


def _ids(records: Sequence[Record]) -> list[str]:
    return [record.record_id for record in records]


def _tell(data: dict[str, Any], text: str, form: str) -> None:
    print(json.dumps(data, indent=2) if form == "json" else visible(text))


ACTIONS: dict[str, tuple[str, Callable[[Store, Sequence[str], str], int]]] = {
    "list": ("", _list),
    "show": ("ID", _show),
    "drop": ("ID...", _drop),
    "merge": ("DIR...", _merge),
}
"""What can be done: what each takes, and how it is done."""
