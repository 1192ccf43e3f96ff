"""An NVIDIA card as the device of a job."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any

import torch
from torch.profiler import ProfilerActivity, profile

from archbench.engines import engine_of
from archbench.engines.eager import EAGER
from archbench.engines.engine import FileEngine
from archbench.measure.machine import exclusive, host
from archbench.measure.machine.cards import no_such
from archbench.measure.machine.device import Clock, Device
from archbench.measure.machine.kernels import kernel_intervals, union
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.power.use import Process, Use
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.records.conditions import Environment
from archbench.settings import Settings
from archbench.spec import UsageError

NEEDS_CAPABILITY = {"tf32": (8, 0), "bf16": (8, 0)}
"""The least compute capability whose tensor cores compute in a precision. Below it TF32 is fp32
(CUDA C++ Programming Guide, "Compute Capabilities"), and bf16 is emulated (pytorch/pytorch,
torch/cuda/__init__.py, is_bf16_supported).
"""
GRAPH_MODES = ("reduce-overhead", "max-autotune")
"""Modes of torch.compile that replay CUDA graphs (pytorch/pytorch, torch/_inductor/__init__.py,
list_mode_options).
"""


class CudaDevice(Device):
    """An NVIDIA card."""

    kind = "cuda"
    processes = 1
    warmup_s, warmup_calls, warmup_limit_s = 1.0, 20, 10.0
    steady = True

    def __init__(self, settings: Settings) -> None:
        index = int(settings.device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UsageError(no_such(settings.device, torch.cuda.device_count()))
        self.torch_device = torch.device("cuda", index)
        self._index = index
        check_precision(settings.precision, torch.cuda.get_device_properties(index))
        self.card = NvmlCard(_uuid(index))
        self._lock = self._take(_uuid(index), settings)
        self._before = self.card.use()
        self._unseen = why_unseen(settings)
        # cuBLAS reads it when the context is made, and is deterministic with no other value.
        os.environ |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if settings.deterministic else {}
        self._put_in_force(settings)
        allow_tf32(settings.precision == "tf32")
        torch.backends.cudnn.benchmark = settings.cudnn_benchmark and not settings.deterministic
        torch.backends.cudnn.deterministic = settings.deterministic

    def _take(self, uuid: str, settings: Settings) -> IO[bytes] | None:
        """Hold the card for this process alone, unless sharing is allowed; raises BusyError."""
        return None if settings.allow_shared else exclusive.hold(uuid, self.card.use)

    @property
    def label(self) -> str:
        return f"cuda:{self._index}"

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name(self._index)

    @property
    def uuid(self) -> str | None:
        return _uuid(self._index)

    def activate(self) -> None:
        torch.cuda.set_device(self._index)
        self._clock = CudaClock()

    def fingerprint(self) -> Environment:
        properties = torch.cuda.get_device_properties(self._index)
        return super().fingerprint() | {
            "uuid": self.uuid,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "device_memory_bytes": properties.total_memory,
            "l2_bytes": self.cache_bytes,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            **self.card.fingerprint(),
            "fp32_precision_matmul": _fp32(torch.backends.cuda.matmul.allow_tf32),
            "fp32_precision_conv": _fp32(torch.backends.cudnn.allow_tf32),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }

    def clock(self) -> Clock:
        return self._clock

    def busy_s(self, calls: Callable[[], object]) -> float | Reason:
        # The first pass loads what traces the card, which may miss the kernels before it is there.
        for _ in range(2):
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                calls()
                self.synchronize()
        intervals = kernel_intervals(seen.events())
        return union(intervals) / 1e6 if intervals else Reason.NO_KERNELS_SEEN

    @property
    def cache_bytes(self) -> int:
        return int(torch.cuda.get_device_properties(self._index).L2_cache_size)

    def state(self) -> dict[str, float]:
        return self.card.state()

    def contention(self) -> list[Flag]:
        return exclusive.contention(self.card.use(), sees_all=host.sees_all_processes())

    def synchronize(self) -> None:
        torch.cuda.synchronize(self._index)

    def reset_memory(self) -> None:
        super().reset_memory()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._index)
        self._allocated_before = torch.cuda.memory_allocated(self._index)

    def memory(self, *, protocol: str) -> dict[str, Metric]:
        return (
            self._allocated(protocol)
            | self._reserved(protocol)
            | self._delta(protocol)
            | self._of_process(protocol)
            | self._host_memory(protocol)
        )

    def _allocated(self, protocol: str) -> dict[str, Metric]:
        """The peaks of what was allocated."""
        if self._unseen:
            return Metric.lacking(("mem_alloc_peak_bytes", "mem_act_peak_bytes"), self._unseen)
        peak = torch.cuda.max_memory_allocated(self._index)
        peaks = {
            "mem_alloc_peak_bytes": peak,
            "mem_act_peak_bytes": peak - self._allocated_before,
        }
        return {
            name: Metric.of(name, value, "caching allocator", protocol)
            for name, value in peaks.items()
        }

    def _reserved(self, protocol: str) -> dict[str, Metric]:
        """The peak of what was reserved, a graph's pool among it."""
        name = "mem_reserved_peak_bytes"
        if self._unseen and self._unseen != Reason.GRAPH_POOL:
            return Metric.lacking([name], self._unseen)
        reserved = torch.cuda.max_memory_reserved(self._index)
        return {name: Metric.of(name, reserved, "caching allocator", protocol)}

    def _delta(self, protocol: str) -> dict[str, Metric]:
        """What is in use on the card more than before this process had a context there, without
        what other processes took or gave back meanwhile.
        """
        name, before, now = "mem_device_delta_bytes", self._before, self.card.use()
        if now.used_bytes is None or before.used_bytes is None:
            why_not = self.card.why_not or self.card.failures["nvmlDeviceGetMemoryInfo"]
            return Metric.lacking([name], why_not)
        others_before, others_now = before.bytes_of_others(None), _bytes_of_others(now)
        if others_before is None or others_now is None:
            return Metric.lacking([name], Reason.NOT_TOLD_BY_PROCESS)
        delta = now.used_bytes - others_now - (before.used_bytes - others_before)
        source = "NVML used less used before the context"
        flags = [flag for flag in self.contention() if flag == Flag.EXCLUSIVITY_UNKNOWN]
        return {name: Metric.of(name, delta, source, protocol, flags=tuple(flags))}

    def _of_process(self, protocol: str) -> dict[str, Metric]:
        """What the driver says that this process has on the card."""
        name, own = "mem_process_bytes", _own(self.card.use())
        if own is None or not own.held_bytes:
            return Metric.lacking([name], Reason.NOT_TOLD_BY_PROCESS)
        return {name: Metric.of(name, own.held_bytes, "NVML", protocol)}


