"""The results folder: one JSON Lines file a writer, appended to and never rewritten; sample arrays
beside them.

results/<host>-<pid>.jsonl          a record a line; <host> is a hash
results/samples/<record_id>.npz     its samples, there before the record that names them
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from archbench import escaping
from archbench.records.decoding import Decoder
from archbench.records.reading import RecordError, read_line
from archbench.records.schema import Record
from archbench.spec import UsageError

DEFAULT_FOLDER = Path("results")
SAMPLES = "samples"
MOST_BYTES = 2**24
"""A line of so many bytes is no record: the largest has some ten thousand."""


def host_id() -> str:
    """A short hash that tells machines apart without naming them."""
    return hashlib.sha256(f"{platform.node()}/{platform.machine()}".encode()).hexdigest()[:8]


def warn_on_stderr(message: str) -> None:
    """Print a warning where it does not mix with results."""
    print(escaping.message(f"warning: {message}"), file=sys.stderr)


class Store:
    """A results folder: append records, read them all."""

    def __init__(
        self, folder: Path | str = DEFAULT_FOLDER, *, warn: Callable[[str], None] = warn_on_stderr
    ) -> None:
        self.folder = Path(folder)
        self.warn = warn

    def check_writable(self) -> None:
        """Make the folder if need be; raise UsageError, before any work is done, where nothing can
        be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise UsageError(
                f"results folder {self.folder} cannot be written: {error.strerror}"
            ) from None

    def append(self, record: Record, samples: Path | None = None) -> Record:
        """Write a record in one append, its samples file moved in first; give the record as
        written.
        """
        if samples is not None and samples.exists():
            name = f"{SAMPLES}/{record.record_id}.npz"
            try:
                self._move_in(samples, self.folder / name)
            except OSError as error:
                self.warn(f"{self.folder / name}: the samples could not be kept: {error.strerror}")
            else:
                record = replace(record, samples=name)
        try:
            self._append(record)
        except OSError as error:
            raise UsageError(
                f"results folder {self.folder} cannot be written: {error.strerror}"
            ) from None
        return record

    def _append(self, record: Record) -> None:
        line = json.dumps(record.to_dict(), allow_nan=False, separators=(",", ":")) + "\n"
        path = self.folder / f"{host_id()}-{os.getpid()}.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            data = (b"\n" if torn else b"") + line.encode()
            # A disk that fills up takes a part of the line and says so only when asked to take the
            # rest.
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[Record]:
        """Read every record, oldest first; the last of two with one id holds. A line that is none
        is warned of and skipped.
        """
        decoder = Decoder()
        with uncollected():
            records = {
                record.record_id: record
                for path in self.files()
                for record in self._read(path, decoder)
            }
        return sorted(records.values(), key=lambda record: record.time_utc)

    def files(self) -> list[Path]:
        """Every file of records; raises UsageError for a folder that cannot be read."""
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == ".jsonl")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"results folder {self.folder} cannot be read: {error.strerror}"
            ) from None

    def _read(self, path: Path, decoder: Decoder) -> Iterator[Record]:
        """Read the records of one file; a pipe would block and a device never end."""
        try:
            if not path.is_file():
                self.warn(f"{path}: skipped, not a regular file")
                return
            with path.open("rb") as file:
                lines = iter(partial(file.readline, MOST_BYTES), b"")
                for number, line in enumerate(lines, start=1):
                    if len(line) == MOST_BYTES and not line.endswith(b"\n"):
                        self.warn(f"{path}:{number}: the rest is skipped, a line without an end")
                        return
                    if not line.strip():
                        continue
                    tell = partial(self._tell, f"{path}:{number}")
                    try:
                        yield decoder.record(line) or read_line(line, tell)
                    except RecordError as error:
                        tell(f"skipped, {error}")
        except OSError as error:
            self.warn(f"{path}: skipped, {error.strerror}")

    def _tell(self, where: str, what: str) -> None:
        self.warn(f"{where}: {what}")

    @staticmethod
    def _move_in(source: Path, target: Path) -> None:
        """Copy a file in under a temporary name and rename it, so that it is there whole or not at
        all.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        with source.open("rb") as reader, temporary.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(target)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking, again and again, at records that are all kept."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
