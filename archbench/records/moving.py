"""Records moved between results folders: dropped into the bin of their own, or merged into another.

Nothing is removed that was not copied before and is on the disk, so that a command that is killed
at any moment has lost nothing, and may be given again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from archbench.locks import held
from archbench.records.schema import Record
from archbench.records.store import (
    LEFT,
    MOST_BYTES,
    SAMPLES,
    Line,
    Store,
    append_line,
    open_locked,
    todays_file,
)
from archbench.spec import UsageError


def drop(store: Store, ids: Collection[str]) -> Path:
    """Move records out of a folder into its bin; give the bin.

    Raises UsageError where the folder cannot be locked: others may be writing.
    """
    into = Store(store.bin, warn=store.warn)
    into.check_writable()
    with held(store.folder) as is_alone:
        if not is_alone:
            raise UsageError(f"results folder {store.folder} cannot be locked: nothing was dropped")
        lines = [line for line in store.lines() if line.record.record_id in ids]
        binned = {line.data.strip() for line in into.lines()}
        new = [line for line in lines if line.data.strip() not in binned]
        _copy(new, into, has_locks=True)
        for folder in (into.folder, into.folder / SAMPLES):
            _sync(folder)
        for file in dict.fromkeys(line.file for line in lines):
            _remove(file, {line.data for line in lines if line.file == file})
        for line in lines:
            if samples := _samples(line):
                samples.unlink()
    return into.folder


def merge(sources: Sequence[Store], into: Store) -> tuple[list[Record], list[Record]]:
    """Copy the records of some folders into another, which has none twice; give those that were
    copied, and those that were there already. The sources stay as they are.
    """
    into.check_writable()
    with held(into.folder) as has_locks:
        known = {line.record.record_id for line in into.lines()}
        copied: dict[str, Line] = {}
        there: dict[str, Line] = {}
        for source in sources:
            # The last of two with one id holds, and the first folder before another.
            of_source = {line.record.record_id: line for line in source.lines()}
            for record_id, line in of_source.items():
                (there if record_id in known else copied).setdefault(record_id, line)
        _copy(copied.values(), into, has_locks=has_locks)
    return _records(copied), _records(there)


def _records(lines: dict[str, Line]) -> list[Record]:
    return sorted((line.record for line in lines.values()), key=lambda record: record.time_utc)


def _copy(lines: Iterable[Line], into: Store, *, has_locks: bool) -> None:
    """Append lines as they are to a folder, the samples of each before it."""
    path = into.folder / todays_file(has_locks=has_locks)
    for line in lines:
        if samples := _samples(line):
            into.move_in(samples, into.folder / SAMPLES / samples.name)
        append_line(path, line.data.rstrip(b"\n") + b"\n")


def _sync(folder: Path) -> None:
    """Have the names of a folder's files on the disk, where its file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _samples(line: Line) -> Path | None:
    """The file of a record's samples, where it is there and called as archbench calls it."""
    name = f"{line.record.record_id}.npz"
    path = line.file.parent / SAMPLES / name
    is_own = LEFT.fullmatch(name) and line.record.samples == f"{SAMPLES}/{name}"
    return path if is_own and path.is_file() else None


def _remove(file: Path, lines: Collection[bytes]) -> None:
    """Write a file anew without some of its lines, and put it in the place of the old one, which is
    locked meanwhile; remove one that has no others.
    """
    descriptor, is_alone = open_locked(file)
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        if not is_alone:
            raise UsageError(f"{file} cannot be locked: nothing was dropped from it")
        with file.open("rb") as reader, temporary.open("wb") as writer:
            while line := reader.readline(MOST_BYTES):
                if line not in lines:
                    writer.write(line)
            writer.flush()
            os.fsync(writer.fileno())
            is_empty = not writer.tell()
        if is_empty:
            file.unlink()
        else:
            shutil.copymode(file, temporary)
            temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink()
        os.close(descriptor)


def find(store: Store, beginnings: Iterable[str]) -> list[Line]:
    """Find the records whose ids begin so, in their order.

    Raises UsageError where none or several do.
    """
    by_id = {line.record.record_id: line for line in store.lines()}
    return [by_id[_id(by_id, beginning, store.folder)] for beginning in dict.fromkeys(beginnings)]


def _id(ids: Iterable[str], beginning: str, folder: Path) -> str:
    fitting = [record_id for record_id in ids if beginning and record_id.startswith(beginning)]
    if beginning in fitting:
        return beginning
    if not fitting:
        raise UsageError(
            f"no record {beginning!r} in {folder} (archbench records --results {folder} lists all)"
        )
    if len(fitting) > 1:
        some = ", ".join([*fitting[:3], *(["..."] if len(fitting) > 3 else [])])
        raise UsageError(f"ambiguous record id {beginning!r}: {some}")
    return fitting[0]
