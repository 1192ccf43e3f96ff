"""Prepared networks, kept from one job to the next: folders of files by what they were made of.

A folder is whole or not there, is opened only where every file still has the hash that it was kept
with, and is not removed while somebody reads it. Nothing in it is code. Torch-free.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archbench.cache import folder as user_cache
from archbench.files import writing_to
from archbench.locks import held, lock

MOST_BYTES = 4 << 30
"""What all prepared networks together may take; the ones that were not used longest go first."""
ABOUT = "about.json"
"""The file of a folder that says what it was made of, what it holds, and what is to be known."""
COMING = "coming-"
"""What the names of folders begin with that are not whole yet."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Kept:
    """A folder of a prepared network, and what whoever made it says of it."""

    folder: Path
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Shelf:
    """Where prepared networks stand: a folder that nobody else may read or write."""

    root: Path
    most_bytes: int = MOST_BYTES

    @contextmanager
    def hold(self, key: Mapping[str, Any]) -> Iterator[Kept | None]:
        """Hold what was made of a key for a while, so that nobody removes it; None where nothing
        was, or it is not whole.
        """
        path = self._path(key)
        with held(path, shared=True):
            about = _about(path, key)
            if about is None:
                yield None
                return
            with suppress(OSError):
                os.utime(path)
            yield Kept(path, about)

    def make(self, key: Mapping[str, Any], fill: Callable[[Path], Mapping[str, Any]]) -> None:
        """Have a folder filled and keep it under a key with what `fill` says of it.

        One process fills at a time, and none where another just has.
        """
        with self._alone(key):
            with self.hold(key) as there:
                if there:
                    return
            coming = Path(tempfile.mkdtemp(prefix=COMING, dir=self.root))
            try:
                with held(coming), writing_to(self.root):
                    found = fill(coming)
                    _write_about(coming, key, found)
                    self._put(coming, self._path(key))
            finally:
                shutil.rmtree(coming, ignore_errors=True)
            self.shrink()

    def shrink(self) -> None:
        """Remove what was left unfinished, and what was not used longest until the rest is small
        enough; what somebody holds stays.
        """
        sizes: dict[Path, int] = {}
        for path in sorted(self._folders(), key=_last_used):
            if path.name.startswith(COMING):
                self._remove(path)
            else:
                sizes[path] = _bytes(path)
        left = sum(sizes.values())
        for path, size in list(sizes.items())[:-1]:
            if left <= self.most_bytes:
                return
            if self._remove(path):
                left -= size

    def _folders(self) -> list[Path]:
        return [path for path in self.root.iterdir() if path.is_dir()]

    def _remove(self, path: Path) -> bool:
        """Remove a folder that nobody holds; say whether it is gone."""
        with held(path, wait=False) as is_free:
            if is_free:
                shutil.rmtree(path, ignore_errors=True)
        return is_free

    def _put(self, coming: Path, path: Path) -> None:
        """Have a whole folder take its place; what is damaged there makes room."""
        if path.exists():
            self._remove(path)
        coming.rename(path)

    @contextmanager
    def _alone(self, key: Mapping[str, Any]) -> Iterator[None]:
        """Be the only one who makes what a key stands for."""
        with (self.root / f"{_name(key)}.lock").open("a") as file:
            lock(file.fileno())
            yield

    def _path(self, key: Mapping[str, Any]) -> Path:
        return self.root / _name(key)


def open_shelf(otherwise: Path, *, is_lasting: bool = True) -> Shelf:
    """Open the user's shelf of prepared networks; one in the folder `otherwise` where there is none
    that is the user's alone, or nothing is to last.
    """
    cache = user_cache() if is_lasting else None
    for root in (cache / "engines" if cache else None, otherwise / "engines"):
        if root and _is_own(root):
            return Shelf(root)
    raise OSError(f"no folder for prepared networks in {otherwise}")


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file's contents."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _is_own(root: Path) -> bool:
    """Make a folder if it is not there; say whether it is this user's and nobody else's."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.lstat()
    except OSError:
        return False
    is_ours = status.st_uid == os.getuid() and not status.st_mode & 0o077
    return is_ours and not root.is_symlink() and os.access(root, os.W_OK)


def _name(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def _write_about(folder: Path, key: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    about = {"key": key, "files": files, "found": found}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _about(folder: Path, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What was said of a folder; None unless it is of that key and holds just the files that it was
    kept with.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["key"] != json.loads(json.dumps(key)):
            return None
        there = {path.name for path in folder.iterdir()} - {ABOUT}
        files = about["files"]
        if there != files.keys():
            return None
        if any(file_hash(folder / name) != expected for name, expected in files.items()):
            return None
        return dict(about["found"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _bytes(folder: Path) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def _last_used(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
