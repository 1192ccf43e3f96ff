"""The device that a job runs on: settings in force, synchronisation, memory. One class a kind, so
that callers never branch.
"""

from __future__ import annotations

import os
import platform
from typing import IO, Any

import torch

from archbench.measure.machine import exclusive, host
from archbench.measure.power.nvml import NvmlCard
from archbench.records import Metric
from archbench.settings import Settings
from archbench.spec import UsageError

DEVICE_MEMORY = (
    "mem_alloc_peak_bytes",
    "mem_act_peak_bytes",
    "mem_reserved_peak_bytes",
    "mem_device_delta_bytes",
    "mem_process_bytes",
)
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


class Clock:
    """A stopwatch that a device reads itself; the CPU has none beside the host's."""

    def begin(self) -> None:
        """Start it behind all work given so far."""

    def end(self) -> None:
        """Stop it behind all work given since."""

    def seconds(self) -> float | None:
        """What it shows once the device is idle; None for a device without one."""
        return None


class Device:
    """The CPU, and what every device shares."""

    kind = "cpu"
    warmup_s, warmup_calls, warmup_limit_s = 0.5, 5, 10.0
    steady = False
    """Whether warm-up goes on until the time of a call is steady."""

    def __init__(self, settings: Settings) -> None:
        if settings.precision == "tf32":
            raise UsageError(
                "precision tf32 is a CUDA device's; on a CPU there are fp32, fp16 and bf16"
            )
        if settings.cuda_graph:
            raise UsageError("a CUDA graph needs a CUDA device; on a CPU leave out --cuda-graph")
        self.torch_device = torch.device("cpu")
        self._put_in_force(settings)

    def _put_in_force(self, settings: Settings) -> None:
        """Set what a CPU and a card have in common."""
        self.dtype = DTYPES[settings.precision]
        set_threads(settings.threads)
        torch.use_deterministic_algorithms(settings.deterministic)
        # Otherwise every new tensor would be filled first, which is time that no network asks for.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    @property
    def name(self) -> str:
        """The processor's or card's name."""
        return host.cpu_model()

    @property
    def uuid(self) -> str | None:
        """The card's UUID; a CPU has none."""
        return None

    def activate(self) -> None:
        """Make the device ready for work; until then nothing of this process is on it."""

    def fingerprint(self) -> dict[str, Any]:
        """What of the device and its libraries bears on a measurement, read back rather than
        assumed.
        """
        return {
            "device": str(self.torch_device),
            "device_name": self.name,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "nms": "archbench::nms",
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }

    def clock(self) -> Clock:
        """A stopwatch of the device's own."""
        return Clock()

    def contention(self) -> list[str]:
        """Flags of a device that others use meanwhile, as far as the device itself can tell."""
        return []

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""

    def reset_memory(self) -> None:
        """Begin a new memory peak."""
        self._host_peak = host.reset_peak()

    def memory(self, *, protocol: str) -> dict[str, Metric]:
        """The memory peaks since `reset_memory`, each under its own word."""
        metrics = {name: Metric(None, "bytes", reason="cpu_device") for name in DEVICE_MEMORY}
        return metrics | {"mem_host_peak_bytes": self._host_metric(protocol)}

    def _host_metric(self, protocol: str) -> Metric:
        peak = host.peak_bytes() if self._host_peak else None
        if peak is None:
            return Metric(None, "bytes", reason="no_peak_from_kernel")
        return Metric(peak, "bytes", "VmHWM after clear_refs", protocol)


