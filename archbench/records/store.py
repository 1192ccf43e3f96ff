"""The results folder: one JSON Lines file a machine and day, appended to by one writer at a time;
sample arrays beside them.

results/<host>-<day>.jsonl          a record a line; <host> is a hash
results/<host>-<day>-<pid>.jsonl    the same where the file system has no locks, one a writer
results/samples/<record_id>.npz     its samples, there before the record that names them
"""

from __future__ import annotations

import datetime
import gc
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from archbench import escaping
from archbench.files import FULL
from archbench.locks import held, lock
from archbench.records.decoding import Decoder
from archbench.records.reading import RecordError, read_line
from archbench.records.schema import Record
from archbench.records.unsaved import Kept, keep, waiting
from archbench.spec import UsageError

DEFAULT_FOLDER = Path("results")
SAMPLES, BIN = "samples", "bin"
LEFT = re.compile(r".*\.tmp$|[0-9a-f]{8,32}\.npz$")
"""What a writer that is killed may leave among the samples; a user's own files are called
otherwise.
"""
IGNORED = "# Made by archbench; remove this file to commit the records.\n*\n"
MOST_BYTES = 2**24
"""A line of so many bytes is no record: the largest has some ten thousand."""


def host_id() -> str:
    """A short hash that tells machines apart without naming them."""
    return hashlib.sha256(f"{platform.node()}/{platform.machine()}".encode()).hexdigest()[:8]


def todays_file(*, has_locks: bool) -> str:
    """Name the file that this machine appends to; without locks, this process alone."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    own = "" if has_locks else f"-{os.getpid()}"
    return f"{host_id()}-{day}{own}.jsonl"


def print_line(line: str) -> None:
    """Print a record's line."""
    print(line, end="", flush=True)


def as_line(record: Record) -> str:
    """Give a record as its line in a file."""
    return json.dumps(record.to_dict(), allow_nan=False, separators=(",", ":")) + "\n"


def open_locked(path: Path) -> tuple[int, bool]:
    """Open a file to append to, made if need be, and lock it; give its descriptor, and whether the
    lock was to be had.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        is_alone = lock(descriptor)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor, is_alone
        # Whoever held the lock has put another file in its place, or removed it.
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file, whole or not at all; raises OSError where that cannot be."""
    descriptor, is_alone = open_locked(path)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line
        try:
            # A disk that fills up takes a part of the line and says so only when asked to take the
            # rest.
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:
            if is_alone and size:
                os.ftruncate(descriptor, size)
            elif is_alone:
                path.unlink(missing_ok=True)
            raise
    finally:
        os.close(descriptor)


def lines_of(file: IO[bytes]) -> Iterator[bytes | None]:
    """Give every line of a file; None for one of more than `MOST_BYTES`, which is not held."""
    while line := file.readline(MOST_BYTES):
        if len(line) < MOST_BYTES or line.endswith(b"\n"):
            yield line
            continue
        yield None
        while line and not line.endswith(b"\n"):
            line = file.readline(MOST_BYTES)


def warn_on_stderr(message: str) -> None:
    """Print a warning where it does not mix with results."""
    with suppress(OSError):
        print(escaping.message(f"warning: {message}"), file=sys.stderr)


@dataclass(frozen=True)
class Line:
    """A record where it stands, as it is written there."""

    file: Path
    data: bytes = field(repr=False)
    record: Record


