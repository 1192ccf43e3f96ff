"""Energy from what a meter saw: integrals of power, differences of a counter, images within a
window. Pure and torch-free.

Times are seconds on one clock, ascending.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from archbench.measure.power.meter import FINE_S, HUNT_S, Floats
from archbench.reasons import Flag, Reason

LEAST_CHANGES = 5
"""Changes of a sensor's figure below which its refresh cannot be told."""
DISAGREE = 0.05
"""By how much counter and integral may differ."""
LEAST_COUNTS = 20
"""Changes below which a counter is taken to be stuck."""
GAP_PERIODS, GAP_S = 5, 0.5


@dataclass(frozen=True)
class Window:
    """The seconds that count."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    def parts(self, count: int) -> list[Window]:
        """As many windows of equal length, one after another."""
        edges = np.linspace(self.start, self.end, count + 1).tolist()
        return [Window(a, b) for a, b in pairwise(edges)]


def integrate(times: Floats, watts: Floats, window: Window) -> float | None:
    """Joules within the window by trapezoids, linear between samples; None where it is not covered
    at both edges.
    """
    if len(times) == 0 or times[0] > window.start or times[-1] < window.end:
        return None
    within = (times > window.start) & (times < window.end)
    edges = np.interp([window.start, window.end], times, watts)
    t = np.concatenate([[window.start], times[within], [window.end]])
    w = np.concatenate([edges[:1], watts[within], edges[1:]])
    return float(np.sum(np.diff(t) * (w[1:] + w[:-1]) / 2))


@dataclass(frozen=True)
class Gaps:
    """Seconds of a window in which samples lay too far apart."""

    longest_s: float
    flagged: bool
    """Whether two samples lay further apart than five periods or half a second, whichever is less.
    """
    starved_s: float
    """The seconds in gaps of more than five periods and half a second."""


def gaps(times: Floats, window: Window, period_s: float) -> Gaps:
    """Look for gaps between samples that are taken every `period_s`."""
    inside = np.clip(times, window.start, window.end)
    spacing = np.diff(times)[np.diff(inside) > 0]
    shares = np.diff(inside)[np.diff(inside) > 0]
    longest = float(spacing.max(initial=0.0))
    limits = GAP_PERIODS * period_s, GAP_S
    return Gaps(longest, longest > min(limits), float(shares[spacing > max(limits)].sum()))


def refresh_of(times: Floats, values: Floats) -> float | None:
    """Seconds between new figures of a sensor that was read as fast as can be: the median; None
    below 5 changes.
    """
    changes = times[1:][np.diff(values) != 0]
    return float(np.median(np.diff(changes))) if len(changes) >= LEAST_CHANGES else None


@dataclass(frozen=True)
class Counted:
    """What an energy counter gave between two of its changes near the window's edges; or why it
    holds nothing.
    """

    reason: Reason | None = None
    joules: float = 0.0
    seconds: float = 1.0
    blurred_s: float = 0.0
    """By how much the seconds may be wrong: each change lies anywhere between two readings."""

    @property
    def is_timed(self) -> bool:
        """Whether its time is known well enough to overrule an integral that disagrees."""
        return self.blurred_s <= DISAGREE * self.seconds

    @property
    def watts(self) -> float | None:
        """The mean power; None where there is a reason why not."""
        return None if self.reason else self.joules / self.seconds


def count(times: Floats, joules: Floats, window: Window) -> Counted:
    """Mean power by a counter, from a change right after the window's start to one right after its
    end.

    A change lies between two readings; those near the edges are close to each other, so that its
    time is known.
    """
    steps = np.diff(joules)
    near = (times[1:] >= window.start) & (times[:-1] <= window.end)
    if np.any(steps[near] < 0):
        return Counted(Reason.COUNTER_RESET)
    changed = np.flatnonzero(steps)
    at, width = (times[changed] + times[changed + 1]) / 2, times[changed + 1] - times[changed]
    first, last = _change_after(at, width, window.start), _change_after(at, width, window.end)
    if last is None:
        last = len(at) - 1
    if first is None or last - first < LEAST_COUNTS:
        return Counted(Reason.COUNTER_STUCK)
    return Counted(
        None,
        float(joules[changed[last] + 1] - joules[changed[first] + 1]),
        float(at[last] - at[first]),
        float(width[first] + width[last]) / 2,
    )


def _change_after(at: Floats, width: Floats, edge: float) -> int | None:
    """The first change soon after an edge whose time is known well, or else best, or else the first
    later; None without any.
    """
    after = np.flatnonzero(at >= edge)
    soon = after[at[after] <= edge + HUNT_S]
    if len(soon) == 0:
        return int(after[0]) if len(after) else None
    fine = soon[width[soon] <= FINE_S]
    return int(fine[0] if len(fine) else soon[np.argmin(width[soon])])


@dataclass(frozen=True)
class Power:
    """Mean power within a window, by integral and by counter, and which of them is to be
    believed. `reason` says why there is no integral.
    """

    watts: float | None
    reason: Reason | None = None
    source: str = ""
    is_counted: bool = False
    """Whether `watts` is the counter's."""
    integral_source: str = ""
    integrated: float | None = None
    counted: float | None = None
    counter_reason: Reason | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Counter over integral."""
        return (
            self.counted / self.integrated if self.counted is not None and self.integrated else None
        )


COUNTER = "energy counter"


def believe(integrated: float, source: str, counter: Counted, *, is_finer: bool = False) -> Power:
    """Take the counter where it is within 5 % of the integral, else the integral; a counter that is
    finer than the sensor is taken in any case but where its own changes are not timed within 5 %.
    """
    power = Power(
        integrated,
        source=source,
        integral_source=source,
        integrated=integrated,
        counted=counter.watts,
        counter_reason=counter.reason,
    )
    if counter.watts is None:
        return power
    counted = replace(power, watts=counter.watts, source=COUNTER, is_counted=True)
    if abs(counter.watts / integrated - 1) <= DISAGREE:
        return counted
    trusted = counted if is_finer and counter.is_timed else power
    return replace(trusted, flags=(Flag.COUNTER_POWER_DISAGREE,))


def above_rest(load: Power, rest: Power) -> tuple[float, float, str] | None:
    """Power above that at rest, that at rest, and what both were read of: counter less counter, or
    integral less integral, since the two may differ by more than there is between them. None where
    neither was read at both times.
    """
    pairs = [
        (load.counted, rest.counted, COUNTER),
        (load.integrated, rest.integrated, load.integral_source),
    ]
    for busy, idle, source in pairs if load.is_counted else reversed(pairs):
        if busy is not None and idle is not None:
            return busy - idle, idle, source
    return None
