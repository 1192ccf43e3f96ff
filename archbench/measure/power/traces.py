"""What a trace says: power within a window or at rest, and how often its sensors had news.
Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from archbench.measure.power.integral import (
    COUNTER,
    Counted,
    Power,
    Window,
    believe,
    count,
    gaps,
    integrate,
    refresh_of,
)
from archbench.measure.power.meter import Meter, Trace
from archbench.measure.power.validity import conditions_of
from archbench.reasons import Flag, Reason

QUIET_S, IDLE_S = 1.5, 2.5
"""Seconds of quiet before idle power is measured, and of measuring it: more than 20 ticks of a
counter that moves every 100 ms.
"""
STARVED = 0.05
"""Share of a window without samples above which its integral says nothing."""
NOT_QUIET, NOT_QUIET_W = 0.05, 2.0
"""How far the quarters of a rest may differ, as a share or in watts."""


@dataclass(frozen=True)
class Idle:
    """Power of the device at rest, or the reason why it is not known."""

    power: Power
    seconds: float = IDLE_S
    quiet: bool = False
    conditions: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Give it as a record's conditions."""
        return {
            "watts": self.power.watts,
            "reason": "" if self.power.watts is not None else self.power.reason or "",
            "source": self.power.source,
            "counter_w": self.power.counted,
            "integrated_w": self.power.integrated,
            "seconds": self.seconds,
            "quiet": self.quiet,
            "conditions": self.conditions,
        }


def refreshes(trace: Trace) -> dict[str, float]:
    """How often each source and counter had news, seconds, as far as a trace tells."""
    found = {name: refresh_of(*trace.power(name)) for name in trace.watts}
    found |= {name: refresh_of(*trace.counter(name)) for name in trace.joules}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def power_in(meter: Meter, trace: Trace, window: Window) -> Power:
    """Mean power within a window: the headline, with what it was chosen from."""
    failures = meter.conditions.get("source_failures", {})
    name = next(iter(trace.joules), "")
    counter = count(*trace.counter(name), window) if name else Counted(Reason.NOT_SUPPORTED)
    if "counter" in failures:
        counter = Counted(failures["counter"])
    if not meter.sensors:
        return Power(counter.watts, counter.reason, meter.traits.label, True, counted=counter.watts)
    tried = [(source, *integral_of(trace, source, window)) for source in meter.sensors]
    source, joules, reason = next((found for found in tried if found[1] is not None), tried[0])
    is_finer = _counter_is_finer(meter, source)
    if joules is None:
        taken = counter.watts if is_finer else None
        return Power(
            taken,
            failures.get(source, reason),
            f"{meter.traits.label} {COUNTER}",
            is_counted=is_finer,
            counted=counter.watts,
            counter_reason=counter.reason,
        )
    power = believe(
        joules / window.seconds, f"{source} power, integrated", counter, is_finer=is_finer
    )
    gap = [Flag.SAMPLER_GAP] if gaps(trace.power(source)[0], window, trace.period_s).flagged else []
    return replace(power, source=f"{meter.traits.label} {power.source}", flags=(*power.flags, *gap))


def _counter_is_finer(meter: Meter, source: str) -> bool:
    """Whether the counter has news twice, as probes told, in the time that a figure of the sensor
    stands or averages. Where both have news equally often, noise would decide below that.
    """
    sensor, refresh_s = meter.sensors[source], meter.conditions.get("counter_refresh_s")
    return refresh_s is not None and 2 * refresh_s <= max(sensor.refresh_s, sensor.averaging_s)


def integral_of(trace: Trace, source: str, window: Window) -> tuple[float | None, Reason | None]:
    """Joules of a source within a window, or the reason why there are none."""
    times, watts = trace.power(source)
    if len(times) == 0:
        return None, Reason.NO_VALID_SAMPLES
    joules = integrate(times, watts, window)
    if joules is None:
        return None, Reason.WINDOW_NOT_COVERED
    if gaps(times, window, trace.period_s).starved_s > STARVED * window.seconds:
        return None, Reason.SAMPLER_STARVED
    return joules, None


def idle_of(meter: Meter, trace: Trace, window: Window) -> Idle:
    """Power of the device at rest, and whether it was quiet: nothing ran, and the quarters of the
    time agree.
    """
    power = power_in(meter, trace, window)
    if power.watts is None:
        return Idle(power)
    quarters = [_watts(meter, trace, part) for part in window.parts(4)]
    alike = max(quarters) - min(quarters) <= max(NOT_QUIET * power.watts, NOT_QUIET_W)
    busy = trace.state("utilisation_percent", window.start, window.end)
    return Idle(
        power,
        quiet=alike and not busy.any(),
        conditions=conditions_of(trace, window),
    )


def _watts(meter: Meter, trace: Trace, part: Window) -> float:
    """Mean power within a part of a window that is known to be covered."""
    for source in meter.sensors:
        joules = integrate(*trace.power(source), part)
        if joules is not None:
            return joules / part.seconds
    times, joules_read = trace.counter(next(iter(trace.joules)))
    before, after = np.interp([part.start, part.end], times, joules_read)
    return float(after - before) / part.seconds
