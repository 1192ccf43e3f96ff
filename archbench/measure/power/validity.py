"""What the conditions of a measurement say of its energy: flags, and who else was on the device.
Pure and torch-free.
"""

from __future__ import annotations

from typing import Any

from archbench.measure.power.integral import Window
from archbench.measure.power.meter import Floats, Trace
from archbench.reasons import Flag

EVENTS = {
    0x1: "idle",
    0x2: "application_clocks",
    0x4: "software_power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
    0x100: "display",
    0x200: "board_limit",
    0x400: "reliability",
}
"""NVML's reasons why clocks are as they are: every nvmlClocksEventReason and, by the older name,
nvmlClocksThrottleReason of its binding (nvidia-ml-py, pynvml.py).
"""
POWER_CAP, THROTTLED = 0x4 | 0x200, 0x8 | 0x20 | 0x40 | 0x80
CAPPED_SHARE = 0.1
CLOCK_DRIFT = 0.05
HOT_START_C = 10.0


def conditions_of(trace: Trace, window: Window) -> dict[str, Any]:
    """Describe the window: the share of looks at which each event held, ranges of clock,
    temperature and processes.
    """
    events = _events(trace, window)
    found: dict[str, Any] = {}
    if len(events):
        shares = {name: float(((events & bit) != 0).mean()) for bit, name in EVENTS.items()}
        found["event_reasons"] = {name: share for name, share in shares.items() if share}
    for name in (
        "sm_clock_mhz",
        "memory_clock_mhz",
        "temperature_c",
        "memory_temperature_c",
        "performance_state",
        "utilisation_percent",
        "processes",
    ):
        values = trace.state(name, window.start, window.end)
        if len(values):
            found[name] = [float(values.min()), float(values.max())]
    return found


def flags_of(trace: Trace, window: Window) -> list[Flag]:
    """Warn of clocks that were held down, drifting clocks, a device still warming up, and a sensor
    asked less often.
    """
    events = _events(trace, window)
    clocks = trace.state("sm_clock_mhz", window.start, window.end)
    temperatures = trace.state("temperature_c", window.start, window.end)
    raised = {
        Flag.POWER_CAPPED: len(events) and ((events & POWER_CAP) != 0).mean() > CAPPED_SHARE,
        Flag.THROTTLED: len(events) and ((events & THROTTLED) != 0).any(),
        Flag.CLOCK_DRIFT: len(clocks) and clocks.max() - clocks.min() > CLOCK_DRIFT * clocks.max(),
        Flag.HOT_START: len(temperatures) and temperatures[-1] - temperatures[0] > HOT_START_C,
        Flag.POLL_RATE_REDUCED: trace.reduced,
    }
    return [name for name, holds in raised.items() if holds]


def sharing(trace: Trace, window: Window, expected: int) -> Flag | None:
    """Whether others were on the device, or that this cannot be told; None where nobody was.

    `expected` processes are the job's own. Meters of what is never exclusive look for none.
    """
    if "processes" not in trace.states:
        return None
    seen = trace.state("processes", window.start, window.end)
    if len(seen) and seen.max() > expected:
        return Flag.CONTENDED
    return Flag.EXCLUSIVITY_UNKNOWN if len(seen) == 0 or seen.min() < expected else None


def _events(trace: Trace, window: Window) -> Any:
    reasons: Floats = trace.state("event_reasons", window.start, window.end)
    return reasons.astype(int)