class Store:
    """A results folder: append records, read them all."""

    def __init__(
        self,
        folder: Path | str = DEFAULT_FOLDER,
        *,
        warn: Callable[[str], None] = warn_on_stderr,
        show: Callable[[str], None] = print_line,
    ) -> None:
        self.folder = Path(folder)
        self.warn = warn
        self.show = show
        """Shows the line of a record that the folder did not take and that is kept elsewhere."""
        self.unsaved = 0
        """Records that the folder did not take."""
        self.files_of: dict[str, Path] = {}
        """The file that each record went to which was appended here, by id."""

    def prepare(self) -> None:
        """Make the folder ready for a writer: bring in what could not be appended earlier, remove
        what writers that were killed have left. Raises UsageError as `check_writable` does.
        """
        self.check_writable()
        with waiting(self.folder, self.warn) as records:
            self._bring_in(records)
        with held(self.folder, wait=False) as is_alone:
            # A record that is being appended has its samples there before itself.
            if is_alone:
                self._remove_left_behind()

    def check_writable(self) -> None:
        """Make the folder if need be; raise UsageError, before any work is done, where nothing can
        be written.
        """
        try:
            self._make_folder()
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            is_taken = os.path.lexists(self.folder) and not self.folder.is_dir()
            why = "not a folder" if is_taken else error.strerror
            raise UsageError(f"results folder {self.folder} cannot be written: {why}") from None

    def append(self, record: Record, samples: Path | None = None) -> Record:
        """Write a record in one append, its samples file moved in first; give the record as
        written.

        What the folder does not take is shown, and kept for the next writer (`unsaved`). Raises
        UsageError where it can be neither.
        """
        try:
            return self._write(record, samples)
        except OSError as error:
            self._keep_elsewhere(record, samples, error)
            return record

    def _write(self, record: Record, samples: Path | None) -> Record:
        self._make_folder()
        with held(self.folder, shared=True) as has_locks:
            written = self._with_samples(record, samples)
            try:
                path = self.folder / todays_file(has_locks=has_locks)
                append_line(path, as_line(written).encode())
            except OSError:
                if written is not record:
                    (self.folder / written.samples).unlink(missing_ok=True)
                raise
        self.files_of[written.record_id] = path
        return written

    def _make_folder(self) -> None:
        """Make the folder if need be, and the default one such that git leaves it alone."""
        is_new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        if is_new and self.folder == DEFAULT_FOLDER:
            (self.folder / ".gitignore").write_text(IGNORED, encoding="utf-8")

    def _with_samples(self, record: Record, samples: Path | None) -> Record:
        """Move a record's samples in; raises OSError where the disk is full, which would take the
        record without them.
        """
        if samples is None or not samples.exists():
            return record
        name = f"{SAMPLES}/{record.record_id}.npz"
        try:
            self.move_in(samples, self.folder / name)
        except OSError as error:
            if error.errno in FULL:
                raise
            self.warn(f"{self.folder / name}: the samples could not be kept: {error.strerror}")
            return record
        return replace(record, samples=name)

    def _keep_elsewhere(self, record: Record, samples: Path | None, error: OSError) -> None:
        failed = f"results folder {self.folder} cannot be written: {error.strerror or error}"
        try:
            path = keep(record, samples, self.folder)
        except OSError:
            try:
                print(as_line(record), end="", flush=True)
            except OSError:
                raise UsageError(failed) from error
            self.warn(f"{failed}; record {record.record_id} is printed on stdout only")
        else:
            with suppress(OSError):
                self.show(as_line(record))
            self.warn(f"{failed}; {path} is appended when this folder is next written to")
        self.unsaved += 1

    def _bring_in(self, records: list[Kept]) -> None:
        known = self._mentioned("record_id") if records else set()
        for kept in records:
            if kept.record.record_id not in known:
                try:
                    self._write(kept.record, kept.samples)
                except OSError as error:
                    self.warn(f"{kept.path} cannot be appended yet: {error.strerror or error}")
                    continue
            kept.remove()

    def _remove_left_behind(self) -> None:
        """Remove samples that are of no record, whole or not, and files that were to replace
        others.
        """
        for path in self.folder.glob("*.jsonl.tmp"):
            path.unlink(missing_ok=True)
        try:
            found = [path for path in (self.folder / SAMPLES).iterdir() if LEFT.match(path.name)]
            named = self._mentioned(SAMPLES) if found else set()
        except OSError:
            return
        for path in found:
            if path.name.endswith(".tmp") or f"{SAMPLES}/{path.name}" not in named:
                with suppress(OSError):
                    path.unlink()

    def _mentioned(self, field: str) -> set[str]:
        """Give every value that any line has for a field of text; raises OSError where a file
        cannot be read.
        """
        pattern = re.compile(rf'"{field}":\s*"([^"\\]*)"'.encode())
        found: set[bytes] = set()
        for path in self.files():
            if path.is_file():
                with path.open("rb") as file:
                    for line in lines_of(file):
                        found.update(pattern.findall(line or b""))
        return {value.decode(errors="replace") for value in found}

    def read(self) -> list[Record]:
        """Read every record, oldest first; the last of two with one id holds. A line that is none
        is warned of and skipped.
        """
        with uncollected():
            records = {line.record.record_id: line.record for line in self._lines()}
        return sorted(records.values(), key=lambda record: record.time_utc)

    def lines(self) -> list[Line]:
        """Read every line that holds a record, file by file; others are warned of and skipped."""
        with uncollected():
            return list(self._lines())

    def _lines(self) -> Iterator[Line]:
        decoder = Decoder()
        for path in self.files():
            yield from self._read(path, decoder)

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

    def folders_within(self) -> list[Path]:
        """The folders directly within this one that have files of records, but for the bin."""
        try:
            return sorted({path.parent for path in self.folder.glob("*/*.jsonl")} - {self.bin})
        except OSError:
            return []

    @property
    def bin(self) -> Path:
        """The folder of dropped records, a results folder itself."""
        return self.folder / BIN

    def _read(self, path: Path, decoder: Decoder) -> Iterator[Line]:
        """Read the lines of one file; a pipe would block and a device never end."""
        try:
            if not path.is_file():
                self.warn(f"{path}: skipped, not a regular file")
                return
            with path.open("rb") as file:
                for number, line in enumerate(lines_of(file), start=1):
                    if line is None:
                        self.warn(f"{path}:{number}: skipped, more than {MOST_BYTES:,} bytes")
                        continue
                    if not line.strip():
                        continue
                    tell = partial(self._tell, f"{path}:{number}")
                    try:
                        record = decoder.record(line) or read_line(line, tell)
                        yield Line(path, line, record)
                    except RecordError as error:
                        tell(f"skipped, {error}")
        except OSError as error:
            self.warn(f"{path}: skipped, {error.strerror}")

    def _tell(self, where: str, what: str) -> None:
        self.warn(f"{where}: {what}")

    @staticmethod
    def move_in(source: Path, target: Path) -> None:
        """Copy a file in under a temporary name and rename it, so that it is there whole or not at
        all.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        try:
            with source.open("rb") as reader, temporary.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
                writer.flush()
                os.fsync(writer.fileno())
            temporary.replace(target)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


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
