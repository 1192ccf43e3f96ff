"""How many bytes of tensors live at once in a graph: each from the node that writes it to the last
that reads it.

Reshaping gives another name to the same bytes; every other operator writes. Nothing is done in
place, of which a graph says nothing.
"""

from __future__ import annotations

from archbench.counting.onnx.values import Storage, Value
from archbench.counting.tally import ALIGNMENT

VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"))
"""Operators that give the bytes of their first input another shape."""


class Liveness:
    """Follows the bytes that nodes write; weights and inputs are there anyway and do not count."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._live_bytes = 0

    def write(self, value: Value) -> tuple[int, bool]:
        """Allocate what a node writes; say how many bytes, and whether more live now than ever
        before.
        """
        size = -(-value.bytes // ALIGNMENT) * ALIGNMENT
        value.storage = Storage(size)
        self._live_bytes += size
        is_peak = self._live_bytes > self.peak_bytes
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        return size, is_peak

    def keep(self, value: Value) -> None:
        """Know a tensor by one more name."""
        if value.storage:
            value.storage.names += 1

    def release(self, value: Value) -> None:
        """Know a tensor by one name less, and free it where that was the last."""
        if value.storage:
            value.storage.names -= 1
            if value.storage.names == 0:
                self._live_bytes -= value.storage.bytes
