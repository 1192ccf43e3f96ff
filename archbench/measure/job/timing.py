"""The time of single calls: warm-up, the samples, and the figures that follow from their
medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archbench.measure.job.bench import Bench
from archbench.measure.job.sampling import MIN_FOR_INTERVAL, Collected, collect, spread
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.settings import Settings
from archbench.spec import Spec

LEAST_SAMPLES = 3
"""Samples of the slowest call: a median and its spread, whatever the budget."""
LEAST_WARM = 2
"""Calls of a warm-up that takes longer than it may."""
STEADY = 0.01
SOON_S = 0.001
"""The budget of what has none left: one sample."""
Arrays = dict[str, NDArray[Any]]
PROTOCOLS = {
    "latency_ms": "model",
    "gpu_ms": "model",
    "postprocess_ms": "post",
    "total_ms": "model+post",
}
SOURCES = {"gpu_ms": "CUDA events"}
WHY_NOT = {
    "gpu_ms": Reason.CPU_DEVICE,
    "postprocess_ms": Reason.NO_POSTPROCESS,
    "total_ms": Reason.NO_POSTPROCESS,
}


@dataclass(frozen=True)
class Calls:
    """What single calls took: the time of one, of so many images, all samples, and what warns of
    whatever else is measured of such calls.
    """

    time: Metric
    images: int
    samples: Arrays
    flags: tuple[Flag, ...] = ()

    @property
    def seconds(self) -> float:
        """The time of one, seconds."""
        assert self.time.value is not None
        return self.time.value / 1e3


def warm_up(bench: Bench, interrupted: Callable[[], bool], most_s: float = inf) -> bool:
    """Run until the device is warm, for `most_s` at most or one call; say whether the time of a
    call had become steady where that is asked for.
    """
    device = bench.device
    times: list[float] = []
    start = time.perf_counter()
    while not interrupted():
        bench.refill()
        times.append(bench.timed(bench.forward, 1).host_s)
        if bench.load is not None:
            bench.postprocess()
        elapsed = time.perf_counter() - start
        warm = elapsed >= device.warmup_s and len(times) >= device.warmup_calls
        if warm and (not device.steady or is_steady(times)):
            return True
        is_over = elapsed + elapsed / len(times) > most_s
        if is_over or (elapsed >= device.warmup_limit_s and len(times) >= LEAST_WARM):
            return not device.steady
    return False


def is_steady(times: Sequence[float], *, block_s: float = 0.2, block_calls: int = 10) -> bool:
    """Whether the medians of the last two blocks differ by less than 1 %; a block is 10 calls or
    more and 200 ms or more.
    """
    mean = sum(times[-block_calls:]) / len(times[-block_calls:])
    size = max(block_calls, round(block_s / mean))
    if len(times) < 2 * size:
        return False
    first, second = np.median(times[-2 * size : -size]), np.median(times[-size:])
    return bool(abs(first - second) < STEADY * second)


def sample(
    bench: Bench,
    settings: Settings,
    *,
    interrupted: Callable[[], bool],
    tell: Callable[..., None],
    most_s: float = inf,
) -> Collected:
    """Time forward and postprocess of the same iterations until their medians are known well
    enough, for `most_s` at most or one sample.

    Training steps take seconds and vary by some percent, so that a short budget would see one or
    two: as many as an interval takes are timed where `most_s` allows. Half of the budget, at most,
    must be over before the medians count as known.
    """
    shortest = (
        100e-6
        if bench.device.kind == "cuda"
        else 1000 * time.get_clock_info("perf_counter").resolution
    )
    start = time.perf_counter()
    calls = 1
    while not bench.cold_caches and bench.timed(bench.forward, calls).host_s * calls < shortest:
        calls *= 2
    took_s = time.perf_counter() - start
    budget_s = min(settings.budget_s, max(most_s - took_s, SOON_S))
    least_s = min(settings.t_min_s, budget_s / 2)
    settings = replace(settings, budget_s=budget_s, t_min_s=least_s)
    told = 0.0

    def one() -> dict[str, float]:
        bench.refill()
        forward = bench.timed(bench.forward, calls)
        times = {"latency_ms": forward.host_s}
        if forward.device_s is not None:
            times["gpu_ms"] = forward.device_s
        if bench.load is not None:
            times["postprocess_ms"] = bench.timed(bench.postprocess, calls).host_s
            times["total_ms"] = times["latency_ms"] + times["postprocess_ms"]
        return times

    def on_progress(n: int, elapsed: float) -> None:
        nonlocal told
        bench.device.looks.look_if_due()
        if elapsed - told >= 0.2:
            told = elapsed
            tell(
                phase="latency", samples=n, elapsed_s=round(elapsed, 1), budget_s=settings.budget_s
            )

    bench.device.looks.begin()
    judged = ["latency_ms"] if bench.load is None else ["latency_ms", "total_ms"]
    least = MIN_FOR_INTERVAL if bench.training else LEAST_SAMPLES
    # A sample takes about as long as the call above, where that is long enough to matter.
    least = int(max(1, min(least, most_s / max(took_s, SOON_S) - 1)))
    collected = collect(
        one, settings, judged=judged, interrupted=interrupted, on_progress=on_progress, least=least
    )
    bench.device.looks.look()
    collected.calls = calls
    return collected


def times(collected: Collected, spec: Spec, flags: Sequence[Flag]) -> dict[str, Metric]:
    """The medians of what was sampled, with their spread, and images a second; a training job's
    calls are its steps.
    """
    trains = spec.mode == "train"
    metrics = {
        name: _median(collected, name, "train" if trains else protocol, flags)
        if name in collected.columns
        else Metric.lacking([name], WHY_NOT[name])[name]
        for name, protocol in PROTOCOLS.items()
        if not (trains and WHY_NOT.get(name) == Reason.NO_POSTPROCESS)
    }
    protocol = metrics["latency_ms"].protocol
    return metrics | {"fps": Metric.derived("fps", _known(metrics, spec), protocol)}


def as_total(timed: dict[str, Metric]) -> dict[str, Metric]:
    """The times of a network whose forward pass gives final detections: it is both."""
    total = replace(timed["latency_ms"], protocol=PROTOCOLS["total_ms"])
    lacking = ("latency_ms", "gpu_ms", "postprocess_ms", "fps")
    return timed | Metric.lacking(lacking, Reason.POST_IN_FORWARD) | {"total_ms": total}


def rates(timed: dict[str, Metric], spec: Spec, counted: Mapping[str, Any]) -> dict[str, Metric]:
    """Operations a second of the forward pass, and images a second with postprocessing."""
    known = _known(timed, spec) | {name: counted[name] for name in ("macs", "macs_all")}
    names = ("gmacs_per_s", "flops_per_s")
    if known["latency_ms"] is None:
        found = Metric.lacking(names, Reason.POST_IN_FORWARD)
    else:
        found = {name: Metric.derived(name, known, "model") for name in names}
    if known["total_ms"] is None:
        return found | Metric.lacking(["fps_total"], Reason.NO_POSTPROCESS)
    return found | {"fps_total": Metric.derived("fps_total", known, PROTOCOLS["total_ms"])}


def arrays_of(collected: Collected) -> Arrays:
    """Every sample in order, nanoseconds, with its start relative to the first."""
    columns = {
        name.removesuffix("_ms") + "_ns": values for name, values in collected.columns.items()
    }
    columns["started_ns"] = collected.started
    return {
        name: np.rint(np.array(values) * 1e9).astype(np.int64) for name, values in columns.items()
    }


def save_samples(arrays: Arrays, path: Path) -> None:
    """Replace the samples file, whole or not at all."""
    temporary = path.with_suffix(".tmp.npz")
    np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def _median(collected: Collected, name: str, protocol: str, flags: Sequence[Flag]) -> Metric:
    described = spread([1e3 * value for value in collected.columns[name]])
    described |= {
        "calls_per_sample": collected.calls,
        "elapsed_s": collected.elapsed_s,
        "stop_reason": collected.stop_reason,
    }
    own = [*flags, *([Flag.CI_NOT_MET] if collected.stop_reason != "converged" else [])]
    return Metric.of(
        name,
        described["median"],
        SOURCES.get(name, "host clock"),
        protocol,
        flags=tuple(own),
        spread=described,
    )


def _known(metrics: Mapping[str, Metric], spec: Spec) -> dict[str, float | None]:
    """What rules may read."""
    return {"batch": spec.batch} | {name: metric.value for name, metric in metrics.items()}
