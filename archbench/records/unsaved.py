"""Records that their results folder did not take, as on a full disk: kept in a folder of the user's
until the next writer to that results folder brings them in.

unsaved/<record_id>.json            the record, and the results folder that it belongs to
unsaved/<record_id>.npz             its samples
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archbench.files import MOST_BYTES, user_folder
from archbench.locks import held
from archbench.records.reading import RecordError, read_record
from archbench.records.schema import Record


@dataclass(frozen=True)
class Kept:
    """A record that waits."""

    path: Path
    record: Record

    @property
    def samples(self) -> Path:
        """The file of its samples, where it has some."""
        return self.path.with_suffix(".npz")

    def remove(self) -> None:
        """Let it wait no longer."""
        self.path.unlink(missing_ok=True)
        self.samples.unlink(missing_ok=True)


def folder() -> Path | None:
    """The folder for such records, XDG_STATE_HOME/archbench/unsaved or that in ~/.local/state; None
    for a user without a home.
    """
    home = user_folder("XDG_STATE_HOME", ".local/state")
    return home / "unsaved" if home else None


def keep(record: Record, samples: Path | None, results: Path) -> Path:
    """Keep a record and its samples for a results folder; give the file. Raises OSError where that
    cannot be.
    """
    where = folder()
    if where is None:
        raise OSError("no home folder")
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{record.record_id}.json"
    temporary = path.with_suffix(".tmp")
    with held(where, shared=True):
        try:
            if samples is not None and samples.exists():
                shutil.copyfile(samples, path.with_suffix(".npz"))
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({"results": os.path.realpath(results), "record": record.to_dict()}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            path.with_suffix(".npz").unlink(missing_ok=True)
            raise
    return path


@contextmanager
def waiting(results: Path, warn: Callable[[str], None]) -> Iterator[list[Kept]]:
    """Give the records that wait for a results folder, to one writer at a time."""
    where = folder()
    if where is None or not where.is_dir():
        yield []
        return
    with held(where) as is_alone:
        if is_alone:
            _remove_left_behind(where)
        paths = sorted(where.glob("*.json"))
        belonging = os.path.realpath(results)
        yield [kept for path in paths if (kept := _read(path, belonging, warn))]


def _remove_left_behind(where: Path) -> None:
    """Remove what was being kept when its writer was killed."""
    for path in where.iterdir():
        is_orphaned = path.suffix == ".npz" and not path.with_suffix(".json").exists()
        if path.suffix == ".tmp" or is_orphaned:
            with suppress(OSError):
                path.unlink()


def _read(path: Path, results: str, warn: Callable[[str], None]) -> Kept | None:
    """Read a file; None for one of another results folder, or that is none."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise RecordError("not a record")
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or "record" not in data:
            raise RecordError("not a record")
        if data.get("results") != results:
            return None
        return Kept(path, read_record(data["record"], warn))
    except (OSError, ValueError, RecursionError) as error:
        warn(f"{path}: skipped, {error}")
        return None
