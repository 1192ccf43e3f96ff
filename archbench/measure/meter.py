"""Power meters behind one interface, so that whoever measures never asks what hardware there is."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Measures power between `start` and `stop`."""

    @property
    def why_not(self) -> str:
        """A reason code where this meter cannot measure here; empty where it can."""

    def start(self) -> None:
        """Begin to sample."""

    def stop(self) -> None:
        """Cease to sample."""

    def samples(self) -> list[tuple[float, float]]:
        """The samples since `start`: seconds on the monotonic clock, watts."""


class NullMeter:
    """No meter: it says why there is none and has no samples."""

    def __init__(self, why_not: str) -> None:
        self._why_not = why_not

    @property
    def why_not(self) -> str:
        return self._why_not

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def samples(self) -> list[tuple[float, float]]:
        return []


def meter_for(device_kind: str) -> Meter:
    """The meter of a device, "cpu" or "cuda". None is built in yet: the reason says which of the two has none."""
    return NullMeter("cpu_device" if device_kind == "cpu" else "meter_not_implemented")
