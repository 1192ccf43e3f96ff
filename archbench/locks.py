"""Advisory locks on files and folders: a lock ends with the process that holds it, however that
ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file or folder for a while, alone or `shared` with others that share it.

    Gives whether it is held: it is not where the file is not there or its file system has no locks,
    nor where somebody else holds it and this does not `wait`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield lock(descriptor, shared=shared, wait=wait)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Take the lock of an open file until it is closed; give whether it was to be had. Taking it
    again is no harm.
    """
    try:
        _take(descriptor, shared=shared, wait=wait)
    except OSError:
        return False
    return True


def is_anothers(descriptor: int) -> bool:
    """Take the lock of an open file as `lock` does, without waiting; give whether somebody else
    holds it, which nobody does where the file system has no locks.
    """
    try:
        _take(descriptor, shared=False, wait=False)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _take(descriptor: int, *, shared: bool, wait: bool) -> None:
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
