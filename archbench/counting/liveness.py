"""How many bytes of tensors live at once: each counts from the operator that writes it until
nothing refers to it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

ALIGNMENT = 512
"""Bytes to which every tensor is rounded up, as CUDA's caching allocator does."""


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values and in their lists and tuples."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


class Liveness:
    """Follows the storages that operators write; those of `resident` tensors are there anyway and
    do not count.
    """

    def __init__(self, resident: Iterable[Tensor]) -> None:
        self.total_bytes = 0
        self.peak_bytes = 0
        self._live_bytes = 0
        self._live: dict[int, weakref.ref[Any]] = {}
        self._resident = {tensor.untyped_storage()._cdata for tensor in resident}

    def add(self, written: Iterable[Tensor]) -> bool:
        """Take in what an operator gave; say whether more live now than ever before."""
        before = self.peak_bytes
        for tensor in written:
            self._allocate(tensor)
        return self.peak_bytes > before

    def _allocate(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live or key in self._resident:
            return
        size = -(-storage.nbytes() // ALIGNMENT) * ALIGNMENT

        def free(_: Any) -> None:
            self._live_bytes -= size
            del self._live[key]

        self._live[key] = weakref.ref(storage, free)
        self._live_bytes += size
        self.total_bytes += size
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