def _own(use: Use) -> Process | None:
    """This process among those on a card; None where it is not seen or not told from others."""
    return use.own(os.getpid(), sees_all=host.sees_all_processes())


def _bytes_of_others(use: Use) -> int | None:
    """Memory of all processes on a card but this one; None where it is not told of each, nor which
    of them is this one.
    """
    own = _own(use)
    if own is None and use.computing and not host.sees_all_processes():
        return None
    return use.bytes_of_others(own)


class CudaClock(Clock):
    """A pair of events on the current stream, used again and again.

    An event is created when it is first recorded (pytorch/pytorch, aten/src/ATen/cuda/CUDAEvent.h,
    record): that must not fall into what is timed.
    """

    def __init__(self) -> None:
        self._first, self._last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.begin()
        self.end()

    def begin(self) -> None:
        self._first.record()

    def end(self) -> None:
        self._last.record()

    def seconds(self) -> float | None:
        return float(self._first.elapsed_time(self._last)) / 1e3


def why_unseen(settings: Settings) -> Reason | None:
    """Say why torch's allocator sees no peak of a network that runs so; None where it does.

    A graph's memory was allocated when it was captured, into a pool of its own, and is neither
    allocated nor freed when it is replayed (PyTorch, CUDA semantics, "Graph memory management").
    Engines other than torch allocate for themselves.
    """
    if settings.cuda_graph or settings.compile_mode in GRAPH_MODES:
        return Reason.GRAPH_POOL
    return Reason.OWN_ALLOCATOR if isinstance(engine_of(settings), FileEngine) else None


def check_precision(precision: str, properties: Any) -> None:
    """Raise UsageError where a card computes a precision as another one, or emulates it."""
    has = properties.major, properties.minor
    if has >= NEEDS_CAPABILITY.get(precision, has):
        return
    others = [name for name in EAGER.on_cuda if has >= NEEDS_CAPABILITY.get(name, has)]
    major, minor = NEEDS_CAPABILITY[precision]
    raise UsageError(
        f"precision {precision} needs a card of compute capability {major}.{minor} or newer; "
        f"{properties.name} has {has[0]}.{has[1]} (choose from {', '.join(others)})"
    )


def allow_tf32(allowed: bool) -> None:
    """Let products and convolutions of fp32 use TF32 or not, through the older of torch's two ways.

    The newer one, `fp32_precision`, leaves the getters of the older behind, which then raise; and
    `torch.compile` asks them (pytorch/pytorch, issue 166387; rasbt/reasoning-from-scratch, issue
    256). The older one sets both.
    """
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


def _fp32(allows_tf32: bool) -> str:
    return "tf32" if allows_tf32 else "ieee"


def _uuid(index: int) -> str:
    """The card's UUID, since CUDA and NVML may number cards differently; asking makes no
    context.
    """
    uuid = str(torch.cuda.get_device_properties(index).uuid)
    return uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
