"""What runs while energy is measured, and how it is kept out of step with a sensor. Torch-free."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archbench.measure.power.integral import Window
from archbench.measure.power.meter import Meter
from archbench.reasons import Flag

QUEUE_S = 0.05
"""Work that may be given to the device before the host waits for it, so that the two do not drift
apart.
"""
GROUPS, PAUSE_S, PAUSES_SHARE, LONG_CALL_S = 8, 0.05, 0.025, 0.005
"""Against beats between load and sensor: groups of calls, the longest pause between two, their
share, calls that need them.
"""


@dataclass(frozen=True)
class Load:
    """What runs while energy is measured: calls of so many images, of about `call_s` seconds
    each.
    """

    call: Callable[[], Any]
    synchronize: Callable[[], None]
    images: int
    call_s: float
    protocol: str = "model"
    postprocess: Callable[[], Any] | None = None
    processes: int = 0
    """Processes that this job has on the device: 1 where it has a context there."""
    flags: tuple[Flag, ...] = ()
    """What warns of its energy besides what the meter sees."""

    @property
    def ends_in_detections(self) -> bool:
        """Whether detections come of it: by postprocessing, or by the calls themselves."""
        return self.postprocess is not None or self.protocol == "model+post"

    def keep_busy(
        self,
        until: float,
        pauses: Sequence[tuple[float, float]] = (),
        *,
        over: Callable[[], bool],
    ) -> Marks:
        """Run calls until a time or until it is over, waiting for the device every 50 ms of work;
        `pauses` are (when, seconds).
        """
        marks, calls, waiting = Marks(), 0, list(pauses)
        between = max(1, int(QUEUE_S / self.call_s))
        marks.note(0)
        while marks.times[-1] < until and not over():
            for _ in range(between):
                self.call()
            self.synchronize()
            calls += between
            marks.note(calls)
            if waiting and marks.times[-1] >= waiting[0][0]:
                time.sleep(waiting.pop(0)[1])
                marks.note(calls)
        return marks

    def evaluate(self, until: float, *, over: Callable[[], bool]) -> tuple[Marks, Marks]:
        """Run calls and their postprocessing one after another until a time or until it is over:
        when how many were done, and their seconds of inference alone.
        """
        done, inference, seconds = Marks(), Marks(), 0.0
        done.note(0)
        inference.note(seconds)
        while done.times[-1] < until and not over():
            self.synchronize()
            begun = time.perf_counter()
            self.call()
            self.synchronize()
            seconds += time.perf_counter() - begun
            if self.postprocess:
                self.postprocess()
                self.synchronize()
            done.note(done.counts[-1] + 1)
            inference.note(seconds)
        return done, inference


@dataclass
class Marks:
    """When how much was done: calls, or seconds of something."""

    times: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)

    def note(self, count: float) -> None:
        """Note that so much is done now."""
        self.times.append(time.perf_counter())
        self.counts.append(count)

    def within(self, window: Window) -> float:
        """What was done within a window, to a fraction of a call."""
        before, after = np.interp([window.start, window.end], self.times, self.counts)
        return float(after - before)


def pauses_for(load: Load, meter: Meter, window: Window) -> list[tuple[float, float]]:
    """Draw pauses (when, seconds) where the sensor looks away for part of its period and long calls
    might keep step with it.
    """
    sensor = next(iter(meter.sensors.values()), None)
    if sensor is None or sensor.averaging_s >= sensor.refresh_s or load.call_s <= LONG_CALL_S:
        return []
    drawn = [random.uniform(0, PAUSE_S) for _ in range(GROUPS - 1)]
    scale = min(1.0, PAUSES_SHARE * window.seconds / sum(drawn))
    return [
        (part.end, scale * seconds)
        for part, seconds in zip(window.parts(GROUPS), drawn, strict=False)
    ]
