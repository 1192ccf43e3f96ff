"""Energy of a job: idle power, then power and images of the same seconds under a load that does not
pause. Torch-free.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archbench.measure.power import rapl
from archbench.measure.power.integral import (
    Counted,
    Power,
    Window,
    believe,
    count,
    gaps,
    integrate,
    refresh_of,
)
from archbench.measure.power.meter import (
    Floats,
    GpuLostError,
    Meter,
    NullMeter,
    SampledMeter,
    Trace,
)
from archbench.measure.power.nvml import NvmlCard, NvmlInstrument
from archbench.measure.power.rapl import RaplInstrument
from archbench.measure.power.validity import conditions_of, flags_of, sharing
from archbench.quantities import about
from archbench.reasons import Flag, Reason
from archbench.records import Metric

METERS = {"cuda": "nvml", "cpu": "rapl"}
"""The meter of each kind of device."""
METRICS = about("power", "energy")
"""Every metric of this module."""
IDLES = {"no_context": "power_idle_no_context_w", "context": "power_idle_w"}
"""The moments at which idle power is measured."""
EQ2 = "energy_eq2_per_image_j"
ENERGY_AND_RATE = (
    "energy_per_image_j",
    "energy_net_per_image_j",
    "power_mean_w",
    "energy_throughput_img_s",
)
UNDER_LOAD = [name for name in METRICS if name not in IDLES.values()]

QUIET_S, IDLE_S = 1.5, 2.0
"""Seconds of quiet before idle power is measured, and of measuring it."""
MARGIN_S = 0.3
"""Seconds of samples before and after what counts, so that it is covered."""
PROBE_S, PROBE_PERIOD_S = 3.0, 0.002
LEAST_REFRESHES = 50
QUEUE_S = 0.05
"""Work that may be given to the device before the host waits for it, so that the two do not drift
apart.
"""
EQ2_PERIOD_S, LEAST_EQ2_S = 0.1, 2.0
STARVED = 0.05
"""Share of a window without samples above which its integral says nothing."""
NOT_QUIET, NOT_QUIET_W = 0.05, 2.0
"""How far the quarters of a rest may differ, as a share or in watts."""
GROUPS, PAUSE_S, PAUSES_SHARE, LONG_CALL_S = 8, 0.05, 0.025, 0.005
"""Against beats between load and sensor: groups of calls, the longest pause between two, their
share, calls that need them.
"""


def open_meter(name: str, *, uuid: str | None = None, root: Path = rapl.POWERCAP) -> Meter:
    """Open the meter "nvml" (of the card with this UUID, or the first) or "rapl"; a NullMeter where
    it cannot measure here.
    """
    instrument = NvmlInstrument(NvmlCard(uuid)) if name == "nvml" else RaplInstrument(root)
    if instrument.why_not:
        return NullMeter(instrument.why_not, instrument.traits, instrument.message)
    return SampledMeter(instrument)


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


@dataclass(frozen=True)
class Idle:
    """Power of the device at rest, or the reason why it is not known."""

    watts: float | None
    reason: Reason | None = None
    source: str = ""
    seconds: float = IDLE_S
    quiet: bool = False
    conditions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notes:
    """What is said of a figure: whence it comes, what was run, what warns of it, what goes
    with it.
    """

    source: str
    protocol: str = ""
    flags: tuple[Flag, ...] = ()
    spread: dict[str, Any] | None = None


@dataclass
class Marks:
    """When how many calls were done."""

    times: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def note(self, calls: int) -> None:
        """Note that so many calls are done now."""
        self.times.append(time.perf_counter())
        self.calls.append(calls)

    def within(self, window: Window) -> float:
        """Calls within a window, to a fraction of a call."""
        before, after = np.interp([window.start, window.end], self.times, self.calls)
        return float(after - before)


class EnergyJob:
    """The energy of one job: `rest` without and with a context on the device, then `measure`.

    `metrics`, `conditions` and `arrays` hold what was found so far. Raises GpuLostError where the
    device is lost on the way.
    """

    def __init__(
        self, meter: Meter, *, interrupted: Callable[[], bool], allow_shared: bool = False
    ) -> None:
        self.meter = meter
        self.interrupted = interrupted
        self.allow_shared = allow_shared
        self.origin = time.perf_counter()
        utc = datetime.datetime.now(datetime.UTC).isoformat()
        self.conditions: dict[str, Any] = {
            "meter": meter.traits.label,
            "origin_s": self.origin,
            "origin_utc": utc,
        }
        if meter.message:
            self.conditions["message"] = meter.message
        self.metrics: dict[str, Metric] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self._idle = Idle(None, Reason.NOT_REACHED)
        self._lack(meter.why_not or Reason.NOT_REACHED, METRICS)

    @property
    def possible(self) -> bool:
        """Whether there is a meter that can measure."""
        return not self.meter.why_not

    def rest(self, moment: str) -> None:
        """Measure idle power at a moment of `IDLES`, where the meter can."""
        if not self.possible:
            return
        self._wait(QUIET_S)
        start = time.perf_counter() + MARGIN_S
        window = Window(start, start + IDLE_S)
        self.meter.start(edges=(window.start, window.end))
        self._wait(window.end + MARGIN_S - time.perf_counter())
        trace = self._stop(f"idle_{moment}_")
        idle = (
            Idle(None, Reason.INTERRUPTED)
            if self.interrupted()
            else idle_of(self.meter, trace, window)
        )
        self._idle = idle
        self.conditions[f"idle_{moment}"] = asdict(idle) | {"reason": idle.reason or ""}
        self._give(IDLES[moment], idle.watts, idle.reason, Notes(idle.source))

    def measure(self, load: Load, seconds: float) -> None:
        """Measure under load for so many seconds, and for half as many by VoVNet's Eq. 2."""
        if not self.meter.probed:
            self._probe(load)
        seconds = max(
            [
                seconds,
                *(LEAST_REFRESHES * sensor.refresh_s for sensor in self.meter.sensors.values()),
            ]
        )
        if self.interrupted() or seconds < self.meter.traits.least_window_s:
            why_not = Reason.INTERRUPTED if self.interrupted() else Reason.WINDOW_TOO_SHORT
            self._lack(why_not, UNDER_LOAD)
            return
        self._window(load, seconds)
        if load.protocol == "train":
            self._lack(Reason.NO_INFERENCE, [EQ2])
        elif EQ2 not in self.meter.traits.lacks:
            self._eq2(load, max(seconds / 2, LEAST_EQ2_S))

    def _probe(self, load: Load) -> None:
        """Read the sensors as fast as can be under load, to see how often they have news."""
        self.meter.start(period_s=PROBE_PERIOD_S)
        self._keep_busy(load, time.perf_counter() + PROBE_S)
        self.meter.learn(refreshes(self._stop("probe_")))

    def _window(self, load: Load, seconds: float) -> None:
        """Keep the device busy before, in and after a window; find power and images within it."""
        start = time.perf_counter() + self.meter.traits.settle_s
        window = Window(start, start + seconds)
        pauses = pauses_for(load, self.meter, window)
        self.meter.start(edges=(window.start, window.end))
        marks = self._keep_busy(load, window.end + MARGIN_S, pauses)
        trace = self._stop("")
        self.arrays |= {"load_t_ns": self._since(marks.times), "load_calls": np.array(marks.calls)}
        power = power_in(self.meter, trace, window)
        unfit, flags = self._fitness(trace, window, load)
        if unfit:
            power = Power(None, unfit, counter_reason=unfit)
        calls = marks.within(window)
        self.conditions |= {
            "window_start_s": window.start,
            "window_s": window.seconds,
            "calls": calls,
            "pauses_s": sum(pause for _, pause in pauses),
            "sensors": {name: asdict(sensor) for name, sensor in self.meter.sensors.items()},
            **self.meter.conditions,
            "systematic_pct": self.meter.traits.systematic_pct,
            **conditions_of(trace, window),
        }
        self._figures(
            power,
            window,
            load.images * calls,
            Notes(power.source, load.protocol, (*power.flags, *flags)),
        )

    def _fitness(
        self, trace: Trace, window: Window, load: Load
    ) -> tuple[Reason | None, list[Flag]]:
        """Why nothing that was measured within a window counts, if so, and the flags of what
        does.
        """
        shared = sharing(trace, window, load.processes)
        unfit = None
        if self.interrupted():
            unfit = Reason.INTERRUPTED
        elif shared == Flag.CONTENDED and not self.allow_shared:
            unfit = Reason.CONTENDED
        return unfit, [*flags_of(trace, window), *([shared] if shared else [])]

    def _figures(self, power: Power, window: Window, images: float, notes: Notes) -> None:
        """Give the figures that follow from power and images of a window."""
        bare = Notes(notes.source, notes.protocol)
        if self.meter.sensors:
            integral = replace(bare, source=f"{self.meter.traits.label} {power.integral_source}")
            counter = replace(bare, source="energy counter: its mean power times the window")
            self._give(
                "energy_integrated_j",
                _times(power.integrated, window.seconds),
                power.reason,
                integral,
            )
            self._give(
                "energy_counter_j",
                _times(power.counted, window.seconds),
                power.counter_reason,
                counter,
            )
            ratio = replace(bare, source="counter / integral")
            self._give(
                "energy_counter_ratio", power.ratio, power.counter_reason or power.reason, ratio
            )
        if power.watts is None:
            assert power.reason
            self._lack(power.reason, ENERGY_AND_RATE)
            return
        per_image = window.seconds / images
        spread = {"window_s": window.seconds, "images": images}
        self._give("power_mean_w", power.watts, None, notes)
        self._give(
            "energy_per_image_j", power.watts * per_image, None, replace(notes, spread=spread)
        )
        self._give(
            "energy_throughput_img_s",
            1 / per_image,
            None,
            replace(bare, source="host clock, the seconds of the energy"),
        )
        idle = self._idle
        net = power.watts - idle.watts if idle.watts is not None and idle.quiet else None
        rest = {"idle_w": idle.watts, "idle_s": idle.seconds, **idle.conditions}
        above = replace(notes, source=f"{notes.source}, less idle power", spread=rest)
        self._give(
            "energy_net_per_image_j",
            _times(net, per_image),
            idle.reason or Reason.IDLE_NOT_QUIET,
            above,
        )

    def _eq2(self, load: Load, seconds: float) -> None:
        """VoVNet's Eq. 2: the plain mean of `usage` over a run of forward passes and
        postprocessing, over inference images a second.
        """
        self.meter.start(period_s=EQ2_PERIOD_S)
        start, forward_s, images = time.perf_counter(), 0.0, 0
        while time.perf_counter() - start < seconds and not self._over():
            load.synchronize()
            begun = time.perf_counter()
            load.call()
            load.synchronize()
            forward_s += time.perf_counter() - begun
            images += load.images
            if load.postprocess:
                load.postprocess()
        window = Window(start, time.perf_counter())
        trace = self._stop("eq2_")
        _, watts = trace.power("usage")
        unfit, flags = self._fitness(trace, window, load)
        failure = self.meter.conditions["source_failures"].get("usage")
        reason = unfit or failure or (None if len(watts) else Reason.NO_VALID_SAMPLES)
        if reason:
            self._lack(reason, [EQ2])
            return
        rate = images / forward_s
        spread = {
            "window_s": window.seconds,
            "images": images,
            "samples": len(watts),
            "inference_img_s": rate,
        }
        self._give(
            EQ2,
            eq2_joules(watts, rate),
            None,
            Notes("mean of usage / inference images per second", "vovnet", tuple(flags), spread),
        )

    def _keep_busy(
        self, load: Load, until: float, pauses: Sequence[tuple[float, float]] = ()
    ) -> Marks:
        """Run calls until a time, waiting for the device every 50 ms of work; `pauses` are (when,
        seconds).
        """
        marks, calls, waiting = Marks(), 0, list(pauses)
        between = max(1, int(QUEUE_S / load.call_s))
        marks.note(0)
        while marks.times[-1] < until and not self._over():
            for _ in range(between):
                load.call()
            load.synchronize()
            calls += between
            marks.note(calls)
            if waiting and marks.times[-1] >= waiting[0][0]:
                time.sleep(waiting.pop(0)[1])
                marks.note(calls)
        return marks

    def _over(self) -> bool:
        return self.interrupted() or self.meter.lost

    def _wait(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not self._over():
            time.sleep(max(0.0, min(0.05, end - time.perf_counter())))

    def _stop(self, prefix: str) -> Trace:
        """Stop the meter and keep its samples, whatever became of the device."""
        trace = self.meter.stop()
        self.arrays |= trace.arrays(prefix, self.origin)
        if trace.lost:
            self._lack(
                Reason.GPU_LOST,
                [name for name, metric in self.metrics.items() if metric.value is None],
            )
            raise GpuLostError("the card was lost while its power was read")
        return trace

    def _since(self, times: Sequence[float]) -> NDArray[np.int64]:
        return np.rint((np.array(times) - self.origin) * 1e9).astype(np.int64)

    def _give(self, name: str, value: float | None, reason: Reason | None, notes: Notes) -> None:
        if value is None:
            assert reason
            self.metrics |= Metric.lacking([name], reason)
        else:
            said = {"flags": notes.flags, "spread": notes.spread}
            self.metrics[name] = Metric.of(name, value, notes.source, notes.protocol, **said)

    def _lack(self, reason: Reason, names: Iterable[str]) -> None:
        lacks = self.meter.traits.lacks
        for name in names:
            self.metrics |= Metric.lacking([name], lacks.get(name, reason))


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def eq2_joules(watts: Floats, inference_img_s: float) -> float:
    """Joules an image by VoVNet's Eq. 2: mean power over inference speed."""
    return float(watts.mean()) / inference_img_s


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


def refreshes(trace: Trace) -> dict[str, float]:
    """How often each source and counter had news, seconds, as far as a trace sampled every
    `PROBE_PERIOD_S` tells.
    """
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
        return Power(counter.watts, counter.reason, meter.traits.label)
    tried = [(source, *integral_of(trace, source, window)) for source in meter.sensors]
    source, joules, reason = next((found for found in tried if found[1] is not None), tried[0])
    if joules is None:
        return Power(
            None, failures.get(source, reason), counted=counter.watts, counter_reason=counter.reason
        )
    power = believe(joules / window.seconds, f"{source} power, integrated", counter)
    gap = [Flag.SAMPLER_GAP] if gaps(trace.power(source)[0], window, trace.period_s).flagged else []
    return replace(power, source=f"{meter.traits.label} {power.source}", flags=(*power.flags, *gap))


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
        return Idle(None, power.reason)
    quarters = [_watts(meter, trace, part) for part in window.parts(4)]
    alike = max(quarters) - min(quarters) <= max(NOT_QUIET * power.watts, NOT_QUIET_W)
    busy = trace.state("utilisation_percent", window.start, window.end)
    return Idle(
        power.watts,
        source=power.source,
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
