"""The time that phases may take: all after a job's first call together, and those beside the timed
calls. Torch-free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

SHARE = 10
"""The part of the budget that calls back to back take, the passes for the parts, and the calls of a
CUDA graph, each as one over this.
"""


class Allowance:
    """So many seconds from `begin` on; None: no end. Nothing is used up before it began."""

    def __init__(
        self, total_s: float | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.total_s = inf if total_s is None else total_s
        self._clock = clock
        self._begun: float | None = None

    def begin(self) -> None:
        """Let the time run from now on."""
        self._begun = self._clock()

    def left(self, share: float = 1.0) -> float:
        """Seconds until a share of it is over, 0 at least."""
        used = 0.0 if self._begun is None else self._clock() - self._begun
        return max(0.0, share * self.total_s - used)

    def news(self) -> dict[str, float]:
        """What is told of it with a phase: how much is left, where it runs and has an end."""
        return {} if self._begun is None or self.total_s == inf else {"left_s": self.left()}
