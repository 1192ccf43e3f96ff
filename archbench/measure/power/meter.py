"""Power meters behind one interface, so that whoever measures never asks what hardware there is.
Torch-free.

An `Instrument` is what can be read at an instant, one class a vendor (nvml.py, rapl.py). A
`SampledMeter` reads one in a thread and hands back a `Trace`. A `NullMeter` says why nothing can be
measured. All times are seconds of `time.perf_counter`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archbench.reasons import Reason

Floats = NDArray[np.float64]

HUNT_PERIOD_S = 0.004
"""How often a counter is read while its next change is awaited."""
FINE_S = 0.01
"""Two readings of a counter as near as this tell when it changed."""
HUNT_S = 0.5
"""How long such a change is awaited at most."""
STATE_PERIOD_S = 1.0
SLOW_S = 0.5
"""A reading that took longer is of nobody knows which time."""
REDUCED_PERIOD_S = 0.05
REDUCED_AFTER = 100
REDUCED_SHARE = 0.01
"""Share of polls without a figure above which the sensor is taken to be asked too often."""
DEAD = -1
"""The return code noted for a source that is not asked any more."""


class GpuLostError(RuntimeError):
    """The card has fallen off its bus or needs a reset: whatever runs on it is lost."""


@dataclass(frozen=True)
class Sensor:
    """How a power source behaves: seconds between its new figures, seconds that a figure averages,
    and who says so.
    """

    refresh_s: float
    averaging_s: float
    origin: str = "prior"


@dataclass(frozen=True)
class Traits:
    """What sets one kind of meter apart from another where energy is measured with it."""

    label: str
    settle_s: float
    least_window_s: float
    lacks: Mapping[str, Reason] = field(default_factory=dict)
    """Metrics that this kind of meter never gives, with the reason."""
    systematic_pct: float | None = None
    """Error of one device's sensor against another's, percent; None: not known."""


class Instrument(Protocol):
    """What can be read at an instant. Any reading may raise GpuLostError."""

    sensors: dict[str, Sensor]
    """Power sources, the preferred one first; none where energy is counted only."""
    conditions: dict[str, Any]
    """What is known of the sensors: scope, failures, retries."""
    probed: bool
    """Whether the sensors' refresh is known of this device, not only of its kind."""
    why_not: Reason | None
    """Why nothing can be read, where that is so."""
    message: str
    """What there is to say of that besides."""

    @property
    def traits(self) -> Traits:
        """What kind of meter this makes."""

    @property
    def period_s(self) -> float:
        """Seconds between samples."""

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        """Take what a probe found of the refresh of sources and counter, seconds."""

    def watts(self) -> dict[str, tuple[float, int]]:
        """Read each source: watts (nan where it gave none above 0) and the library's return code,
        DEAD where it is not asked any more.
        """

    def joules(self) -> dict[str, float]:
        """Read the energy counters that work; the first is the headline's."""

    def state(self) -> dict[str, float]:
        """Read what bears on the figures: clocks, temperature, processes; nan where it is not
        told.
        """


@dataclass
class Trace:
    """What a meter saw between start and stop."""

    times: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds that each reading took; its time is the middle."""
    watts: dict[str, list[float]] = field(default_factory=dict)
    codes: dict[str, list[int]] = field(default_factory=dict)
    count_times: list[float] = field(default_factory=list)
    joules: dict[str, list[float]] = field(default_factory=dict)
    state_times: list[float] = field(default_factory=list)
    states: dict[str, list[float]] = field(default_factory=dict)
    period_s: float = 0.0
    """Seconds between samples as planned."""
    lost: bool = False
    """Whether the card was lost on the way."""
    reduced: bool = False
    """Whether the sensor was asked less often, since it gave no figure too often."""

    def power(self, source: str) -> tuple[Floats, Floats]:
        """The valid samples of a source whose time is known: seconds, watts."""
        times, took, watts = (
            np.array(self.times),
            np.array(self.took),
            np.array(self.watts.get(source, [])),
        )
        if not len(watts):
            return watts, watts
        valid = np.isfinite(watts) & (took <= SLOW_S)
        return times[valid], watts[valid]

    def counter(self, name: str) -> tuple[Floats, Floats]:
        """The readings of an energy counter: seconds, joules."""
        joules = np.array(self.joules.get(name, []))
        return np.array(self.count_times)[: len(joules)], joules

    def state(self, name: str, start: float, end: float) -> Floats:
        """The known figures of a condition within some seconds."""
        values = np.array(self.states.get(name, []))
        times = np.array(self.state_times)[: len(values)]
        return values[(times >= start) & (times <= end) & np.isfinite(values)]

    def arrays(self, prefix: str, origin: float) -> dict[str, NDArray[Any]]:
        """Everything as arrays to store, times in nanoseconds since `origin`."""

        def since(times: Sequence[float]) -> NDArray[np.int64]:
            return np.rint((np.array(times) - origin) * 1e9).astype(np.int64)

        found: dict[str, NDArray[Any]] = {
            "power_t_ns": since(self.times),
            "power_took_ns": since([origin + s for s in self.took]),
        }
        found |= {f"power_{name}_w": np.array(values) for name, values in self.watts.items()}
        found |= {
            f"power_{name}_code": np.array(values, dtype=np.int32)
            for name, values in self.codes.items()
        }
        found |= {"energy_t_ns": since(self.count_times)} | {
            f"energy_{name}_j": np.array(v) for name, v in self.joules.items()
        }
        found |= {"state_t_ns": since(self.state_times)} | {
            f"state_{name}": np.array(v) for name, v in self.states.items()
        }
        return {f"{prefix}{name}": values for name, values in found.items() if len(values)}


class Meter(Protocol):
    """Measures power between `start` and `stop`."""

    @property
    def traits(self) -> Traits:
        """What kind of meter this is."""

    @property
    def why_not(self) -> Reason | None:
        """Why this meter cannot measure here; None where it can."""

    @property
    def message(self) -> str:
        """The reason in words, where there is more to say than its own."""

    @property
    def sensors(self) -> dict[str, Sensor]:
        """Power sources, the preferred one first."""

    @property
    def conditions(self) -> dict[str, Any]:
        """What is known of the sensors."""

    @property
    def probed(self) -> bool:
        """Whether the sensors' refresh is known of this device, not only of its kind."""

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        """Take what a probe found of the refresh of sources and counter, seconds."""

    @property
    def lost(self) -> bool:
        """Whether the device was lost since `start`."""

    def start(self, *, period_s: float | None = None, edges: Sequence[float] = ()) -> None:
        """Begin to sample; right after each of the `edges` the next change of the counter is
        awaited closely.
        """

    def stop(self) -> Trace:
        """Cease to sample and give what was seen."""

    def samples(self) -> list[tuple[float, float]]:
        """The valid samples since `start` of the preferred source: seconds, watts."""


