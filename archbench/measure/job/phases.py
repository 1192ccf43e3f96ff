"""The phases of a job, one after another: what is measured in each, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from archbench import engines
from archbench.api import CostReport, cost_spec, own_code, own_options
from archbench.known import code_of, plugins_of
from archbench.measure.job.agreeing import agree, differs, flagged
from archbench.measure.job.allowance import SHARE
from archbench.measure.job.bench import Bench
from archbench.measure.job.findings import Report
from archbench.measure.job.launching import BUSY_S, GRAPH_CALLS, busy, graph, why_no_graph
from archbench.measure.job.memory import MEMORY_CALLS, SIZES, memory, sizes
from archbench.measure.job.passes import LEAST, PARTS, copies, parts, throughput, why_no_parts
from archbench.measure.job.prepared import Prepared, load, take
from archbench.measure.job.result import Result
from archbench.measure.job.timing import (
    Calls,
    arrays_of,
    as_total,
    rates,
    sample,
    save_samples,
    times,
    warm_up,
)
from archbench.measure.job.training import check_trainable
from archbench.measure.job.workload import add_load, prepare
from archbench.measure.machine import host
from archbench.measure.machine.cooling import cool_down, temperature_of
from archbench.measure.machine.device import Device
from archbench.measure.machine.devices import open_device
from archbench.measure.power.energy import EnergyJob
from archbench.measure.power.load import Load
from archbench.measure.power.meters import OF_DEVICE, open_meter
from archbench.measure.roofline import bounds as roofline
from archbench.measure.roofline.probes import peaks_of
from archbench.quantities import about
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.records.conditions import Conditions, Energy, Environment
from archbench.settings import Settings
from archbench.spec import Spec

WARM, TIMED = 1 / 3, 1 / 2
"""The shares of a job's allowance within which it is warm, and single calls are timed."""
TRAINING_SAMPLES = 20
"""The fewest steps that are timed."""
OF_WHAT_RUNS = (Flag.CODE_UNHASHED, Flag.LOAD_RANDOM, Flag.ENGINE_DIFFERS, Flag.CPU_CONTENDED)
"""Flags of timed calls that warn of their energy as well; what becomes of the device meanwhile, its
meter sees for itself.
"""


@dataclass(frozen=True)
class Asked:
    """A job as its worker is given it."""

    spec: Spec
    settings: Settings
    meter: str | None = None
    """A power meter other than the device's own."""
    cool_to_c: float | None = None
    """The temperature near which its card is to begin; None: as it is."""
    prepared: Mapping[str, Any] | None = None
    """Where the prepared network is, for an engine that runs one."""


def run(asked: Asked, report: Report, interrupted: Callable[[], bool]) -> None:
    """Go through the phases of one job."""
    spec, settings = asked.spec, asked.settings
    settings.check(spec)
    engines.check(spec, settings)
    trains = spec.mode == "train"
    with ExitStack() as held:
        with report.phase("preflight"):
            device, energy = preflight(asked, report, interrupted)
            made = take(asked.prepared, held) if asked.prepared else None
        with report.phase("count"):
            counted = made.counted(report.result) if made else count(spec, report.result)
        held.enter_context(nullcontext() if trains else torch.inference_mode())
        with report.phase("build"):
            bench = build(asked, made, device, report)
            energy.rest("context")
        warned = begin(bench, made, asked, report, interrupted)
        with report.phase("latency"):
            calls = time_calls(bench, asked, report, interrupted, warned)
        if not trains:
            with report.phase("throughput"):
                measure_passes(bench, settings, report, calls)
        with report.phase("memory"):
            # What is postprocessed is no part of the memory that a network takes.
            bench.load = None
            report.measured(memory(bench, report.allowance, calls.time))
        measure_energy(energy, bench, settings, report, calls)
        # A profiler takes memory on the card, and stays attached to it.
        measure_busy(bench, calls, report)
        if settings.roofline:
            why_not = Reason.INTERRUPTED if interrupted() else None
            with report.phase("roofline"):
                add_roofline(
                    counted, bench, settings, report, why_not=Reason.TRAINING if trains else why_not
                )
        # Last, so that the memory of its pool is in no other figure.
        measure_graph(bench, settings, interrupted, report, calls)


def build(asked: Asked, made: Prepared | None, device: Device, report: Report) -> Bench:
    """Build the network on its device, or have its engine load what was made of it."""
    spec, settings, conditions = asked.spec, asked.settings, report.result.conditions
    if made is None:
        bench = prepare(spec, settings, device, conditions)
        report.measured(sizes(bench.network))
        report.measured(Metric.lacking(about("engine"), Reason.IN_TORCH))
        return bench
    report.result.environment["engine_versions"] = dict(engines.engine_of(settings).versions())
    bench, took = load(made, spec, settings, device, conditions)
    report.measured(Metric.lacking(SIZES, Reason.IN_ENGINE) | took)
    return bench


