"""The standard streams, so that no result depends on them: a job is measured, and its record kept,
whoever listens.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def open_streams() -> None:
    """Open those of the standard streams that this process was started without, to nowhere, and let
    both outputs write out what their encoding has no character for.

    Nothing else may get their numbers: what a library prints would end in a results file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=sys.stdout.isatty(),
    )


class _Output(io.FileIO):
    """What is printed: whoever read it (head, a pager) may have seen enough, and the command goes
    on to its end, since its exit code and the files that it writes do not depend on readers.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some bytes; those that nobody reads any more go nowhere."""
        try:
            return super().write(data)
        except BrokenPipeError:
            discard(self)
            return super().write(data)


def close_streams() -> None:
    """Write what is left to both outputs; what nobody takes goes nowhere, and changes no exit
    code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream)


def discard(stream: IO[Any]) -> None:
    """Send what is still to be written to a stream nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
