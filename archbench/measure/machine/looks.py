"""Looks at a device around and between what is timed: its clocks and temperatures, why the clocks
are as they are, who computes there. Torch-free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from archbench.measure.power.integral import Window
from archbench.measure.power.meter import Trace
from archbench.measure.power.validity import conditions_of, flags_of, sharing
from archbench.reasons import Flag

PERIOD_S = 1.0
"""How often a device is looked at while something is timed, in between two samples."""


class Looks:
    """What a device told of its state, since `begin`.

    `state` reads it, nothing where the device tells nothing; `processes` of this job should be
    there. `state` may raise GpuLostError.
    """

    def __init__(self, state: Callable[[], Mapping[str, float]], *, processes: int) -> None:
        self._state = state
        self._processes = processes
        self._trace = Trace()

    def begin(self) -> None:
        """Forget what was seen, and look."""
        self._trace = Trace()
        self.look()

    def look(self) -> None:
        """Look now."""
        self._trace.state_times.append(time.perf_counter())
        for name, value in self._state().items():
            self._trace.states.setdefault(name, []).append(value)

    def look_if_due(self) -> None:
        """Look where the last look is a second old."""
        if time.perf_counter() - self._trace.state_times[-1] >= PERIOD_S:
            self.look()

    def conditions(self) -> dict[str, Any]:
        """The range of each figure, and the share of the looks at which each event held."""
        return conditions_of(self._trace, self._window)

    def flags(self) -> list[Flag]:
        """What warns of the times between the looks."""
        shared = sharing(self._trace, self._window, self._processes)
        return [*flags_of(self._trace, self._window), *([shared] if shared else [])]

    @property
    def _window(self) -> Window:
        return Window(self._trace.state_times[0], self._trace.state_times[-1])
