"""The child process of one job: `python -m archbench.measure.job.worker FOLDER`.

Reads FOLDER/job.json and goes through the phases in order; after each it writes FOLDER/result.json
anew, so that a crash in one keeps what the others found. Progress goes to FOLDER/progress.jsonl,
samples to FOLDER/samples.npz.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor, nn

from archbench.api import CostReport, blamed_on_plugin, cost_spec
from archbench.measure.job.bench import Bench
from archbench.measure.job.launching import busy, graph, why_no_graph
from archbench.measure.job.out_of_memory import is_out_of_memory
from archbench.measure.job.passes import copies, parts, throughput
from archbench.measure.job.result import Outcome, Result
from archbench.measure.job.timing import (
    Arrays,
    arrays_of,
    rates,
    sample,
    save_samples,
    times,
    warm_up,
)
from archbench.measure.job.workload import add_load, prepare
from archbench.measure.machine import host
from archbench.measure.machine.devices import open_device
from archbench.measure.machine.exclusive import BusyError
from archbench.measure.power.energy import EnergyJob
from archbench.measure.power.load import Load
from archbench.measure.power.meter import GpuLostError
from archbench.measure.power.meters import OF_DEVICE, open_meter
from archbench.measure.roofline import bounds as roofline
from archbench.measure.roofline.probes import peaks_of
from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric
from archbench.records.conditions import Conditions, Energy
from archbench.settings import Settings
from archbench.spec import Spec, UsageError
from archbench.tracebacks import first_line, traceback_of

BEFORE_RUNNING = ("count", "build")
"""Phases in which a user's own network shows whether it is one: what it raises there is refused."""
MEMORY_CALLS = 2
TRAINING_SAMPLES = 20
"""The fewest steps that are timed."""


class Interruption:
    """Whether someone asked the job to come to an end (SIGINT)."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


class Report:
    """What the job has found so far, written whole at both ends of every phase."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result = Result()
        self._progress = (folder / "progress.jsonl").open("a", buffering=1, encoding="utf-8")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run a phase: announce it, time it, write what was found."""
        self.result.phase = name
        self.write()
        self.tell(phase=name)
        start = time.perf_counter()
        yield
        self.result.phases[name] = round(time.perf_counter() - start, 4)
        self.write()

    def tell(self, **news: Any) -> None:
        """Say something to whoever watches."""
        self._progress.write(json.dumps(news) + "\n")

    def measured(self, metrics: dict[str, Metric]) -> None:
        """Add figures."""
        self.result.measured |= metrics

    def end(self, status: Status, reason: Reason | None = None, message: str = "") -> None:
        """Write the last word."""
        self.result.outcome, self.result.status = Outcome.ENDED, status
        self.result.reason = Cause(reason, self.result.phase, message) if reason else None
        self.write()

    def refuse(self, message: str) -> None:
        """Write that the job cannot be what was asked for."""
        self.result.outcome = Outcome.REFUSED
        self.result.reason = Cause(Reason.REFUSED, self.result.phase, message)
        self.write()

    def write(self) -> None:
        """Write down what was found so far."""
        self.result.write(self.folder)


def run(
    spec: Spec,
    settings: Settings,
    report: Report,
    interrupted: Interruption,
    meter: str | None = None,
) -> None:
    """Go through the phases of one job; `meter` is the device's own where none is named."""
    settings.check(spec)
    conditions = report.result.conditions
    with report.phase("preflight"):
        report.result.environment = host.fingerprint()
        device = open_device(settings)
        power = open_meter(meter or OF_DEVICE[device.kind], uuid=device.uuid)
        energy = EnergyJob(power, interrupted=interrupted, allow_shared=settings.allow_shared)
        energy.rest("no_context")
        device.activate()
        report.result.environment |= device.fingerprint()
        conditions["host_before"] = host.load()
    with report.phase("count"):
        counted = cost_spec(spec)
        report.result.counted = counted.totals()
    trains = spec.mode == "train"
    with nullcontext() if trains else torch.inference_mode():
        with report.phase("build"):
            bench = prepare(spec, settings, device, conditions)
            report.measured(sizes(bench.network))
            energy.rest("context")
        with report.phase("cold"):
            report.measured({"cold_ms": first_call(bench, settings)})
            add_load(bench, settings, conditions)
        with report.phase("warmup"):
            steady = warm_up(bench, interrupted)
        with report.phase("latency"):
            enough = (
                replace(settings, n_min=min(settings.n_min, TRAINING_SAMPLES))
                if trains
                else settings
            )
            before = host.processor_time()
            collected = sample(bench, enough, interrupted=interrupted, tell=report.tell)
            after = host.processor_time()
            conditions["cpu_stolen_share"] = (
                after.stolen_share(before) if before and after else None
            )
            conditions["host_after"] = host.load()
            if seen := device.looks.conditions():
                conditions["card"] = seen
            timed = times(
                collected,
                spec,
                [*([] if steady else [Flag.WARMUP_NOT_STEADY]), *contention(bench, conditions)],
            )
            report.measured(timed if trains else timed | rates(timed, spec, counted.totals()))
            samples = arrays_of(collected)
            save_samples(samples, report.folder / "samples.npz")
        measure_busy(bench, timed["latency_ms"], report)
        if not trains:
            with report.phase("throughput"):
                call_s = median(collected.columns["latency_ms"])
                report.measured(throughput(bench, settings, batch=spec.batch, call_s=call_s))
                report.measured(parts(bench, settings) | copies(bench))
        with report.phase("memory"):
            report.measured(memory(bench))
        measure_energy(
            energy, load_of(bench, timed["latency_ms"], spec.batch), settings, report, samples
        )
        if settings.roofline:
            with report.phase("roofline"):
                add_roofline(
                    counted,
                    bench,
                    settings,
                    report,
                    why_not=Reason.TRAINING
                    if trains
                    else Reason.INTERRUPTED
                    if interrupted()
                    else None,
                )
        # Last, so that the memory of its pool is in no other figure.
        measure_graph(bench, settings, interrupted, report)


