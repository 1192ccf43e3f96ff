"""Files that users hand in: regular ones of a bounded size are read, all else is refused in one
line. And the folders of a user's own. Torch-free.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

from archbench.spec import UsageError

MOST_BYTES = 2**20
"""The largest text that is read: a suite or a plug-in of a megabyte is another file by mistake."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, for this user at least."""
KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
DEEP_KEY = re.compile(rf"(?<![\w-]){KEY}(?:[ \t]*\.[ \t]*{KEY}){{32}}", re.ASCII)
"""A key that is dotted beyond reason: parsing takes time and memory by the square of its depth."""
LONG_NUMBER = re.compile(r"\b0[xob][0-9a-fA-F_]{1000}")
"""A number that Python reads and cannot show."""


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Have what a full disk raises within name the folder that was written to, where it names no
    file.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or error.filename:
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error


def read_text(path: Path, what: str) -> str:
    """Read a file's text; `what` it is stands in the errors.

    Raises UsageError for what is no regular file (a pipe would block, a device never ends), is
    larger than `MOST_BYTES`, cannot be read or is not UTF-8.
    """
    try:
        return TextIOWrapper(BytesIO(read_bytes(path, what, MOST_BYTES)), encoding="utf-8").read()
    except UnicodeDecodeError:
        raise UsageError(f"{what} {path} cannot be read: not UTF-8") from None


def read_bytes(path: Path, what: str, most: int) -> bytes:
    """Read a file of at most so many bytes; raises UsageError as `read_text` does."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{what} {path} cannot be read: not a regular file")
        if status.st_size > most:
            raise UsageError(
                f"{what} {path} cannot be read: {status.st_size:,} bytes, "
                f"at most {most:,} are taken"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read: {error.strerror}") from None


def version_of(path: Path) -> tuple[int, int, int]:
    """Give what changes with the contents of a file, so that what was read of it can be remembered;
    nothing is read.
    """
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size


def user_folder(variable: str, otherwise: str) -> Path | None:
    """Give archbench's folder in that which a variable of the XDG names, or in `otherwise` within
    the user's home; None for a user without one.
    """
    given = Path(os.environ.get(variable, ""))
    if given.is_absolute():
        return given / "archbench"
    try:
        return Path.home() / otherwise / "archbench"
    except RuntimeError:
        return None


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; raises tomllib.TOMLDecodeError, a ValueError, for tables nested beyond reason and
    for numbers of too many digits, too.
    """
    if DEEP_KEY.search(text):
        raise tomllib.TOMLDecodeError("it is nested too deeply")
    if LONG_NUMBER.search(text):
        raise tomllib.TOMLDecodeError("a number has too many digits")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None
    except ValueError:
        # Python reads no integer of some thousand digits.
        raise tomllib.TOMLDecodeError("a number has too many digits") from None
