"""What launching operators one by one costs: the card's own time, and the network as one graph.

Eager calls of a small batch take as long as the host needs to launch their operators. Events do not
tell: the first is recorded on an idle card, so that the gaps between kernels lie between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archbench.measure.job.allowance import SHARE
from archbench.measure.job.bench import CALLS_BEFORE_CAPTURE, Bench
from archbench.measure.job.out_of_memory import is_out_of_memory
from archbench.measure.job.sampling import spread
from archbench.measure.job.timing import LEAST_SAMPLES, sample
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.settings import Settings
from archbench.spec import UsageError

LAUNCH_BOUND = 0.8
"""Share of a call in which the card is at work, below which launching bounds the time."""
BUSY_S, MOST_CALLS = 0.2, 20
"""Time of the calls that a profiler sees, and how many of them there are at most."""
WARM_CALLS = 20
GRAPH_CALLS = CALLS_BEFORE_CAPTURE + WARM_CALLS + 1 + LEAST_SAMPLES
"""Calls that a graph takes at least: before its capture, to warm up, and timed."""


def busy(bench: Bench, latency: Metric) -> dict[str, Metric]:
    """Find how long the card is at work in a call, which takes the `latency`; flag the time of one
    that waits for the host.
    """
    if bench.cold_caches and bench.device.kind != "cpu":
        return Metric.lacking(["gpu_busy_ms"], Reason.WARM_CACHES)
    assert latency.value is not None
    calls = max(1, min(MOST_CALLS, int(1e3 * BUSY_S / latency.value)))

    def run() -> None:
        for _ in range(calls):
            bench.forward()

    seconds = bench.device.busy_s(run)
    if isinstance(seconds, Reason):
        return Metric.lacking(["gpu_busy_ms"], seconds)
    source = f"torch's profiler, union of kernels, mean of {calls} calls"
    own = Metric.of("gpu_busy_ms", 1e3 * seconds / calls, source, latency.protocol)
    assert own.value is not None
    if own.value >= LAUNCH_BOUND * latency.value:
        return {"gpu_busy_ms": own}
    flagged = replace(latency, flags=(*latency.flags, Flag.LAUNCH_BOUND))
    return {"gpu_busy_ms": own, bench.time_word: flagged}


def why_no_graph(bench: Bench, *, interrupted: bool) -> Reason | None:
    """Say why a network is not timed as a CUDA graph beside its usual form."""
    reasons = {
        Reason.CPU_DEVICE: bench.device.kind == "cpu",
        Reason.TRAINING: bench.training is not None,
        Reason.POST_IN_FORWARD: bench.gives_final,
        Reason.ONE_GRAPH: bench.is_one_graph,
        Reason.INTERRUPTED: interrupted,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def graph(bench: Bench, settings: Settings, interrupted: Callable[[], bool]) -> Metric:
    """Time the network replayed as a CUDA graph; null where it cannot be captured.

    What the graph holds of memory stays: nothing else is measured after it.
    """
    alone = replace(bench, load=None)
    try:
        alone.capture()
    except UsageError:
        return _lacking(Reason.NOT_CAPTURABLE)
    except RuntimeError as error:
        return _lacking(Reason.OUT_OF_MEMORY if is_out_of_memory(error) else Reason.NOT_CAPTURABLE)
    for _ in range(WARM_CALLS):
        alone.forward()
    brief = replace(settings, budget_s=settings.budget_s / SHARE)
    collected = sample(alone, brief, interrupted=interrupted, tell=lambda **_: None)
    described = spread([1e3 * seconds for seconds in collected.columns["latency_ms"]])
    flags = [] if collected.stop_reason == "converged" else [Flag.CI_NOT_MET]
    flags += bench.device.looks.flags()
    source = "host clock, replayed as a CUDA graph"
    return Metric.of(
        "graph_latency_ms",
        described["median"],
        source,
        "model",
        flags=tuple(flags),
        spread=described,
    )


def _lacking(reason: Reason) -> Metric:
    return Metric.lacking(["graph_latency_ms"], reason)["graph_latency_ms"]
