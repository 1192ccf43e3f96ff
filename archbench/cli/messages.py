"""What commands say on stderr, beside the result on stdout."""

from __future__ import annotations

import sys
from contextlib import suppress

from archbench.escaping import message, visible_lines


def say(text: str) -> None:
    """Print a message, fit for a terminal; whoever read may be gone, and the command goes on."""
    with suppress(OSError):
        print(message(text), file=sys.stderr, flush=True)


def say_traceback(text: str) -> None:
    """Print a traceback, whole; nothing where it is empty."""
    with suppress(OSError):
        print(visible_lines(text), end="", file=sys.stderr, flush=True)
