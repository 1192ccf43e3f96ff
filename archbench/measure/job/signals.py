"""Signals that ask for an end, collected while something is to end in good order. Torch-free."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP for a while instead of dying of them."""
    received: list[int] = []
    handled = [
        signal.SIGINT,
        signal.SIGTERM,
        *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),
    ]
    before = {
        number: signal.signal(number, lambda n, _: received.append(n))
        for number in handled
        if not _is_left_alone(number)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_left_alone(number: int) -> bool:
    """Whether a signal keeps its handler: a hang-up that nohup has this process ignore, and what
    code in C handles, which could not be put back.
    """
    handler = signal.getsignal(number)
    is_hang_up = number == getattr(signal, "SIGHUP", None)
    return handler is None or (is_hang_up and handler == signal.SIG_IGN)