def begin(
    bench: Bench,
    made: Prepared | None,
    asked: Asked,
    report: Report,
    interrupted: Callable[[], bool],
) -> list[Flag]:
    """Go from the first call to the last of the warm-up; gives what warns of every time."""
    spec, settings = asked.spec, asked.settings
    is_given = bool(settings.weights) or spec.has_weights
    with report.phase("cold"):
        is_calibrated = not (made or is_given)
        report.measured({"cold_ms": first_call(bench, settings, is_calibrated=is_calibrated)})
        report.allowance.begin()
        add_load(bench, settings, report.result.conditions)
    is_other = False
    if made:
        with report.phase("agreement"):
            found = agree(bench, made.form, made.reference)
            is_other = differs(found, settings)
            report.measured(flagged(found) if is_other else found)
    with report.phase("warmup"):
        steady = warm_up(bench, interrupted, report.allowance.left(WARM))
    is_random = bench.gives_final and not (is_given and settings.images)
    return [
        *([] if steady else [Flag.WARMUP_NOT_STEADY]),
        *own_code_flags(report.result),
        *([Flag.LOAD_RANDOM] if is_random else []),
        *([Flag.ENGINE_DIFFERS] if is_other else []),
    ]


def preflight(
    asked: Asked, report: Report, interrupted: Callable[[], bool]
) -> tuple[Device, EnergyJob]:
    """Open the device and its meter, let the device cool where that is asked for, and note what it
    and its surroundings are.
    """
    settings, result = asked.settings, report.result
    result.environment = host.fingerprint()
    device = open_device(settings)
    if asked.prepared:
        engines.engine_of(settings).check_precision(settings.precision, device.kind)
    cool_down(device.state, asked.cool_to_c, over=interrupted)
    if (celsius := temperature_of(device.state())) is not None:
        result.conditions["start_temperature_c"] = celsius
    power = open_meter(asked.meter or OF_DEVICE[device.kind], uuid=device.uuid)
    energy = EnergyJob(power, interrupted=interrupted, allow_shared=settings.allow_shared)
    energy.rest("no_context")
    device.activate()
    result.environment |= device.fingerprint()
    result.conditions["host_before"] = host.load()
    return device, energy


def count(spec: Spec, result: Result) -> CostReport:
    """Count the network, and note what it came to and, of one from elsewhere, how it was found."""
    if spec.origin and spec.mode == "train":
        check_trainable(spec)
    counted = cost_spec(spec)
    result.counted = counted.totals()
    if spec.origin:
        result.conditions["counted_on"] = counted.counted_on
        if counted.notes:
            result.conditions["count_notes"] = list(counted.notes)
        result.conditions["seen_size"] = seen_size(counted)
        result.environment |= cast(Environment, own_code(spec))
        if options := own_options(spec):
            result.conditions["options"] = options
    result.note_plugins(plugins_of(spec), code_of(spec))
    return counted


def seen_size(counted: CostReport) -> str | None:
    """What a network's first convolution sees as WIDTHxHEIGHT: images may be resized before it."""
    shapes = (call.in_shape for call in counted.calls if len(call.in_shape) == 4)
    first = next(shapes, None)
    return f"{first[3]}x{first[2]}" if first else None


def own_code_flags(result: Result) -> list[Flag]:
    """Flags of a network of a user's own code."""
    return [Flag.CODE_UNHASHED] if result.environment.get("code_unhashed") else []


def time_calls(
    bench: Bench,
    asked: Asked,
    report: Report,
    interrupted: Callable[[], bool],
    warned: list[Flag],
) -> Calls:
    """Time single calls, `warned` of already, and say what surrounded them."""
    spec, settings, conditions = asked.spec, asked.settings, report.result.conditions
    if bench.training:
        settings = replace(settings, n_min=min(settings.n_min, TRAINING_SAMPLES))
    before = host.processor_time()
    most_s = report.allowance.left(TIMED)
    collected = sample(bench, settings, interrupted=interrupted, tell=report.tell, most_s=most_s)
    after = host.processor_time()
    conditions["cpu_stolen_share"] = after.stolen_share(before) if before and after else None
    conditions["host_after"] = host.load()
    if seen := bench.device.looks.conditions():
        conditions["card"] = seen
    flags = [*warned, *contention(bench, conditions)]
    timed = times(collected, spec, flags)
    timed = as_total(timed) if bench.gives_final else timed
    report.measured(timed)
    if not bench.training:
        assert report.result.counted is not None
        report.measured(rates(timed, spec, report.result.counted))
    samples = arrays_of(collected)
    save_samples(samples, report.folder / "samples.npz")
    return Calls(timed[bench.time_word], spec.batch, samples, tuple(flags))


