"""How a command ended, as its exit code says."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY_DONE = 3
    INTERRUPTED = 130
