"""The device that a job runs on: settings in force, synchronisation, memory. One class a kind, so
that callers never branch; here the CPU, and what every device shares.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cached_property

import torch

from archbench.measure.machine import host
from archbench.measure.machine.looks import Looks
from archbench.quantities import about
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.records.conditions import Environment
from archbench.settings import Settings
from archbench.spec import UsageError

DEVICE_MEMORY = about("allocator", "device memory")
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int8": torch.float32,  # What an engine reads and gives.
}


FILLS = 2
"""How many times a cache's size is written to empty it."""
UNTOLD_CACHE_BYTES = 64 << 20


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
    processes = 0
    """Processes that a job has on the device, as its driver counts them."""

    def __init__(self, settings: Settings) -> None:
        if settings.precision == "tf32":
            raise UsageError(
                "precision tf32 needs a CUDA device (on a CPU choose from fp32, fp16, bf16)"
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
    def label(self) -> str:
        """What torch calls it."""
        return str(self.torch_device)

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

    def fingerprint(self) -> Environment:
        """What of the device and its libraries bears on a measurement, read back rather than
        assumed.
        """
        return {
            "device": self.label,
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

    def busy_s(self, calls: Callable[[], object]) -> float | Reason:
        """Seconds in which the device was at work in some calls, or why that is not known."""
        return Reason.CPU_DEVICE

    def state(self) -> dict[str, float]:
        """What bears on times and moves, as the device's driver tells it; nan where it does not."""
        return {}

    @cached_property
    def looks(self) -> Looks:
        """What is seen of that around and between what is timed."""
        return Looks(self.state, processes=self.processes)

    def contention(self) -> list[Flag]:
        """Flags of a device that others use meanwhile, as far as the device itself can tell."""
        return []

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""

    @property
    def cache_bytes(self) -> int:
        """The size of the last cache before memory; 0 where that is not told."""
        return host.last_cache_bytes()

    @cached_property
    def _filler(self) -> torch.Tensor:
        """What fills the caches when it is written."""
        size = FILLS * (self.cache_bytes or UNTOLD_CACHE_BYTES)
        return torch.empty(size, dtype=torch.uint8, device=self.torch_device)

    def empty_caches(self) -> None:
        """Have the caches hold nothing that a network would find there."""
        self._filler.zero_()

    def reset_memory(self) -> None:
        """Begin a new memory peak, of which nothing is that only times need."""
        vars(self).pop("_filler", None)
        self._host_peak = host.reset_peak()

    def memory(self, *, protocol: str) -> dict[str, Metric]:
        """The memory peaks since `reset_memory`, each under its own word."""
        return Metric.lacking(DEVICE_MEMORY, Reason.CPU_DEVICE) | self._host_memory(protocol)

    def _host_memory(self, protocol: str) -> dict[str, Metric]:
        name, peak = "mem_host_peak_bytes", host.peak_bytes() if self._host_peak else None
        if peak is None:
            return Metric.lacking([name], Reason.NO_PEAK_FROM_KERNEL)
        return {name: Metric.of(name, peak, "VmHWM after clear_refs", protocol)}


def set_threads(threads: int | None) -> None:
    """Set torch's CPU threads; None: the physical cores that this process may use."""
    most = len(host.affinity())
    if threads is not None and threads > most:
        raise UsageError(f"invalid threads {threads} (this process may use {most} processors)")
    torch.set_num_threads(threads or host.usable_cores())
