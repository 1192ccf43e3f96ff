"""The phases of a job, one after another: what is measured in each, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from archbench import engines
from archbench.api import CostReport, cost_spec, own_code, own_options
from archbench.known import plugins_of
from archbench.measure.job import preparing
from archbench.measure.job.agreeing import agree, differs, flagged
from archbench.measure.job.allowance import Allowance
from archbench.measure.job.bench import Bench
from archbench.measure.job.findings import Report
from archbench.measure.job.launching import busy, graph, why_no_graph
from archbench.measure.job.passes import LEAST, SHARE, copies, parts, throughput
from archbench.measure.job.prepared import Prepared, load, take
from archbench.measure.job.result import Result
from archbench.measure.job.timing import (
    Arrays,
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

MEMORY_CALLS = 2
WARM, TIMED = 1 / 3, 1 / 2
"""The shares of a job's allowance within which it is warm, and single calls are timed."""
SIZES = ("mem_params_bytes", "mem_buffers_bytes")
"""What a module holds."""
TRAINING_SAMPLES = 20
"""The fewest steps that are timed."""


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
            latency, samples = time_calls(bench, asked, report, interrupted, warned)
        measure_busy(bench, latency, report)
        if not trains:
            with report.phase("throughput"):
                measure_passes(bench, settings, report, latency, batch=spec.batch)
        with report.phase("memory"):
            report.measured(memory(bench, report.allowance, latency))
        measure_energy(energy, load_of(bench, latency, spec.batch), settings, report, samples)
        if settings.roofline:
            why_not = Reason.INTERRUPTED if interrupted() else None
            with report.phase("roofline"):
                add_roofline(
                    counted, bench, settings, report, why_not=Reason.TRAINING if trains else why_not
                )
        # Last, so that the memory of its pool is in no other figure.
        measure_graph(bench, settings, interrupted, report)


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
    settings = asked.settings
    with report.phase("cold"):
        report.measured({"cold_ms": first_call(bench, settings)})
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
    is_random = bench.gives_final and not (settings.weights and settings.images)
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
    result.note_plugins(plugins_of(spec))
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
    warned: Sequence[Flag],
) -> tuple[Metric, Arrays]:
    """Time single calls, `warned` of already, and say what surrounded them: the time of a forward
    pass, and all samples.
    """
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
    timed = times(collected, spec, [*warned, *contention(bench, conditions)])
    latency = timed["latency_ms"]
    timed = as_total(timed) if bench.gives_final and not bench.training else timed
    report.measured(timed)
    if not bench.training:
        assert report.result.counted is not None
        report.measured(rates(timed, spec, report.result.counted))
    samples = arrays_of(collected)
    save_samples(samples, report.folder / "samples.npz")
    return latency, samples


def measure_passes(
    bench: Bench, settings: Settings, report: Report, latency: Metric, *, batch: int
) -> None:
    """Measure what has passes of its own: calls back to back, the parts of a call, copies."""
    assert latency.value is not None
    call_s = latency.value / 1e3
    left = report.allowance.left
    # The passes for memory are still to come.
    if left() < 2 * call_s + max(2 * call_s, settings.budget_s / SHARE):
        report.measured(Metric.lacking(["throughput_img_s"], Reason.BUDGET))
    else:
        report.measured(throughput(bench, settings, batch=batch, call_s=call_s))
    if left() < 2 * call_s + LEAST * call_s:
        report.measured(Metric.lacking(["backbone_ms", "heads_ms"], Reason.BUDGET))
    else:
        report.measured(parts(bench, settings))
    report.measured(copies(bench))


def first_call(bench: Bench, settings: Settings) -> Metric:
    """Time the first call in the asked form, with the capture of a graph; nothing but the pass that
    calibrates drawn weights has run before.
    """

    def call() -> None:
        if settings.cuda_graph:
            bench.capture()
        bench.forward()

    source = "host clock, first call"
    is_calibrated = not settings.weights and not preparing.needs_file(settings)
    source += "" if not is_calibrated else " after the pass that calibrates the weights"
    protocol = "train" if bench.training else "model"
    return Metric.of("cold_ms", 1e3 * bench.timed(call, 1).host_s, source, protocol)


