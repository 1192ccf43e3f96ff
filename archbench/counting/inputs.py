"""What a module is given: tensors nested in anything, and which of their sizes is the batch."""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from archbench.shapes.blank import elementwise
from archbench.spec import UsageError

IMAGE_CHANNELS = (1, 3, 4)
"""Channels of what is taken for an image where a list of maps could be a pyramid as well."""

BatchDim = Any
"""Where the batch is: a dimension, None for nowhere, or these in a structure like the input."""


@dataclass(frozen=True)
class Shaped:
    """A tensor by its shape and dtype alone."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def real(self, device: torch.device) -> Tensor:
        """Make values for it: random numbers; zeros of what may be indices; true."""
        if self.dtype.is_floating_point or self.dtype.is_complex:
            return torch.randn(self.shape).to(device, self.dtype)
        fill = torch.ones if self.dtype == torch.bool else torch.zeros
        return fill(self.shape, dtype=self.dtype, device=device)


Leaf = Tensor | Shaped
Change = Callable[[Any, BatchDim], Any]


@dataclass(frozen=True)
class Batch:
    """How many images an input has: the size of tensors at their batch dimension, or the length of
    a list of images.
    """

    size: int
    of_lists: bool = False


@dataclass(frozen=True)
class Inputs:
    """The arguments of a forward pass."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    batch_dim: BatchDim = 0

    def batches(self) -> list[Batch]:
        """Find the batch: the ways in which it can be read, the likeliest first; none where there
        is none.
        """
        found = list(self._leaves())
        floating = [item for item in found if item[0].is_floating_point()] or found
        if all(leaf.ndim == 1 for leaf, _, _ in floating):
            return []
        leaf, dim, siblings = floating[0]
        by_size = Batch(leaf.shape[dim])
        if siblings is None or self.batch_dim != 0:
            return [by_size]
        by_length = Batch(len(siblings), of_lists=True)
        is_image = leaf.shape[0] in IMAGE_CHANNELS
        return [by_length, by_size] if is_image else [by_size, by_length]

    def resized(self, batch: Batch, size: int) -> Inputs:
        """The same for another number of images."""
        if size == batch.size:
            return self

        def change(value: Any, dim: BatchDim) -> Any:
            if isinstance(value, list | tuple):
                holds = batch.of_lists and len(value) == batch.size and _has_tensors(value)
                return type(value)(value[i % batch.size] for i in range(size)) if holds else None
            at = _at(value, dim)
            if at is None or value.shape[at] != batch.size:
                return value
            return _with_size(value, at, size)

        return self._changed(change)

    def on(self, device: torch.device) -> tuple[tuple[Any, ...], dict[str, Any], list[Tensor]]:
        """Give positional arguments, keyword arguments and all tensors in them, on a device.

        A tensor given twice stays one. What is known by its shape alone gets values on a real
        device.
        """
        placed: dict[int, Tensor] = {}

        def change(value: Any, dim: BatchDim) -> Any:
            if isinstance(value, list | tuple):
                return None
            if id(value) not in placed:
                placed[id(value)] = _placed(value, device)
            return placed[id(value)]

        moved = self._changed(change)
        return moved.args, dict(moved.kwargs), list(placed.values())

    def _changed(self, change: Change) -> Inputs:
        of_args, of_kwargs = self._dims()
        return Inputs(
            tuple(
                _rebuilt(value, dim, change) for value, dim in zip(self.args, of_args, strict=True)
            ),
            {
                name: _rebuilt(value, _part(of_kwargs, name), change)
                for name, value in self.kwargs.items()
            },
            self.batch_dim,
        )

    def _dims(self) -> tuple[tuple[BatchDim, ...], BatchDim]:
        """Share the batch's dimension out to positional and to keyword arguments."""
        dim = self.batch_dim
        if isinstance(dim, tuple | list):
            if len(dim) != len(self.args):
                raise UsageError(
                    f"batch_dim has {len(dim)} parts for {len(self.args)} positional arguments"
                )
            return tuple(dim), 0
        if isinstance(dim, Mapping) and self.kwargs:
            return (0,) * len(self.args), dim
        return (dim,) * len(self.args), dim

    def _leaves(self) -> Iterator[tuple[Leaf, int, Sequence[Any] | None]]:
        """Give each tensor that has a batch dimension, that dimension, and the list of images in
        which it is.
        """
        found: list[tuple[Leaf, int, Sequence[Any] | None]] = []
        lists: dict[int, Sequence[Any]] = {}

        def change(value: Any, dim: BatchDim) -> Any:
            if isinstance(value, list | tuple):
                maps = [_map_in(item) for item in value]
                if maps and None not in maps:
                    lists.update({id(each): value for each in maps})
                return None
            at = _at(value, dim)
            if at is not None:
                found.append((value, at, lists.get(id(value))))
            return value

        self._changed(change)
        yield from found


