"""A card that is not there: torch's functions for cards, answered by an object that orders calls.

`Card.open` puts itself in their place and opens archbench's own device on it. Tensors lie in the
host's memory; what torch would report of a card is set on the object.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from archbench.measure.job.timing import Calls
from archbench.measure.machine import cuda
from archbench.measure.machine.cuda import CudaDevice
from archbench.measure.power.use import Use
from archbench.reasons import Reason
from archbench.records import Metric
from archbench.settings import Settings

A_CALL = Metric.of("latency_ms", 1.0, "host clock", "model")
"""How long a call took."""

MIB = 1 << 20


def calls_of(ms: float, images: int = 1, **flagged: Any) -> Calls:
    """Calls that took so long, and that nothing else is known of."""
    time = Metric.of("latency_ms", ms, "host clock", "model")
    return Calls(time, images, {}, **flagged)


@dataclass
class Card:
    """What torch says of the card, and the calls that it was given, in order."""

    name: str = "Make-believe"
    uuid: str = "stub"
    capability: tuple[int, int] = (8, 0)
    l2_bytes: int = 4 * MIB
    memory_bytes: int = 8 << 30
    allocated: int = 0
    peak: int = 0
    capture_fails: str = ""
    kernels: tuple[tuple[float, float], ...] = ()
    """When kernels begin and end in a profiler's pass, microseconds."""
    calls: list[str] = field(default_factory=list)
    use: Use = field(default_factory=Use)
    """Who uses the card, as its driver tells."""
    states: list[dict[str, float]] = field(default_factory=list)
    """What its driver tells of clocks and the like, look after look; the last again and again."""
    looked: int = 0

    def open(self, patch: pytest.MonkeyPatch, settings: Settings | None = None) -> CudaDevice:
        """Open the card as the device of a job."""
        self.install(patch)
        patch.setattr(torch, "set_num_threads", lambda threads: None)
        device = CudaDevice(settings or Settings(device="cuda", allow_shared=True))
        device.torch_device = torch.device("cpu")
        device.activate()
        return device

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the card in the place of those that torch would look for."""
        major, minor = self.capability
        properties = SimpleNamespace(
            name=self.name,
            uuid=self.uuid,
            major=major,
            minor=minor,
            total_memory=self.memory_bytes,
            L2_cache_size=self.l2_bytes,
        )
        answers: dict[str, Any] = {
            "is_available": True,
            "device_count": 1,
            "get_device_properties": properties,
            "get_device_name": self.name,
            "set_device": None,
            "mem_get_info": (self.memory_bytes, self.memory_bytes),
        }
        for function, answer in answers.items():
            patch.setattr(torch.cuda, function, lambda *_, answer=answer: answer)
        for function in ("synchronize", "empty_cache"):
            patch.setattr(torch.cuda, function, self._noting(function))
        patch.setattr(torch.cuda, "reset_peak_memory_stats", self._reset_peak)
        patch.setattr(torch.cuda, "memory_allocated", lambda *_: self.allocated)
        patch.setattr(torch.cuda, "max_memory_allocated", lambda *_: self.peak)
        patch.setattr(torch.cuda, "max_memory_reserved", lambda *_: 2 * self.peak)
        patch.setattr(torch.cuda, "Event", lambda **_: Event(self))
        patch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(wait_stream=lambda _: None))
        patch.setattr(torch.cuda, "current_stream", torch.cuda.Stream)
        patch.setattr(torch.cuda, "stream", self._within("stream"))
        patch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(self))
        patch.setattr(torch.cuda, "graph", self._capturing)
        patch.setattr(cuda, "profile", self._profiling)
        patch.setattr(cuda, "NvmlCard", lambda _: Driver(self))
        # Set for the process by whatever opens a card; put back after the test.
        for switch in ("benchmark", "deterministic", "allow_tf32"):
            patch.setattr(torch.backends.cudnn, switch, getattr(torch.backends.cudnn, switch))

    def _noting(self, call: str) -> Any:
        return lambda *_: self.calls.append(call)

    def _reset_peak(self, *_: object) -> None:
        self.calls.append("reset_peak_memory_stats")
        self.peak = self.allocated

    def _within(self, call: str) -> Any:
        @contextmanager
        def within(_: object) -> Any:
            self.calls.append(call)
            yield

        return within

    @contextmanager
    def _profiling(self, **_: object) -> Any:
        self.calls.append("profile")
        events = [event(f"kernel {i}", *interval) for i, interval in enumerate(self.kernels)]
        yield SimpleNamespace(events=lambda: events)

    @contextmanager
    def _capturing(self, _: Graph) -> Any:
        self.calls.append("capture")
        yield
        if self.capture_fails:
            raise RuntimeError(self.capture_fails)


class Driver:
    """The card as its driver sees it."""

    why_not: Reason | None = None
    failures: Mapping[str, Reason] = {"nvmlDeviceGetMemoryInfo": Reason.NOT_SUPPORTED}

    def __init__(self, card: Card) -> None:
        self._card = card
        card.states = card.states or [{}]

    def use(self) -> Use:
        return self._card.use

    def state(self) -> dict[str, float]:
        self._card.looked += 1
        return self._card.states[min(self._card.looked, len(self._card.states)) - 1]

    def fingerprint(self) -> dict[str, Any]:
        return {}


def event(name: str, start: float, end: float, *, device: str = "CUDA", **more: Any) -> Any:
    """An event as torch's profiler tells it."""
    where, when = SimpleNamespace(name=device), SimpleNamespace(start=start, end=end)
    return SimpleNamespace(name=name, device_type=where, time_range=when, **more)


class Event:
    """An event, which comes to be when it is first recorded."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._at: float | None = None

    def record(self) -> None:
        if self._at is None:
            self._card.calls.append("event made")
        self._card.calls.append("record")
        self._at = time.perf_counter()

    def elapsed_time(self, other: Event) -> float:
        assert self._at is not None
        assert other._at is not None
        return 1e3 * (other._at - self._at)


class Graph:
    """A captured graph."""

    def __init__(self, card: Card) -> None:
        self._card = card

    def replay(self) -> None:
        self._card.calls.append("replay")