def measure_busy(bench: Bench, latency: Metric, report: Report) -> None:
    """Find how long a card is at work in a call, outside of what is timed."""
    with report.phase("busy") if bench.device.kind == "cuda" else nullcontext():
        report.measured(busy(bench, latency))


def measure_graph(
    bench: Bench, settings: Settings, interrupted: Callable[[], bool], report: Report
) -> None:
    """Time the network as a CUDA graph beside its eager form, or say why not."""
    why_not = why_no_graph(bench, interrupted=interrupted())
    why_not = why_not or (None if report.allowance.left() else Reason.BUDGET)
    if why_not:
        report.measured(Metric.lacking(["graph_latency_ms"], why_not))
        return
    with report.phase("graph"):
        report.measured({"graph_latency_ms": graph(bench, settings, interrupted)})


def sizes(network: nn.Module) -> dict[str, Metric]:
    """Bytes of the parameters and buffers as they are held."""

    held: dict[str, Iterator[Tensor]] = dict(
        zip(SIZES, (network.parameters(), network.buffers()), strict=True)
    )
    return {
        name: Metric.of(
            name, sum(tensor.numel() * tensor.element_size() for tensor in tensors), "module"
        )
        for name, tensors in held.items()
    }


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
    if why_not:
        report.measured(Metric.lacking(roofline.METRICS, why_not))
        return
    if settings.precision == "int8":
        report.measured(Metric.lacking(roofline.METRICS, Reason.NO_PEAK_PROBED))
        return
    peaks, cached = peaks_of(bench.device, settings)
    report.result.conditions["roofline"] = roofline.describe(peaks, settings, cached=cached)
    latency_ms = report.result.measured["latency_ms"].value
    assert latency_ms is not None
    report.measured(roofline.bounds(counted, report.result.conditions, settings, latency_ms))


def memory(bench: Bench, allowance: Allowance, latency: Metric) -> dict[str, Metric]:
    """Peaks of memory over some calls in the steady state, as many as there is time for."""
    call_s = (latency.value or 0.0) / 1e3
    calls = MEMORY_CALLS if allowance.left() >= MEMORY_CALLS * call_s else 1
    protocol = "train" if bench.training else "model"
    if allowance.left() < call_s:
        # What the device cannot tell in any time keeps its own reason.
        bench.device.reset_memory()
        found = bench.device.memory(protocol=protocol)
        return found | Metric.lacking(
            [name for name in found if not found[name].reason], Reason.BUDGET
        )
    if bench.training:
        # Gradients that the step frees first would lie below the activations' peak.
        bench.training.forget()
    bench.device.reset_memory()
    for _ in range(calls):
        bench.forward()
    bench.device.synchronize()
    return bench.device.memory(protocol=protocol)


def measure_energy(
    energy: EnergyJob, load: Load, settings: Settings, report: Report, samples: Arrays
) -> None:
    """Measure energy where there is a meter that can, and keep what it saw, whatever becomes of the
    device.
    """
    try:
        if settings.flush_cache:
            energy.leave_out(Reason.WARM_CACHES)
        elif energy.possible:
            with report.phase("energy"):
                energy.measure(load, settings.energy_s, report.allowance.left())
    finally:
        report.measured(energy.metrics)
        report.result.conditions["energy"] = cast(Energy, energy.conditions)
        save_samples(samples | energy.arrays, report.folder / "samples.npz")


def load_of(bench: Bench, latency: Metric, batch: int) -> Load:
    """What runs while energy is measured: the calls that were timed."""
    assert latency.value is not None
    return Load(
        call=bench.forward,
        synchronize=bench.device.synchronize,
        images=batch,
        call_s=latency.value / 1e3,
        protocol=latency.protocol,
        postprocess=bench.postprocess if bench.load is not None else None,
        processes=bench.device.processes,
        flags=tuple(bench.device.contention()),
    )
