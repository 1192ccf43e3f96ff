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
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from archbench.api import CostReport, cost_spec
from archbench.measure.job.bench import Bench
from archbench.measure.job.passes import copies, parts, throughput
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
from archbench.measure.power.energy import METERS, EnergyJob, Load, open_meter
from archbench.measure.power.meter import GpuLostError
from archbench.measure.roofline import bounds as roofline
from archbench.measure.roofline.probes import peaks_of
from archbench.records import Metric, Reason
from archbench.settings import Settings
from archbench.spec import Spec, UsageError

MEMORY_CALLS = 2
TRAINING_SAMPLES = 20
"""The fewest steps that are timed."""
NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What errors say of memory that is not enough: torch's allocator of a CPU, the driver, cuBLAS and
cuDNN.
"""


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
        self.data: dict[str, Any] = {
            "status": "running",
            "phase": "",
            "measured": {},
            "phases": {},
            "conditions": {},
        }
        self._progress = (folder / "progress.jsonl").open("a", buffering=1, encoding="utf-8")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run a phase: announce it, time it, write what was found."""
        self.data["phase"] = name
        self.write()
        self.tell(phase=name)
        start = time.perf_counter()
        yield
        self.data["phases"][name] = round(time.perf_counter() - start, 4)
        self.write()

    def tell(self, **news: Any) -> None:
        """Say something to whoever watches."""
        self._progress.write(json.dumps(news) + "\n")

    def measured(self, metrics: dict[str, Metric]) -> None:
        """Add figures."""
        self.data["measured"] |= {name: asdict(metric) for name, metric in metrics.items()}

    def end(self, status: str, reason: Reason | None = None) -> None:
        """Write the last word."""
        self.data |= {"status": status, "reason": asdict(reason) if reason else None}
        self.write()

    def write(self) -> None:
        """Replace the result file, whole or not at all."""
        temporary = self.folder / "result.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.data, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / "result.json")


def run(
    spec: Spec,
    settings: Settings,
    report: Report,
    interrupted: Interruption,
    meter: str | None = None,
) -> None:
    """Go through the phases of one job; `meter` is the device's own where none is named."""
    settings.check(spec)
    conditions = report.data["conditions"]
    with report.phase("preflight"):
        report.data["environment"] = host.fingerprint()
        device = open_device(settings)
        power = open_meter(meter or METERS[device.kind], uuid=device.uuid)
        energy = EnergyJob(power, interrupted=interrupted, allow_shared=settings.allow_shared)
        energy.rest("no_context")
        device.activate()
        report.data["environment"] |= device.fingerprint()
        conditions["host_before"] = host.load()
    with report.phase("count"):
        counted = cost_spec(spec)
        report.data["counted"] = counted.totals()
    trains = spec.mode == "train"
    with nullcontext() if trains else torch.inference_mode():
        with report.phase("build"):
            bench = prepare(spec, settings, device, conditions)
            report.measured(sizes(bench.network))
            energy.rest("context")
        with report.phase("cold"):
            if settings.cuda_graph:
                bench.capture()
            cold = bench.timed(bench.forward, 1).host_s
            report.measured(
                {
                    "cold_ms": Metric.of(
                        "cold_ms", 1e3 * cold, "host clock", "train" if trains else "model"
                    )
                }
            )
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
            timed = times(
                collected,
                spec,
                [*([] if steady else ["warmup_not_steady"]), *contention(bench, conditions)],
            )
            report.measured(timed if trains else timed | rates(timed, spec, counted.macs))
            samples = arrays_of(collected)
            save_samples(samples, report.folder / "samples.npz")
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
                    why_not="training" if trains else "interrupted" if interrupted() else "",
                )


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


def contention(bench: Bench, conditions: dict[str, Any]) -> list[str]:
    """Flags of what may have disturbed the times: others on the CPU or the card, a training that
    left the finite numbers.
    """
    disturbed = any(host.is_contended(conditions[when]) for when in ("host_before", "host_after"))
    diverged = bench.training is not None and bench.training.diverged
    return [
        *(["cpu_contended"] if disturbed else []),
        *(["cpu_stolen"] if (conditions["cpu_stolen_share"] or 0.0) > host.STOLEN_SHARE else []),
        *bench.device.contention(),
        *(["loss_not_finite"] if diverged else []),
    ]


def add_roofline(
    counted: CostReport, bench: Bench, settings: Settings, report: Report, *, why_not: str
) -> None:
    """Set the time that was measured beside the device's roofline, or say why not: of training the
    forward pass alone is counted.
    """
    if why_not:
        report.measured(Metric.lacking(roofline.METRICS, why_not))
        return
    peaks, cached = peaks_of(bench.device, settings)
    report.data["conditions"]["roofline"] = roofline.describe(peaks, settings, cached=cached)
    latency_ms = report.data["measured"]["latency_ms"]["value"]
    report.measured(roofline.bounds(counted, report.data["conditions"], settings, latency_ms))


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
        report.data["conditions"]["energy"] = energy.conditions
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
        processes=int(bench.device.kind == "cuda"),
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
    except GpuLostError as error:
        report.end("error", Reason("gpu_lost", report.data["phase"], str(error)))
    except UsageError as error:
        report.end("usage", Reason("usage", report.data["phase"], str(error)))
    except BusyError as error:
        report.end("skipped", Reason("gpu_busy", report.data["phase"], str(error)))
    except Exception as error:
        if is_out_of_memory(error):
            report.end("oom", Reason("out_of_memory", report.data["phase"], _last_line(error)))
        else:
            traceback.print_exc()
            report.end(
                "error", Reason(type(error).__name__, report.data["phase"], _last_line(error))
            )
    else:
        reason = (
            Reason("interrupted", report.data["phase"], "ended early on request")
            if interrupted()
            else None
        )
        report.end("interrupted" if interrupted() else "ok", reason)
    return 0


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory was not enough; libraries of a card have words and no class
    for it.
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in NO_MEMORY
    )


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