class CudaDevice(Device):
    """An NVIDIA card."""

    kind = "cuda"
    warmup_s, warmup_calls, warmup_limit_s = 1.0, 20, 10.0
    steady = True

    def __init__(self, settings: Settings) -> None:
        index = int(settings.device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UsageError(
                f"device cuda:{index}: there are {torch.cuda.device_count()} CUDA devices here"
            )
        self.torch_device = torch.device("cuda", index)
        self.card = NvmlCard(_uuid(index))
        self._lock = self._take(_uuid(index), settings)
        self._used_before = self.card.used_bytes()
        # cuBLAS reads it when the context is made, and is deterministic with no other value.
        os.environ |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if settings.deterministic else {}
        self._put_in_force(settings)
        precise = "tf32" if settings.precision == "tf32" else "ieee"
        torch.backends.cuda.matmul.fp32_precision = precise
        torch.backends.cudnn.conv.fp32_precision = precise  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = settings.cudnn_benchmark and not settings.deterministic
        torch.backends.cudnn.deterministic = settings.deterministic

    def _take(self, uuid: str, settings: Settings) -> IO[bytes] | None:
        """Hold the card for this process alone, unless sharing is allowed; raises BusyError."""
        return None if settings.allow_shared else exclusive.hold(uuid, self.card.process_count)

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name(self.torch_device)

    @property
    def uuid(self) -> str | None:
        return _uuid(self.torch_device.index)

    def activate(self) -> None:
        torch.cuda.set_device(self.torch_device)

    def fingerprint(self) -> dict[str, Any]:
        properties = torch.cuda.get_device_properties(self.torch_device)
        return super().fingerprint() | {
            "uuid": self.uuid,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "device_memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            **self.card.fingerprint(),
            "fp32_precision_matmul": torch.backends.cuda.matmul.fp32_precision,
            "fp32_precision_conv": torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }

    def clock(self) -> Clock:
        return CudaClock()

    def contention(self) -> list[str]:
        return exclusive.contention(self.card.process_count())

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.torch_device)

    def reset_memory(self) -> None:
        super().reset_memory()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.torch_device)
        self._allocated_before = torch.cuda.memory_allocated(self.torch_device)

    def memory(self, *, protocol: str) -> dict[str, Metric]:
        used = self.card.used_bytes()
        if used is None or self._used_before is None:
            delta = Metric(
                None,
                "bytes",
                reason=self.card.why_not or self.card.failures["nvmlDeviceGetMemoryInfo"],
            )
        else:
            delta = Metric(
                used - self._used_before,
                "bytes",
                "NVML used less used before the context",
                protocol,
            )
        of_process = self.card.process_bytes()
        process = (
            Metric(of_process, "bytes", "NVML", protocol)
            if of_process
            else Metric(None, "bytes", reason="not_told_by_process")
        )
        peak = torch.cuda.max_memory_allocated(self.torch_device)
        allocator = {
            "mem_alloc_peak_bytes": peak,
            "mem_act_peak_bytes": peak - self._allocated_before,
            "mem_reserved_peak_bytes": torch.cuda.max_memory_reserved(self.torch_device),
        }
        return {
            **{
                name: Metric(value, "bytes", "caching allocator", protocol)
                for name, value in allocator.items()
            },
            "mem_device_delta_bytes": delta,
            "mem_process_bytes": process,
            "mem_host_peak_bytes": self._host_metric(protocol),
        }


class CudaClock(Clock):
    """A pair of events on the current stream."""

    def __init__(self) -> None:
        self._first, self._last = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def begin(self) -> None:
        self._first.record()

    def end(self) -> None:
        self._last.record()

    def seconds(self) -> float | None:
        return float(self._first.elapsed_time(self._last)) / 1e3


def _uuid(index: int) -> str:
    """The card's UUID, since CUDA and NVML may number cards differently; asking makes no
    context.
    """
    uuid = str(torch.cuda.get_device_properties(index).uuid)
    return uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"


def set_threads(threads: int | None) -> None:
    """Set torch's CPU threads; None: the physical cores that this process may use."""
    most = len(host.affinity())
    if threads is not None and threads > most:
        raise UsageError(f"threads is {threads}: this process may use {most} processors")
    torch.set_num_threads(threads or host.usable_cores())


def open_device(settings: Settings) -> Device:
    """Open the device that the settings name; `auto` is CUDA where there is one."""
    wants_cuda = settings.device.startswith("cuda") or (
        settings.device == "auto" and torch.cuda.is_available()
    )
    if not wants_cuda:
        return Device(settings)
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else "; this torch is built without CUDA"
        raise UsageError(f"device {settings.device}: there is no CUDA device here{built}")
    return CudaDevice(settings)