def measure_passes(bench: Bench, settings: Settings, report: Report, calls: Calls) -> None:
    """Measure what has passes of its own: calls back to back, the parts of a call, copies."""
    left = report.allowance.left
    to_come_s = MEMORY_CALLS * calls.seconds
    lacks_time = left() < to_come_s + max(2 * calls.seconds, settings.budget_s / SHARE)
    if lacks_time and not bench.cold_caches:
        report.measured(Metric.lacking(["throughput_img_s"], Reason.BUDGET))
    else:
        report.measured(throughput(bench, settings, calls))
    if left() < to_come_s + LEAST * calls.seconds and not why_no_parts(bench):
        report.measured(Metric.lacking(PARTS, Reason.BUDGET))
    else:
        report.measured(parts(bench, settings))
    report.measured(copies(bench))


def first_call(bench: Bench, settings: Settings, *, is_calibrated: bool) -> Metric:
    """Time the first call in the asked form, with the capture of a graph; nothing has run before
    but, where the weights were drawn, the pass that calibrates them.
    """

    def call() -> None:
        if settings.cuda_graph:
            bench.capture()
        bench.forward()

    source = "host clock, first call"
    if is_calibrated:
        source += " after the pass that calibrates the weights"
    return Metric.of("cold_ms", 1e3 * bench.timed(call, 1).host_s, source, bench.protocol)


def measure_busy(bench: Bench, calls: Calls, report: Report) -> None:
    """Find how long a card is at work in a call, outside of what is timed."""
    is_card = bench.device.kind == "cuda"
    if is_card and report.allowance.left() < 2 * max(BUSY_S, calls.seconds):
        report.measured(Metric.lacking(["gpu_busy_ms"], Reason.BUDGET))
        return
    with report.phase("busy") if is_card else nullcontext():
        report.measured(busy(bench, calls.time))


def measure_graph(
    bench: Bench,
    settings: Settings,
    interrupted: Callable[[], bool],
    report: Report,
    calls: Calls,
) -> None:
    """Time the network as a CUDA graph beside its eager form, or say why not."""
    why_not = why_no_graph(bench, interrupted=interrupted())
    needed_s = GRAPH_CALLS * calls.seconds + settings.budget_s / SHARE
    why_not = why_not or (None if report.allowance.left() >= needed_s else Reason.BUDGET)
    if why_not:
        report.measured(Metric.lacking(["graph_latency_ms"], why_not))
        return
    with report.phase("graph"):
        report.measured({"graph_latency_ms": graph(bench, settings, interrupted)})


def contention(bench: Bench, conditions: Conditions) -> list[Flag]:
    """Flags of what may have disturbed the times: others on the CPU or the card, a training that
    left the finite numbers.
    """
    disturbed = any(map(host.is_contended, (conditions["host_before"], conditions["host_after"])))
    diverged = bench.training is not None and bench.training.diverged
    return [
        *([Flag.CPU_CONTENDED] if disturbed else []),
        *([Flag.CPU_STOLEN] if (conditions["cpu_stolen_share"] or 0.0) > host.STOLEN_SHARE else []),
        *dict.fromkeys([*bench.device.looks.flags(), *bench.device.contention()]),
        *([Flag.LOSS_NOT_FINITE] if diverged else []),
    ]


def add_roofline(
    counted: CostReport, bench: Bench, settings: Settings, report: Report, *, why_not: Reason | None
) -> None:
    """Set the time that was measured beside the device's roofline, or say why not: of training the
    forward pass alone is counted.
    """
    if settings.precision == "int8":
        why_not = why_not or Reason.NO_PEAK_PROBED
    if why_not:
        report.measured(Metric.lacking(roofline.METRICS, why_not))
        return
    peaks, cached = peaks_of(bench.device, settings)
    conditions, latency = report.result.conditions, report.result.measured["latency_ms"]
    conditions["roofline"] = roofline.describe(peaks, settings, cached=cached)
    if latency.reason:
        report.measured(Metric.lacking(roofline.METRICS, latency.reason))
    report.measured(roofline.bounds(counted, conditions, settings, latency.value))


def measure_energy(
    energy: EnergyJob, bench: Bench, settings: Settings, report: Report, calls: Calls
) -> None:
    """Measure energy where there is a meter that can, and keep what it saw, whatever becomes of the
    device.
    """
    conditions = report.result.conditions
    try:
        if settings.flush_cache:
            energy.leave_out(Reason.WARM_CACHES)
        elif energy.possible:
            with report.phase("energy"):
                add_load(bench, settings, conditions)
                energy.measure(load_of(bench, calls), settings.energy_s, report.allowance.left())
    finally:
        report.measured(energy.metrics)
        conditions["energy"] = cast(Energy, energy.conditions)
        save_samples(calls.samples | energy.arrays, report.folder / "samples.npz")


def load_of(bench: Bench, calls: Calls) -> Load:
    """What runs while energy is measured: the calls that were timed."""
    warned = [flag for flag in calls.flags if flag in OF_WHAT_RUNS]
    return Load(
        call=bench.forward,
        synchronize=bench.device.synchronize,
        images=calls.images,
        call_s=calls.seconds,
        protocol=bench.protocol,
        postprocess=bench.postprocess if bench.load is not None else None,
        processes=bench.device.processes,
        flags=(*warned, *bench.device.contention()),
    )
