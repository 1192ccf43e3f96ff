"""What is timed besides single calls: calls back to back, and the parts of a call. Each in passes
of its own.
"""

from __future__ import annotations

import time
from statistics import median

from archbench.api import Backbone
from archbench.measure.job.allowance import SHARE
from archbench.measure.job.bench import Bench
from archbench.measure.job.timing import Calls
from archbench.reasons import Reason
from archbench.records import Metric
from archbench.settings import Settings

QUEUE_S = 0.05
"""Work that may be given to the device before the host waits for it, so that the two do not drift
apart.
"""
PARTS = ("backbone_ms", "heads_ms")
PASSES, LEAST = 7, 3
"""Passes in which the parts of a call are timed, and how many where these take more than their
share of the budget.
"""


def throughput(bench: Bench, settings: Settings, single: Calls) -> dict[str, Metric]:
    """Count images over calls that do not wait for one another, as many in a row as their time when
    they were `single` lets the host run ahead; total over total.
    """
    if bench.cold_caches:
        return Metric.lacking(["throughput_img_s"], Reason.WARM_CACHES)
    seconds = settings.budget_s / SHARE
    calls_between = max(1, int(QUEUE_S / single.seconds))
    bench.device.synchronize()
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < seconds or calls < 2:
        for _ in range(calls_between):
            bench.forward()
        calls += calls_between
        bench.device.synchronize()
    elapsed = time.perf_counter() - start
    spread = {"calls": calls, "elapsed_s": elapsed}
    return {
        "throughput_img_s": Metric.of(
            "throughput_img_s",
            single.images * calls / elapsed,
            "host clock, total over total",
            bench.protocol,
            flags=single.flags,
            spread=spread,
        )
    }


def parts(bench: Bench, settings: Settings) -> dict[str, Metric]:
    """Time the backbone and all else of a forward pass: medians of a few passes, the device idle at
    each border.
    """
    if why_not := why_no_parts(bench):
        return Metric.lacking(PARTS, why_not)
    trunk = _trunk(bench)
    assert trunk is not None
    marks: list[float] = []

    def mark(*_: object) -> None:
        bench.device.synchronize()
        marks.append(time.perf_counter())

    handles = [trunk.register_forward_pre_hook(mark), trunk.register_forward_hook(mark)]
    inside: list[float] = []
    outside: list[float] = []
    try:
        while len(inside) < (
            PASSES if sum(inside + outside) < settings.budget_s / SHARE else LEAST
        ):
            marks.clear()
            whole = bench.timed(bench.forward, 1).host_s
            inside.append(marks[1] - marks[0])
            outside.append(whole - inside[-1])
    finally:
        for handle in handles:
            handle.remove()
    source = f"host clock, median of {len(inside)} passes of their own"
    medians = dict(zip(PARTS, (median(inside), median(outside)), strict=True))
    return {name: Metric.of(name, 1e3 * value, source, "model") for name, value in medians.items()}


def why_no_parts(bench: Bench) -> Reason | None:
    """Say why the parts of a call cannot be timed, however long that may take; None where they
    can.
    """
    trunk = _trunk(bench)
    if trunk is None or trunk is bench.network:
        return Reason.NO_PARTS
    return Reason.ONE_GRAPH if bench.is_one_graph else None


def _trunk(bench: Bench) -> Backbone | None:
    modules = bench.network.modules()
    return next((module for module in modules if isinstance(module, Backbone)), None)


def copies(bench: Bench) -> dict[str, Metric]:
    """Time the copy of a batch from the host's memory to the device: the median of a few, null for
    the CPU.
    """
    if bench.device.kind == "cpu":
        return Metric.lacking(["copy_ms"], Reason.CPU_DEVICE)
    images = next(bench.inputs).cpu()
    times = [
        bench.timed(lambda: images.to(bench.device.torch_device), 1).host_s for _ in range(PASSES)
    ]
    return {
        "copy_ms": Metric.of(
            "copy_ms",
            1e3 * median(times),
            f"host clock, median of {PASSES} copies from pageable memory",
            "model",
        )
    }
