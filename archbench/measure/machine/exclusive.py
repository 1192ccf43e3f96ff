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

from archbench.reasons import Flag

WAIT_S = 60.0
"""How long a job waits for a card that is in use."""
POLL_S = 0.5


class BusyError(Exception):
    """A card stayed in use by others for as long as a job waits; says by whom as far as is
    known.
    """


def hold(uuid: str, others: Callable[[], int | None], *, wait_s: float = WAIT_S) -> IO[bytes]:
    """Wait until no other archbench holds a card and `others` counts no process on it; hold it
    until the file is closed.

    `others` is None where the driver does not say: that is no hindrance, and `contention` flags it.
    Raises BusyError after `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    file = _lock_file(uuid).open("ab")
    while True:
        locked = _try_lock(file)
        count = others() if locked else 0
        if locked and not count:
            return file
        if time.monotonic() >= deadline:
            file.close()
            who = f"{count} other process{'es' * (count != 1)}" if locked else "another archbench"
            raise BusyError(f"{who} used the card {uuid} for {wait_s:g} s")
        time.sleep(POLL_S)


def contention(processes: int | None) -> list[Flag]:
    """The flags of a card that should run this process alone, by the number of processes there."""
    if processes is None:
        return [Flag.EXCLUSIVITY_UNKNOWN]
    return [Flag.CONTENDED] if processes > 1 else []


def _lock_file(uuid: str) -> Path:
    """A file a card and user of this host; nothing is ever written to it."""
    name = re.sub(r"[^\w-]", "_", uuid)
    return (
        Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        / f"archbench-{os.getuid()}-{name}.lock"
    )


def _try_lock(file: IO[bytes]) -> bool:
    """Take the advisory lock, which ends with the process; taking it again is no harm."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
