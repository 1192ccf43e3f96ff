"""The child process of one job: `python -m archbench.measure.worker FOLDER`.

Reads FOLDER/job.json and goes through the phases in order; after each it writes FOLDER/result.json anew, so that a crash in
one keeps what the others found. Progress goes to FOLDER/progress.jsonl, samples to FOLDER/samples.npz.
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
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archbench.api import CostReport, Detector, build_spec, cost_spec
from archbench.measure import host, roofline
from archbench.measure.bench import Bench
from archbench.measure.checkpoint import load_weights
from archbench.measure.device import Device, open_device
from archbench.measure.energy import METERS, EnergyJob, Load, open_meter
from archbench.measure.meter import GpuLostError
from archbench.measure.passes import parts, throughput
from archbench.measure.pictures import load_pictures
from archbench.measure.probes import peaks_of
from archbench.measure.sampling import Collected, collect, spread
from archbench.measure.training import TrainingStep
from archbench.measure.weights import calibrate, fold_batch_norms, initialise
from archbench.records import Metric, Reason
from archbench.spec import Settings, Spec, UsageError

CALIBRATION_BATCH = 2
"""Images that set the statistics: two, so that a 1x1 map has some."""
BUFFERS = 2
"""Random inputs that are used in turn."""
MEMORY_CALLS = 2
TRAINING_SAMPLES = 20
"""The fewest steps that are timed."""
STEADY = 0.01
Arrays = dict[str, NDArray[Any]]
LINES = {"latency_ms": "model", "postprocess_ms": "post", "total_ms": "model+post"}


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
        self.data: dict[str, Any] = {"status": "running", "phase": "", "measured": {}, "phases": {}, "conditions": {}}
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


def run(spec: Spec, settings: Settings, report: Report, interrupted: Interruption, meter: str | None = None) -> None:
    """Go through the phases of one job; `meter` is the device's own where none is named."""
    with report.phase("preflight"):
        report.data["environment"] = host.fingerprint()
        device = open_device(settings)
        power = open_meter(meter or METERS[device.kind], uuid=device.uuid)
        energy = EnergyJob(power, interrupted=interrupted, allow_shared=settings.allow_shared)
        energy.rest("no_context")
        device.activate()
        report.data["environment"] |= device.fingerprint()
        before = host.load()
        report.data["conditions"]["host_before"] = before
    with report.phase("count"):
        counted = cost_spec(spec)
        report.data["counted"] = counted.totals()
    trains = spec.mode == "train"
    protocol = "train" if trains else "model"
    with nullcontext() if trains else torch.inference_mode():
        with report.phase("build"):
            bench = prepare(spec, settings, device, report)
            if trains:
                bench.training = TrainingStep(bench.network, classes=spec.classes, seed=settings.seed)
                report.data["conditions"]["loss"] = bench.training.loss
                settings = replace(settings, n_min=min(settings.n_min, TRAINING_SAMPLES))
            energy.rest("context")
        with report.phase("cold"):
            cold = bench.timed(bench.forward, 1)
            report.measured({"cold_ms": Metric(1e3 * cold, "ms", source="host clock", protocol=protocol)})
            if not trains:
                add_load(bench, settings, report)
        with report.phase("warmup"):
            steady = warm_up(bench, interrupted)
        with report.phase("latency"):
            collected = sample(bench, settings, report, interrupted)
            after = report.data["conditions"]["host_after"] = host.load()
            contended = any(map(host.is_contended, (before, after)))
            flags = [name for name, raised in (("warmup_not_steady", not steady), ("cpu_contended", contended)) if raised]
            report.measured(training_times(collected, spec, flags) if trains else timings(collected, spec, counted.macs, flags))
            samples = arrays_of(collected)
            save_samples(samples, report.folder)
        if not trains:
            with report.phase("throughput"):
                latency_ms = report.data["measured"]["latency_ms"]["value"]
                report.measured(throughput(bench, settings, batch=spec.batch, latency_s=latency_ms / 1e3))
                report.measured(parts(bench))
        with report.phase("memory"):
            report.measured({name: replace(metric, protocol=metric.protocol and protocol) for name, metric in memory(bench).items()})
        measure_energy(energy, load_of(bench, report, spec.batch), settings, report, samples)
        if settings.roofline:
            with report.phase("roofline"):
                add_roofline(counted, bench, settings, report)