def _map_in(item: Any) -> Leaf | None:
    """The image that an item of a list is, or that it holds beside other things."""
    held = [] if isinstance(item, list) else leaves(item)
    maps = (each for each in held if each.ndim == 3 and each.is_floating_point())
    return next(maps, None)


def _at(value: Leaf, dim: BatchDim) -> int | None:
    """The batch dimension of a tensor, None where it has none."""
    if dim is None:
        return None
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise UsageError(
            f"invalid batch_dim {dim!r}: give a dimension, None, or a structure of these"
        )
    return dim % value.ndim if -value.ndim <= dim < value.ndim else None


def _with_size(value: Leaf, at: int, size: int) -> Leaf:
    shape = (*value.shape[:at], size, *value.shape[at + 1 :])
    if isinstance(value, Shaped):
        return Shaped(shape, value.dtype)
    if value.is_meta:
        return elementwise(shape, value)
    # A selection is contiguous: made of dimensions in the order of memory, it keeps that.
    strides = value.stride()
    order = sorted(range(value.ndim), key=lambda dim: -strides[dim])
    chosen = torch.arange(size, device=value.device) % value.shape[at]
    selected = value.permute(order).index_select(order.index(at), chosen)
    return selected.permute([order.index(dim) for dim in range(value.ndim)])


def _placed(value: Leaf, device: torch.device) -> Tensor:
    if isinstance(value, Shaped):
        if device.type == "meta":
            return torch.empty(value.shape, dtype=value.dtype, device=device)
        return value.real(device)
    if value.is_meta and device.type != "meta":
        return Shaped(tuple(value.shape), value.dtype).real(device)
    return value.detach().to(device)


def _has_tensors(value: Any) -> bool:
    return bool(leaves(value))


def leaves(value: Any) -> list[Leaf]:
    """Find the tensors nested in anything."""
    found: list[Leaf] = []

    def change(value: Any, dim: BatchDim) -> Any:
        if isinstance(value, list | tuple):
            return None
        found.append(value)
        return value

    _rebuilt(value, 0, change)
    return found


def _part(dim: BatchDim, key: Any) -> BatchDim:
    """The part of a structure of dimensions that is of a place in the input."""
    if isinstance(dim, Mapping):
        return dim.get(key)
    if isinstance(dim, tuple | list):
        if not isinstance(key, int) or key >= len(dim):
            raise UsageError(f"batch_dim {dim!r} does not have the structure of the input")
        return dim[key]
    return dim


def _rebuilt(value: Any, dim: BatchDim, change: Change) -> Any:
    """Rebuild what is nested in lists, tuples, mappings, dataclasses and plain objects with its
    tensors changed; what holds none stays the same object.

    `change` is asked for each list and tuple too: None goes on into it, another takes its place.
    """
    if isinstance(value, Tensor | Shaped):
        return change(value, dim)
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data, None))
    if isinstance(value, deque):
        parts = _rebuilt(list(value), dim, change)
        is_same = len(parts) == len(value) and all(map(_same, parts, value))
        return value if is_same else deque(parts, value.maxlen)
    if isinstance(value, list | tuple):
        if not hasattr(value, "_make"):
            other = change(value, dim)
            if other is not None:
                return other
        parts = [_rebuilt(part, _part(dim, i), change) for i, part in enumerate(value)]
        if all(map(_same, parts, value)):
            return value
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if isinstance(value, Mapping):
        changed = {key: _rebuilt(part, _part(dim, key), change) for key, part in value.items()}
        if all(changed[key] is part for key, part in value.items()):
            return value
        if not isinstance(value, MutableMapping):
            return changed
        other = copy.copy(value)
        for key, part in changed.items():
            other[key] = part
        return other
    return _rebuilt_object(value, dim, change)


def _rebuilt_object(value: Any, dim: BatchDim, change: Change) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    elif isinstance(value, type | torch.nn.Module) or callable(value):
        return value
    else:
        # One level deep: a plain object may refer to anything, itself included.
        held = {
            name: part
            for name, part in getattr(value, "__dict__", {}).items()
            if isinstance(part, Tensor | Shaped | list | tuple | dict)
        }
    changed = {name: _rebuilt(part, _part(dim, name), change) for name, part in held.items()}
    if all(held[name] is part for name, part in changed.items()):
        return value
    other = copy.copy(value)
    for name, part in changed.items():
        object.__setattr__(other, name, part)
    return other


def _same(one: Any, other: Any) -> bool:
    return one is other
