"""What a call of a network does, as far as its time and energy follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

NEEDED = ("macs_all", "macs_depthwise", "bytes_all", "call_count")
"""The counts that a call's work is made of."""


class Work(NamedTuple):
    """What one call does: multiply-adds but depthwise ones, depthwise ones, bytes that all
    operators read and write, in fp32, and calls of layers.
    """

    multiply_adds: float
    depthwise: float
    bytes: float
    calls: float

    @classmethod
    def of(cls, counts: Mapping[str, Any], batch: int) -> Work | None:
        """Make it of what was counted of the network at this batch; None where a count is missing,
        as that of all multiply-adds is where an operator has no rule.
        """
        found = [float(counts[word]) for word in NEEDED if counts.get(word) is not None]
        if len(found) < len(NEEDED):
            return None
        macs, depthwise, moved, calls = found
        return cls(batch * (macs - depthwise), batch * depthwise, moved, calls)


@dataclass(frozen=True)
class Network:
    """All that a prediction follows from."""

    work: Work
    batch: int
    families: frozenset[str]


@dataclass(frozen=True)
class Sample:
    """A network that was measured, and what a call of it took: milliseconds or joules."""

    network: Network
    value: float
