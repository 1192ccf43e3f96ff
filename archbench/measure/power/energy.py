"""Energy of a job: idle power, then power and images of the same seconds under a load that does not
pause. Torch-free.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archbench.measure.power.integral import Power, Window, above_rest
from archbench.measure.power.load import Load, pauses_for
from archbench.measure.power.meter import Floats, GpuLostError, Meter, Trace
from archbench.measure.power.traces import IDLE_S, QUIET_S, Idle, idle_of, power_in, refreshes
from archbench.measure.power.validity import conditions_of, flags_of, sharing
from archbench.quantities import about
from archbench.reasons import Flag, Reason
from archbench.records import Metric

METRICS = about("power", "energy")
"""Every metric of this module."""
IDLES = {"no_context": "power_idle_no_context_w", "context": "power_idle_w"}
"""The moments at which idle power is measured."""
EQ2, TOTAL = "energy_eq2_per_image_j", "energy_total_per_image_j"
ENERGY_AND_RATE = (
    "energy_per_image_j",
    "energy_net_per_image_j",
    "power_mean_w",
    "energy_throughput_img_s",
)
UNDER_LOAD = [name for name in METRICS if name not in IDLES.values()]

MARGIN_S = 0.3
"""Seconds of samples before and after what counts, so that it is covered."""
PROBE_S, PROBE_PERIOD_S = 3.0, 0.002
LEAST_REFRESHES = 50
EQ2_PERIOD_S, LEAST_EVALUATION_S = 0.1, 2.5


@dataclass(frozen=True)
class Notes:
    """What is said of a figure: whence it comes, what was run, what warns of it, what goes
    with it.
    """

    source: str
    protocol: str = ""
    flags: tuple[Flag, ...] = ()
    spread: dict[str, Any] | None = None


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
        self._idle = Idle(Power(None, Reason.NOT_REACHED))
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
            Idle(Power(None, Reason.INTERRUPTED))
            if self.interrupted()
            else idle_of(self.meter, trace, window)
        )
        self._idle = idle
        self.conditions[f"idle_{moment}"] = idle.describe()
        power = idle.power
        self._give(IDLES[moment], power.watts, power.reason, Notes(power.source))

    def measure(self, load: Load, seconds: float, most_s: float = inf) -> None:
        """Measure under load for so many seconds, and for half as many with postprocessing; what
        would not end within `most_s` is left out.
        """
        end = time.perf_counter() + most_s
        around_s = self.meter.traits.settle_s + MARGIN_S + load.call_s
        if most_s < seconds + around_s + (0 if self.meter.probed else PROBE_S):
            self._lack(Reason.BUDGET, UNDER_LOAD)
            return
        if not self.meter.probed:
            self._probe(load)
        seconds = max(
            [
                seconds,
                *(LEAST_REFRESHES * sensor.refresh_s for sensor in self.meter.sensors.values()),
            ]
        )
        if time.perf_counter() + seconds + around_s > end:
            self._lack(Reason.BUDGET, UNDER_LOAD)
            return
        if self.interrupted() or seconds < self.meter.traits.least_window_s:
            why_not = Reason.INTERRUPTED if self.interrupted() else Reason.WINDOW_TOO_SHORT
            self._lack(why_not, UNDER_LOAD)
            return
        self._window(load, seconds)
        if load.protocol == "train":
            self._lack(Reason.NO_INFERENCE, [EQ2, TOTAL])
        elif load.ends_in_detections or EQ2 not in self.meter.traits.lacks:
            least = max(LEAST_EVALUATION_S, self.meter.traits.least_window_s)
            evaluated = max(seconds / 2, least)
            if time.perf_counter() + evaluated + around_s > end:
                self._lack(Reason.BUDGET, [EQ2, TOTAL])
            else:
                self._evaluation(load, evaluated)
        else:
            self._lack(Reason.NO_POSTPROCESS, [TOTAL])

    def leave_out(self, reason: Reason) -> None:
        """Say why nothing is measured under load, where it could be."""
        if self.possible:
            self._lack(reason, UNDER_LOAD)

    def _probe(self, load: Load) -> None:
        """Read the sensors as fast as can be under load, to see how often they have news."""
        self.meter.start(period_s=PROBE_PERIOD_S)
        load.keep_busy(time.perf_counter() + PROBE_S, over=self._over)
        self.meter.learn(refreshes(self._stop("probe_")))

    def _window(self, load: Load, seconds: float) -> None:
        """Keep the device busy before, in and after a window; find power and images within it."""
        start = time.perf_counter() + self.meter.traits.settle_s
        window = Window(start, start + seconds)
        pauses = pauses_for(load, self.meter, window)
        self.meter.start(edges=(window.start, window.end))
        marks = load.keep_busy(window.end + MARGIN_S, pauses, over=self._over)
        trace = self._stop("")
        self.arrays |= {"load_t_ns": self._since(marks.times), "load_calls": np.array(marks.counts)}
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
        flags = [*flags_of(trace, window), *([shared] if shared else []), *load.flags]
        return unfit, list(dict.fromkeys(flags))

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
        self._net(power, per_image, notes)

    def _net(self, power: Power, per_image: float, notes: Notes) -> None:
        """Give the energy above that at rest, where the device was at rest."""
        name, idle = "energy_net_per_image_j", self._idle
        above = above_rest(power, idle.power)
        if idle.power.watts is None or not idle.quiet or above is None:
            self._lack(
                (idle.power.watts is None and idle.power.reason) or Reason.IDLE_NOT_QUIET, [name]
            )
            return
        watts, idle_w, source = above
        rest = {"idle_w": idle_w, "idle_s": idle.seconds, **idle.conditions}
        label = self.meter.traits.label
        told = (
            f"{label} {source}, less the same at rest"
            if self.meter.sensors
            else f"{label}, less idle power"
        )
        self._give(name, watts * per_image, None, replace(notes, source=told, spread=rest))

    def _evaluation(self, load: Load, seconds: float) -> None:
        """Measure a run of forward passes and postprocessing one after another, after the sensor
        has settled on it: its energy per image, and VoVNet's Eq. 2.
        """
        start = time.perf_counter() + self.meter.traits.settle_s
        window = Window(start, start + seconds)
        self.meter.start(period_s=EQ2_PERIOD_S, edges=(window.start, window.end))
        done, inference = load.evaluate(window.end + MARGIN_S, over=self._over)
        trace = self._stop("eq2_")
        unfit, flags = self._fitness(trace, window, load)
        if unfit:
            self._lack(unfit, [EQ2, TOTAL])
            return
        images = load.images * done.within(window)
        self._eq2(trace, window, images / inference.within(window), images, flags)
        if not load.ends_in_detections:
            self._lack(Reason.NO_POSTPROCESS, [TOTAL])
            return
        power = power_in(self.meter, trace, window)
        spread = {"window_s": window.seconds, "images": images}
        self._give(
            TOTAL,
            _times(power.watts, window.seconds / images),
            power.reason,
            Notes(power.source, "model+post", tuple(dict.fromkeys((*power.flags, *flags))), spread),
        )

    def _eq2(
        self, trace: Trace, window: Window, rate: float, images: float, flags: Sequence[Flag]
    ) -> None:
        """VoVNet's Eq. 2: the plain mean of `usage` over the run, over inference images a
        second.
        """
        if EQ2 in self.meter.traits.lacks:
            return
        times, watts = trace.power("usage")
        watts = watts[(times >= window.start) & (times <= window.end)]
        failure = self.meter.conditions["source_failures"].get("usage")
        reason = failure or (None if len(watts) else Reason.NO_VALID_SAMPLES)
        if reason:
            self._lack(reason, [EQ2])
            return
        spread = {
            "window_s": window.seconds,
            "images": images,
            "samples": len(watts),
            "inference_img_s": rate,
        }
        source = "mean of usage / inference images per second"
        self._give(
            EQ2, eq2_joules(watts, rate), None, Notes(source, "vovnet", tuple(flags), spread)
        )

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
    """Joules per image by VoVNet's Eq. 2: mean power over inference speed."""
    return float(watts.mean()) / inference_img_s