def prepare(spec: Spec, settings: Settings, device: Device, report: Report) -> Bench:
    """Build the network with calibrated weights and its inputs, in the asked precision and memory format on the device."""
    network = build_spec(spec)
    if settings.weights:
        load_weights(network, Path(settings.weights))
    else:
        initialise(network, settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (3, spec.height, spec.width)
    drawn = torch.randn(BUFFERS, spec.batch, *shape, generator=generator)
    report.data["conditions"]["inputs"] = "random normal"
    if settings.images is not None:
        prepared = load_pictures(Path(settings.images), network.preparation, (spec.width, spec.height))  # type: ignore[arg-type]
        report.data["conditions"]["inputs"] = f"{len(prepared)} pictures"
        rows = [torch.stack(batch) for batch in batches(prepared, spec.batch)]
        typical = torch.stack((CALIBRATION_BATCH * prepared)[:CALIBRATION_BATCH])
    else:
        rows = list(drawn)
        typical = torch.randn(CALIBRATION_BATCH, *shape, generator=generator)
    memory_format = torch.channels_last if settings.memory_format == "channels_last" else torch.contiguous_format
    network = network.to(device.torch_device)
    if not settings.weights:
        calibrate(network, typical.to(device.torch_device))
    if settings.fold_bn:
        folded, norms = fold_batch_norms(network)
        report.data["conditions"]["folded_norms"] = f"{folded} of {norms}"
    network = network.to(dtype=device.dtype, memory_format=memory_format)  # type: ignore[call-overload]
    report.measured(
        {
            "mem_params_bytes": Metric(_bytes(network.parameters()), "bytes", source="module"),
            "mem_buffers_bytes": Metric(_bytes(network.buffers()), "bytes", source="module"),
        }
    )
    inputs = [row.to(device.torch_device, device.dtype, memory_format=memory_format) for row in rows]
    return Bench(network, device, cycle(inputs))


def batches(images: list[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Split images into batches of `size`; the last is filled up from the first image on."""
    endless = cycle(images)
    for _ in range(-(-len(images) // size)):
        yield [next(endless) for _ in range(size)]


def add_load(bench: Bench, settings: Settings, report: Report) -> None:
    """Give a detector the synthetic scene to postprocess, and note its candidates before and after."""
    if not isinstance(bench.network, Detector):
        return
    generator = torch.Generator().manual_seed(settings.seed)
    bench.load, counts = bench.network.synthesize(bench.forward(), generator)
    found = bench.postprocess()
    kept = sum(map(len, found)) / len(found)
    report.data["conditions"]["postprocess_load"] = counts | {"kept": kept}


def add_roofline(counted: CostReport, bench: Bench, settings: Settings, report: Report) -> None:
    """Set the time that was measured beside the device's roofline. There is none of a training step: forward passes are counted."""
    if bench.training:
        report.measured({name: Metric(None, unit, reason="training") for name, unit in roofline.UNITS.items()})
        return
    peaks, cached = peaks_of(bench.device, settings)
    report.data["conditions"]["roofline"] = roofline.describe(peaks, settings, cached=cached)
    latency_ms = report.data["measured"]["latency_ms"]["value"]
    report.measured(roofline.bounds(counted, report.data["conditions"], settings, latency_ms))


def warm_up(bench: Bench, interrupted: Interruption) -> bool:
    """Run until the device is warm; say whether the time of a call had become steady where that is asked for."""
    device = bench.device
    times: list[float] = []
    start = time.perf_counter()
    while not interrupted():
        times.append(bench.timed(bench.forward, 1))
        if bench.load is not None:
            bench.postprocess()
        elapsed = time.perf_counter() - start
        warm = elapsed >= device.warmup_s and len(times) >= device.warmup_calls
        if warm and (not device.steady or _steady(times)):
            return True
        if device.steady and elapsed >= device.warmup_limit_s:
            return False
    return False


def _steady(times: list[float], *, block_s: float = 0.2, block_calls: int = 10) -> bool:
    """Whether the medians of the last two blocks differ by less than 1 %; a block is 10 calls or more and 200 ms or more."""
    mean = sum(times[-block_calls:]) / len(times[-block_calls:])
    size = max(block_calls, round(block_s / mean))
    if len(times) < 2 * size:
        return False
    first, second = np.median(times[-2 * size : -size]), np.median(times[-size:])
    return bool(abs(first - second) < STEADY * second)


def sample(bench: Bench, settings: Settings, report: Report, interrupted: Interruption) -> Collected:
    """Time forward and postprocess of the same iterations until their medians are known well enough."""
    shortest = 100e-6 if bench.device.kind == "cuda" else 1000 * time.get_clock_info("perf_counter").resolution
    calls = 1
    while bench.timed(bench.forward, calls) * calls < shortest:
        calls *= 2
    told = 0.0

    def one() -> dict[str, float]:
        forward = bench.timed(bench.forward, calls)
        if bench.load is None:
            return {"latency_ms": forward}
        post = bench.timed(bench.postprocess, calls)
        return {"latency_ms": forward, "postprocess_ms": post, "total_ms": forward + post}

    def tell(n: int, elapsed: float) -> None:
        nonlocal told
        if elapsed - told >= 0.2:
            told = elapsed
            report.tell(phase="latency", samples=n, elapsed_s=round(elapsed, 1), budget_s=settings.budget_s)

    judged = ["latency_ms"] if bench.load is None else ["latency_ms", "total_ms"]
    collected = collect(one, settings, judged=judged, interrupted=interrupted, on_progress=tell)
    collected.calls = calls
    return collected


def time_of(collected: Collected, name: str, protocol: str, flags: list[str]) -> Metric:
    """The median of a column of samples, with its spread."""
    described = spread([1e3 * value for value in collected.columns[name]])
    described |= {"calls_per_sample": collected.calls, "elapsed_s": collected.elapsed_s, "stop_reason": collected.stop_reason}
    own = [*flags, *(["ci_not_met"] if collected.stop_reason != "converged" else [])]
    return Metric(described["median"], "ms", "host clock", protocol, flags=tuple(own), spread=described)


def training_times(collected: Collected, spec: Spec, flags: list[str]) -> dict[str, Metric]:
    """The time of a training step; operations a second are counted of forward passes alone."""
    step = time_of(collected, "latency_ms", "train", flags)
    assert step.value is not None
    return {"latency_ms": step, "fps": Metric(1e3 * spec.batch / step.value, "images/s", "batch / latency_ms", "train")}


def timings(collected: Collected, spec: Spec, macs: int, flags: list[str]) -> dict[str, Metric]:
    """The measured times, and what follows from their medians: images and operations a second."""
    metrics = {
        name: time_of(collected, name, protocol, flags) if name in collected.columns else Metric(None, "ms", reason="no_postprocess")
        for name, protocol in LINES.items()
    }
    latency = metrics["latency_ms"].value
    assert latency is not None
    images_per_s = 1e3 * spec.batch / latency
    metrics["fps"] = Metric(images_per_s, "images/s", "batch / latency_ms", "model")
    metrics["gmacs_per_s"] = Metric(macs * images_per_s / 1e9, "1e9/s", "macs * fps", "model")
    metrics["flops_per_s"] = Metric(2 * macs * images_per_s, "1/s", "2 * macs * fps", "model")
    total = metrics["total_ms"].value
    metrics["fps_total"] = (
        Metric(1e3 * spec.batch / total, "images/s", "batch / total_ms", "model+post")
        if total is not None
        else Metric(None, "images/s", reason="no_postprocess")
    )
    return metrics


def memory(bench: Bench) -> dict[str, Metric]:
    """Peaks of memory over some calls in the steady state."""
    bench.device.reset_memory()
    for _ in range(MEMORY_CALLS):
        bench.forward()
    bench.device.synchronize()
    return bench.device.memory()


def measure_energy(energy: EnergyJob, load: Load, settings: Settings, report: Report, samples: Arrays) -> None:
    """Measure energy where there is a meter that can, and keep what it saw, whatever becomes of the device."""
    try:
        if energy.possible:
            with report.phase("energy"):
                energy.measure(load, settings.energy_s)
    finally:
        report.measured(energy.metrics)
        report.data["conditions"]["energy"] = energy.conditions
        save_samples(samples | energy.arrays, report.folder)


def load_of(bench: Bench, report: Report, batch: int) -> Load:
    """What runs while energy is measured: what was timed."""
    latency = report.data["measured"]["latency_ms"]
    return Load(
        call=bench.forward, synchronize=bench.device.synchronize, images=batch, call_s=latency["value"] / 1e3,
        protocol=latency["protocol"], postprocess=bench.postprocess if bench.load is not None else None,
        processes=int(bench.device.kind == "cuda"),
    )  # fmt: skip


def arrays_of(collected: Collected) -> Arrays:
    """Every sample in order, nanoseconds, with its start relative to the first."""
    columns = {name.removesuffix("_ms") + "_ns": values for name, values in collected.columns.items()}
    columns["started_ns"] = collected.started
    return {name: np.rint(np.array(values) * 1e9).astype(np.int64) for name, values in columns.items()}


def save_samples(arrays: Arrays, folder: Path) -> None:
    """Replace the samples file, whole or not at all."""
    temporary = folder / "samples.tmp.npz"
    np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    temporary.replace(folder / "samples.npz")


def _bytes(tensors: Iterator[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(folder: Path) -> int:
    """Run the job in `folder`; the exit code says only whether the result file holds the last word."""
    die_with_parent()
    interrupted = Interruption()
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    spec, settings = Spec.from_dict(job["spec"]), Settings.from_dict(job["settings"])
    report = Report(folder)
    try:
        run(spec, settings, report, interrupted, job.get("meter"))
    except GpuLostError as error:
        report.end("error", Reason("gpu_lost", report.data["phase"], str(error)))
    except UsageError as error:
        report.end("usage", Reason("usage", report.data["phase"], str(error)))
    except (torch.OutOfMemoryError, MemoryError) as error:
        report.end("oom", Reason("out_of_memory", report.data["phase"], _last_line(error)))
    except Exception as error:
        traceback.print_exc()
        status = "oom" if "can't allocate memory" in str(error) else "error"
        code = "out_of_memory" if status == "oom" else type(error).__name__
        report.end(status, Reason(code, report.data["phase"], _last_line(error)))
    else:
        reason = Reason("interrupted", report.data["phase"], "ended early on request") if interrupted() else None
        report.end("interrupted" if interrupted() else "ok", reason)
    return 0


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