class NullMeter:
    """No meter: it says why there is none and has no samples."""

    lost = False
    probed = True

    def __init__(self, why_not: Reason, traits: Traits, message: str = "") -> None:
        self.why_not = why_not
        self.traits = traits
        self.message = message
        self.sensors: dict[str, Sensor] = {}
        self.conditions: dict[str, Any] = {}

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        """Do nothing."""

    def start(self, *, period_s: float | None = None, edges: Sequence[float] = ()) -> None:
        """Do nothing."""

    def stop(self) -> Trace:
        return Trace()

    def samples(self) -> list[tuple[float, float]]:
        return []


class SampledMeter:
    """Reads an instrument in a thread, on absolute deadlines: a late tick is skipped, never made up
    for.
    """

    why_not = None
    message = ""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.traits = instrument.traits
        self.trace = Trace()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    @property
    def sensors(self) -> dict[str, Sensor]:
        return self.instrument.sensors

    @property
    def conditions(self) -> dict[str, Any]:
        return self.instrument.conditions

    @property
    def lost(self) -> bool:
        return self.trace.lost

    @property
    def probed(self) -> bool:
        return self.instrument.probed

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        self.instrument.learn(refresh_s)

    def start(self, *, period_s: float | None = None, edges: Sequence[float] = ()) -> None:
        self.trace = Trace(period_s=period_s or self.instrument.period_s)
        self._end.clear()
        sampler = _Sampler(self.instrument, self.trace, sorted(edges))
        self._thread = threading.Thread(
            target=sampler.run, args=(self._end,), name="power sampler", daemon=True
        )
        self._thread.start()

    def stop(self) -> Trace:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        return self.trace

    def samples(self) -> list[tuple[float, float]]:
        if not self.sensors:
            return []
        times, watts = self.trace.power(next(iter(self.sensors)))
        return list(zip(times.tolist(), watts.tolist(), strict=True))


class _Sampler:
    """The thread's work."""

    def __init__(self, instrument: Instrument, trace: Trace, edges: list[float]) -> None:
        self.instrument = instrument
        self.trace = trace
        self.edges = edges
        self._invalid = 0

    def run(self, end: threading.Event) -> None:
        """Sample until the end is asked for or the card is lost."""
        tick = state = time.perf_counter()
        try:
            while not end.is_set():
                now = time.perf_counter()
                if now >= tick:
                    self._sample()
                    self._count()
                    if now >= state:
                        self._look()
                        state = now + STATE_PERIOD_S
                    period = self.trace.period_s
                    tick += period * (1 + max(0, math.floor((time.perf_counter() - tick) / period)))
                else:
                    self._count()
                time.sleep(max(0.0, min(tick, self._next_count()) - time.perf_counter()))
        except GpuLostError:
            self.trace.lost = True

    def _next_count(self) -> float:
        """When the counter is to be read between two ticks: at once after an edge, and on until it
        changed.
        """
        while self.edges and time.perf_counter() > self.edges[0] + HUNT_S:
            self.edges.pop(0)
        return max(self.edges[0], time.perf_counter() + HUNT_PERIOD_S) if self.edges else math.inf

    def _sample(self) -> None:
        before = time.perf_counter()
        readings = self.instrument.watts()
        after = time.perf_counter()
        if not readings:
            return
        self.trace.times.append((before + after) / 2)
        self.trace.took.append(after - before)
        for name, (watts, code) in readings.items():
            self.trace.watts.setdefault(name, []).append(watts)
            self.trace.codes.setdefault(name, []).append(code)
        polls = len(self.trace.times)
        self._invalid += any(
            math.isnan(watts) and code != DEAD for watts, code in readings.values()
        )
        if (
            polls >= REDUCED_AFTER
            and self._invalid > REDUCED_SHARE * polls
            and self.trace.period_s < REDUCED_PERIOD_S
        ):
            self.trace.period_s, self.trace.reduced = REDUCED_PERIOD_S, True

    def _count(self) -> None:
        before = time.perf_counter()
        joules = self.instrument.joules()
        now = (before + time.perf_counter()) / 2
        if not joules:
            return
        times, name = self.trace.count_times, next(iter(joules))
        changed = times and joules[name] != self.trace.joules[name][-1]
        if self.edges and changed and times[-1] >= self.edges[0] and now - times[-1] <= FINE_S:
            self.edges.pop(0)
        times.append(now)
        for name, value in joules.items():
            self.trace.joules.setdefault(name, []).append(value)

    def _look(self) -> None:
        self.trace.state_times.append(time.perf_counter())
        for name, value in self.instrument.state().items():
            self.trace.states.setdefault(name, []).append(value)
