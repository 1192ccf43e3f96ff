"""When a card ran kernels, by torch's profiler. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

NO_KERNELS = ("Memcpy", "Memset")
"""What the names of a card's other work begin with: copies and fills (pytorch/kineto,
libkineto/src/CuptiActivity.cpp).
"""

Interval = tuple[float, float]


def kernel_intervals(events: Iterable[Any]) -> list[Interval]:
    """When each kernel began and ended, microseconds, out of a profiler's events.

    What else it shows of a card are copies, fills, and marks that programs set.
    """
    return [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type.name == "CUDA"
        and not getattr(event, "is_user_annotation", False)
        and not event.name.startswith(NO_KERNELS)
    ]


def union(intervals: Sequence[Interval]) -> float:
    """How long at least one of the intervals lasts: kernels of several streams overlap."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
