"""What commands say on stderr, beside the result on stdout."""

from __future__ import annotations

import sys
from contextlib import suppress
from contextvars import ContextVar
from enum import IntEnum

from archbench.escaping import message, visible_lines


class Loudness(IntEnum):
    """How much is said: what went wrong alone (`-q`), progress too, or details as well (`-v`)."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


loudness: ContextVar[Loudness] = ContextVar("loudness", default=Loudness.NORMAL)


def is_quiet() -> bool:
    """Whether nobody wants to hear of progress."""
    return loudness.get() == Loudness.QUIET


def is_verbose() -> bool:
    """Whether somebody wants to hear of details."""
    return loudness.get() == Loudness.VERBOSE


def tell(text: str) -> None:
    """Print how far something is, unless nobody wants to hear."""
    if not is_quiet():
        say(text)


def say(text: str) -> None:
    """Print a message, fit for a terminal; whoever read may be gone, and the command goes on."""
    with suppress(OSError):
        print(message(text), file=sys.stderr, flush=True)


def say_traceback(text: str) -> None:
    """Print a traceback, whole; nothing where it is empty."""
    with suppress(OSError):
        print(visible_lines(text), end="", file=sys.stderr, flush=True)
