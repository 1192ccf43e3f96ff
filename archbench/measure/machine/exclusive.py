"""One job a card: a lock among archbench's own processes, and a look at whatever else runs there.
Torch-free.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from archbench.locks import is_anothers
from archbench.measure.power.use import Use
from archbench.reasons import Flag

WAIT_S = 60.0
"""How long a job waits for a card that is in use."""
POLL_S = 0.25
QUIET_S = 1.0
"""How long nothing may run on a card, and nothing be allocated, before it is taken to be idle:
processes of other containers are not listed, but what they do is seen.
"""
STEADY_BYTES = 2 << 20
"""By how much memory in use may differ meanwhile: less than the smallest block that CUDA maps."""

WHO_KNOWS = "something that its driver does not list"


class BusyError(Exception):
    """A card stayed in use by others for as long as a job waits; says by whom as far as is
    known.
    """


def hold(uuid: str, look: Callable[[], Use], *, wait_s: float = WAIT_S) -> IO[bytes]:
    """Wait until no other archbench holds a card and it is idle; hold it until the file is closed.

    It is idle once `look` has found no process that computes, nothing running and steady memory
    for 1 s; what the driver does not tell is no hindrance, and `contention` flags it. Raises
    BusyError after `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    file = _lock_file(uuid).open("ab")
    quiet = Quiet()
    while True:
        who = "another archbench" if is_anothers(file.fileno()) else quiet.disturbed_by(look())
        if not who and quiet.seconds >= QUIET_S:
            return file
        if time.monotonic() >= deadline:
            file.close()
            raise BusyError(f"{who or WHO_KNOWS} used the card {uuid} for {wait_s:g} s")
        time.sleep(POLL_S)


class Quiet:
    """How long a card has been idle, look after look."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._used: list[int] = []

    @property
    def seconds(self) -> float:
        """Seconds from the first look that found it idle to the last."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def disturbed_by(self, use: Use) -> str:
        """Take in a look: who uses the card, in words; empty where it is idle.

        Where a display is drawn, utilisation and memory are its own: only what computes counts.
        """
        self._used += [] if use.used_bytes is None else [use.used_bytes]
        moved = max(self._used, default=0) - min(self._used, default=0) > STEADY_BYTES
        # A library may have put this process there before it is asked to.
        others = use.computing_besides(os.getpid())
        if others:
            who = f"{others} other process{'es' * (others != 1)}"
        elif (use.percent or moved) and not use.drawing_count:
            who = WHO_KNOWS
        else:
            self._since = time.monotonic() if self._since is None else self._since
            return ""
        self._since, self._used = None, self._used[-1:]
        return who


def contention(use: Use, *, sees_all: bool) -> list[Flag]:
    """The flags of a card on which this process computes and should be alone, which is known only
    where it sees itself there.

    `sees_all` says whether processes are listed whatever their PID namespace.
    """
    count = use.computing_count
    is_seen = use.own(os.getpid(), sees_all=sees_all) is not None
    if count is not None and count > 1:
        flags = [Flag.CONTENDED]
    elif not sees_all or not is_seen or use.drawing_count is None:
        flags = [Flag.EXCLUSIVITY_UNKNOWN]
    else:
        flags = []
    return [*flags, *([Flag.DRAWS_DISPLAY] if use.drawing_count else [])]


def _lock_file(uuid: str) -> Path:
    """A file a card and user of this host; nothing is ever written to it."""
    name = re.sub(r"[^\w-]", "_", uuid)
    # Batch systems pass on the name of a folder that only a login makes.
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = run if os.access(run, os.W_OK | os.X_OK) else tempfile.gettempdir()
    return Path(folder) / f"archbench-{os.getuid()}-{name}.lock"
