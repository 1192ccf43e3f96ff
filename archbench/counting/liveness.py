"""How many bytes of tensors live at once: each counts from the operator that writes it until
nothing refers to it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from archbench.counting.tally import ALIGNMENT


def storage_key(tensor: Tensor) -> int | None:
    """Tell a tensor's storage by a number; None where it has none of its own (sparse layouts)."""
    return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else None


def storage_keys(tensors: Iterable[Tensor]) -> set[int]:
    """Tell the storages of tensors."""
    return {key for key in map(storage_key, tensors) if key is not None}


class Liveness:
    """Follows the storages that operators write; those that are `resident` are there anyway and do
    not count.
    """

    def __init__(self, resident: set[int]) -> None:
        self.total_bytes = 0
        self.peak_bytes = 0
        self._live_bytes = 0
        self._live: dict[int | None, weakref.ref[Any]] = {}
        self._resident = resident

    def add(self, written: Iterable[Tensor]) -> bool:
        """Take in what an operator gave; say whether more live now than ever before."""
        before = self.peak_bytes
        for tensor in written:
            self._allocate(tensor)
        return self.peak_bytes > before

    def has(self, tensor: Tensor) -> bool:
        """Whether an operator wrote a tensor's storage and it lives."""
        return storage_key(tensor) in self._live

    def _allocate(self, tensor: Tensor) -> None:
        if tensor.layout is not torch.strided:
            return
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
