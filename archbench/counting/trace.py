"""See every operator of one pass of a module with a dispatch mode: functional calls count as well
as modules.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.counting.liveness import Liveness, storage_key, storage_keys
from archbench.counting.plans import Plan, plan_of
from archbench.counting.rules.work import (
    Attention,
    BatchNorm,
    Convolution,
    Pool,
    Product,
    Reduction,
    Unknown,
    Work,
)
from archbench.counting.state import Lent
from archbench.counting.tally import Foreign, Pass, Row
from archbench.shapes.devices import Stale, run_on_meta, tensors_in


class Called:
    """An operator with its arguments, how it is treated, and the tensors that it reads."""

    __slots__ = ("args", "func", "kwargs", "plan", "read")

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs
        self.plan = plan_of(func)
        self.read = tensors_in((*args, *kwargs.values()) if kwargs else args)

    def overwritten(self) -> list[Tensor]:
        """The tensors that it may write to, running statistics included."""
        if self.plan.is_mutable:
            return self.read
        return tensors_in(self.args[3:5]) if self.plan.tracks and self.args[5] else []


class Trace(TorchDispatchMode):
    """Sees every operator of a pass of a module and keeps what the report needs; `inputs` are the
    tensors that the module is given.
    """

    def __init__(self, state: Lent, inputs: list[Tensor]) -> None:
        super().__init__()
        self.result = Pass()
        self.liveness = Liveness(state.storages | storage_keys(inputs))
        self.on_meta = state.device.type == "meta"
        self._state = state
        self._stale = Stale()
        self._weights = state.storages
        self._path = state.path
        self._recurrent = {
            path
            for sub, path in state.paths.items()
            if isinstance(sub, nn.RNNBase | nn.RNNCellBase)
        }
        self._maps: dict[int | None, torch.Size] = {}
        self._note_maps(inputs)

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from wrapping the mode for its compiler, which would load it."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        called = Called(func, args, kwargs or {})
        plan = called.plan
        if plan.is_composite:
            inside = _Inside(self, plan.word, any(map(self._is_weight, called.read)))
            out = inside.look(called)
        else:
            out = self.run(called)
            self.account(called, out)
        written = [out] if type(out) is Tensor else tensors_in((out,))
        is_new = self._move(called.read, written, in_place=plan.moves_in_place)
        if is_new and not plan.is_mutable:
            self._note_maps(written)
        if self.liveness.add(written):
            self.result.peak_at = f"{self._path[-1]} ({plan.word})"
        return out

    def run(self, called: Called) -> Any:
        """Run an operator, on the meta device by shape."""
        for tensor in called.overwritten():
            if not tensor.is_meta and not self.liveness.has(tensor):
                self._state.save(tensor)
        if self.on_meta:
            return run_on_meta(called.func, called.args, called.kwargs, called.read, self._stale)
        return called.func(*called.args, **called.kwargs)

    def account(self, called: Called, out: Any, inside: _Inside | None = None) -> None:
        """Count what an operator did, by its rule or its name."""
        plan = called.plan
        work = plan.rule(called.args, called.kwargs, out) if plan.rule else None
        if plan.is_named or isinstance(work, Unknown) or (work is not None and not _is_dense(work)):
            self.result.named[plan.name] += 1
        elif work is not None:
            self._count(plan, work, inside)
        if plan.is_foreign:
            self._meet(plan.name, called.read, tensors_in((out,)))

    @contextlib.contextmanager
    def watching(self) -> Iterator[Pass]:
        """Watch the operators that run meanwhile."""
        with self:
            yield self.result
        self.result.peak_bytes = self.liveness.peak_bytes
        self.result.total_bytes = self.liveness.total_bytes

    def _meet(self, name: str, read: list[Tensor], written: list[Tensor]) -> None:
        work = self.result.foreign.setdefault(name, Foreign())
        work.calls += 1
        floating = [t for t in (*read, *written) if t.is_floating_point()]
        work.bytes += _bytes(floating)
        work.reads_weight |= any(map(self._is_weight, read))

    def _note_maps(self, written: Iterable[Tensor]) -> None:
        """Keep the shapes of maps by their storage, in which views of them are known."""
        for tensor in written:
            key = storage_key(tensor)
            if tensor.ndim in (4, 5) and tensor.is_contiguous():
                self._maps[key] = tensor.shape
            else:
                self._maps.pop(key, None)

    def _move(self, read: list[Tensor], written: list[Tensor], *, in_place: bool) -> bool:
        """Count the bytes of an operator's inputs and outputs, and say whether it is no view: one
        that gives its first input's storage back is a view of it.
        """
        if not in_place and read and written and storage_key(read[0]) == storage_key(written[0]):
            return False
        self.result.bytes_all += _bytes(read) + _bytes(written)
        return True

    def _is_global_pool(self, work: Reduction) -> bool:
        """Whether a reduction is over all spatial dimensions of a map, or of a view of one."""
        source = work.source
        if source.ndim == 4 and work.over == {2, 3}:
            return True
        shape = self._maps.get(storage_key(source))
        if shape is None or source.numel() != shape.numel():
            return False
        positions = shape[2:].numel()
        inner = {
            d for d in range(source.ndim) if source.shape[d] > 1 and source.stride(d) < positions
        }
        reduced = {d for d in work.over if source.shape[d] > 1}
        return inner == reduced and prod(source.shape[d] for d in inner) == positions

    def _is_weight(self, tensor: Tensor) -> bool:
        return storage_key(tensor) in self._weights

    def _count(self, plan: Plan, work: Work, inside: _Inside | None) -> None:
        if isinstance(work, Convolution):
            row = work.call.row(self._path[-1])
            row.operator = plan.name
            self.result.rows.append(row)
        elif isinstance(work, Product):
            self.result.rows.append(self._product(plan, work, inside))
            if isinstance(work, Attention):
                self.result.left_out += work.left_out
                self.result.with_mask += work.has_mask
        elif isinstance(work, Pool) or (isinstance(work, Reduction) and self._is_global_pool(work)):
            self.result.pool_elements += work.source.numel() + work.out.numel()
        elif isinstance(work, BatchNorm) and inside is None:
            self.result.bn_elements += work.out.numel()

    def _product(self, plan: Plan, work: Product, inside: _Inside | None) -> Row:
        weights = work.weights or tuple(
            tensor
            for tensor in (*work.operands, work.addend)
            if tensor is not None and self._is_weight(tensor)
        )
        kind = work.kind or ("linear" if self._has_weight(work, inside) else "other")
        if kind in ("linear", "other") and self._path[-1] in self._recurrent:
            kind = "recurrent"
        return Row(
            path=self._path[-1],
            op=kind if kind in ("linear", "attention") else inside.word if inside else plan.word,
            kind=kind,
            macs=work.macs,
            params=sum(tensor.numel() for tensor in weights if tensor is not None),
            elements=sum(tensor.numel() for tensor in (*work.operands, work.out)),
            in_shape=tuple(work.operands[0].shape) if work.operands else (),
            out_shape=tuple(work.out.shape),
            operator=plan.name,
        )

    def _has_weight(self, work: Product, inside: _Inside | None) -> bool:
        """Whether a product is with a parameter or a buffer itself."""
        return bool(inside and inside.reads_weight) or any(map(self._is_weight, work.operands))


def _bytes(tensors: list[Tensor]) -> int:
    whole = 0
    for tensor in tensors:
        whole += tensor.numel() * tensor.itemsize
    return whole


def _is_dense(work: Work) -> bool:
    """Whether all operands hold every element, so that shapes say what is multiplied."""
    if isinstance(work, Convolution):
        return work.source.layout is work.weight.layout is torch.strided
    if isinstance(work, Product):
        return all(tensor.layout is torch.strided for tensor in work.operands)
    return True


class _Inside(TorchDispatchMode):
    """Looks for products among the parts of a composite operator, which moves bytes as a whole."""

    def __init__(self, trace: Trace, word: str, reads_weight: bool) -> None:
        super().__init__()
        self.word = word
        self.reads_weight = reads_weight
        self._trace = trace

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def look(self, called: Called) -> Any:
        """Run the parts of an operator one by one."""
        with self:
            return called.func.decompose(*called.args, **called.kwargs)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        called = Called(func, args, kwargs or {})
        if called.plan.is_composite:
            return self.look(called)
        out = self._trace.run(called)
        self._trace.account(called, out, self)
        return out
