"""The temporary folder of a job, and the end of those whose owners were killed. Torch-free."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from archbench.locks import held, lock
from archbench.spec import UsageError

ASKED = "job.json"
"""The file that says what the process of a job is asked for."""
PREFIX = "archbench-"
OWNER = "owner.lock"
"""The file in the folder that is locked as long as the folder's owner lives."""
COMING = "owner.new"
"""What that file is called until it is locked."""
COMING_S = 60.0
"""Longer than a folder is without its lock."""


@contextmanager
def job_folder() -> Iterator[Path]:
    """Make a temporary folder for a while."""
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / COMING).open("wb") as file:
            lock(file.fileno(), wait=False)
            (folder / COMING).rename(folder / OWNER)
            yield folder


def hand_over(asked: Mapping[str, Any], folder: Path) -> None:
    """Write down for a process what it is asked for; raises UsageError where that cannot be."""
    try:
        (folder / ASKED).write_text(json.dumps(asked), encoding="utf-8")
    except OSError as error:
        raise UsageError(cannot_write(error.strerror or str(error))) from None


def cannot_write(why: str) -> str:
    """Say that nothing can be written to such folders."""
    return f"temporary folder {gettempdir()} cannot be written: {why}; set TMPDIR to another"


def remove_abandoned() -> None:
    """Remove the folders of jobs whose owners live no more; those of others are left alone."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with held(folder / OWNER, wait=False) as is_abandoned:
                if is_abandoned or _never_came(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _never_came(folder: Path) -> bool:
    """Whether a folder's owner ended before it had locked it."""
    is_old = time.time() - folder.stat().st_mtime > COMING_S
    return is_old and [path.name for path in folder.iterdir()] == [COMING]
