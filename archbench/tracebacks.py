"""What is said of an error: its first line, and its traceback where that is asked for (`--debug`).
Torch-free.
"""

from __future__ import annotations

import os
from traceback import TracebackException

FLAG = "--debug"
VARIABLE = "ARCHBENCH_DEBUG"
"""The environment variable that asks for tracebacks, so that the processes of jobs know it too."""


def ask() -> None:
    """Ask for tracebacks in this process and those that it starts."""
    os.environ[VARIABLE] = "1"


def traceback_of(error: BaseException) -> str:
    """Format an error's traceback and those of what led to it; empty where nobody asks."""
    if not os.environ.get(VARIABLE):
        return ""
    whole = earlier = TracebackException.from_exception(error, compact=False)
    while earlier.__context__ or earlier.__cause__:
        # What is left out of a line that says all to a user is what led to it.
        earlier.__suppress_context__ = False
        earlier = earlier.__cause__ or earlier.__context__  # type: ignore[assignment]
    return "".join(whole.format())


def text_of(error: BaseException) -> str:
    """Give an error's message; empty where it has none, or none to be had."""
    try:
        return str(error).strip()
    except BaseException:  # An error of anyone's code may fail at anything.
        return ""


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message."""
    return text_of(error).partition("\n")[0]