def first_call(bench: Bench, settings: Settings) -> Metric:
    """Time the first call in the asked form, with the capture of a graph; nothing but the pass that
    calibrates drawn weights has run before.
    """

    def call() -> None:
        if settings.cuda_graph:
            bench.capture()
        bench.forward()

    source = "host clock, first call"
    source += "" if settings.weights else " after the pass that calibrates the weights"
    protocol = "train" if bench.training else "model"
    return Metric.of("cold_ms", 1e3 * bench.timed(call, 1).host_s, source, protocol)


def measure_busy(bench: Bench, latency: Metric, report: Report) -> None:
    """Find how long a card is at work in a call, outside of what is timed."""
    with report.phase("busy") if bench.device.kind == "cuda" else nullcontext():
        report.measured(busy(bench, latency))


def measure_graph(
    bench: Bench, settings: Settings, interrupted: Interruption, report: Report
) -> None:
    """Time the network as a CUDA graph beside its eager form, or say why not."""
    why_not = why_no_graph(bench, interrupted=interrupted())
    if why_not:
        report.measured(Metric.lacking(["graph_latency_ms"], why_not))
        return
    with report.phase("graph"):
        report.measured({"graph_latency_ms": graph(bench, settings, interrupted)})


def sizes(network: nn.Module) -> dict[str, Metric]:
    """Bytes of the parameters and buffers as they are held."""

    held: dict[str, Iterator[Tensor]] = {
        "mem_params_bytes": network.parameters(),
        "mem_buffers_bytes": network.buffers(),
    }
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
    peaks, cached = peaks_of(bench.device, settings)
    report.result.conditions["roofline"] = roofline.describe(peaks, settings, cached=cached)
    latency_ms = report.result.measured["latency_ms"].value
    assert latency_ms is not None
    report.measured(roofline.bounds(counted, report.result.conditions, settings, latency_ms))


def memory(bench: Bench) -> dict[str, Metric]:
    """Peaks of memory over some calls in the steady state."""
    if bench.training:
        # Gradients that the step frees first would lie below the activations' peak.
        bench.training.forget()
    bench.device.reset_memory()
    for _ in range(MEMORY_CALLS):
        bench.forward()
    bench.device.synchronize()
    return bench.device.memory(protocol="train" if bench.training else "model")


def measure_energy(
    energy: EnergyJob, load: Load, settings: Settings, report: Report, samples: Arrays
) -> None:
    """Measure energy where there is a meter that can, and keep what it saw, whatever becomes of the
    device.
    """
    try:
        if energy.possible:
            with report.phase("energy"):
                energy.measure(load, settings.energy_s)
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


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens (Linux); end it
    now if that has happened.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


def main(folder: Path) -> int:
    """Run the job in `folder`; the exit code says only whether the result file holds the last
    word.
    """
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    die_with_parent(job["supervisor"])
    interrupted = Interruption()
    spec, settings = Spec.from_dict(job["spec"]), Settings.from_dict(job["settings"])
    report = Report(folder)
    try:
        run(spec, settings, report, interrupted, job.get("meter"))
    except BaseException as error:  # A user's own network may raise anything.
        conclude(report, error, spec)
    else:
        if interrupted():
            report.end(Status.INTERRUPTED, Reason.INTERRUPTED, "ended early on request")
        else:
            report.end(Status.OK)
    return 0


def conclude(report: Report, error: BaseException, spec: Spec) -> None:
    """Write the last word of a job that failed, and tell its traceback where that is asked for."""
    whole = traceback_of(error)
    if whole:
        report.tell(phase=report.result.phase, traceback=whole)
    message = first_line(error)[:500] or type(error).__name__
    if isinstance(error, UsageError):
        report.refuse(str(error))
    elif isinstance(error, GpuLostError):
        report.end(Status.ERROR, Reason.GPU_LOST, str(error))
    elif isinstance(error, BusyError):
        report.end(Status.SKIPPED, Reason.GPU_BUSY, str(error))
    elif is_out_of_memory(error):
        report.end(Status.OOM, Reason.OUT_OF_MEMORY, message)
    else:
        place = blamed_on_plugin(error, spec)
        if place and report.result.phase in BEFORE_RUNNING:
            report.refuse(f"{spec} cannot be built: {place}")
        else:
            report.end(Status.ERROR, Reason(type(error).__name__), place or message)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
