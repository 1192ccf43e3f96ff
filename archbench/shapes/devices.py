"""Run an operator by shape on the meta device, whatever device its tensors are on.

Small tensors that a module makes without a device, such as a constant of one element, keep their
values, since a module may read them; they join the meta device where they meet a tensor on it, or
where an operator has written values to them that it did not compute.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from archbench.shapes.blank import META
from archbench.shapes.outputs import OUTPUTS

NUMBERS = frozenset((type(None), bool, int, float))
aten = torch.ops.aten
MOVES = frozenset((aten.to.device, aten.to.dtype_layout, aten._to_copy.default))
HELD = 1 << 22
"""Elements of the largest tensor that is made for real in a pass over shapes."""
SURELY_SMALL = 1 << 11
"""Elements of two inputs whose outer product is no larger than that."""
PACKS = frozenset((aten._pack_padded_sequence.default, aten._pad_packed_sequence.default))
"""Operators that compute lengths out of lengths, whatever device the sequences are on."""

READS = frozenset((aten.resolve_conj.default, aten.resolve_neg.default))
"""All that is seen of a real tensor's values being read as a list or an array."""


class Stale:
    """The real tensors of a pass whose values an operator was to write but knew by shape alone."""

    def __init__(self) -> None:
        self._storages: dict[int, weakref.ref[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._storages)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Take in the real ones of some tensors, with all that share their storage."""
        for tensor in tensors:
            if not tensor.is_meta and tensor.layout is torch.strided:
                self._add(tensor.untyped_storage())

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata

        def forget(_: Any) -> None:
            del self._storages[key]

        if key not in self._storages:
            self._storages[key] = weakref.ref(storage, forget)

    def has(self, tensor: Tensor) -> bool:
        return tensor.layout is torch.strided and tensor.untyped_storage()._cdata in self._storages


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among values and in their lists and tuples."""
    found: list[Tensor] = []
    for value in values:
        # Asking torch whether a number is a tensor takes longer than all the rest.
        if type(value) in NUMBERS:
            continue
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
    return found


def run_on_meta(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], read: list[Tensor], stale: Stale
) -> Any:
    """Run an operator that reads the tensors `read` without computing anything large; tensors that
    are `stale` have no values.
    """
    if not read:
        return _make(func, args, kwargs)
    if stale and any(map(stale.has, read)):
        if _is_view(func):
            return _view(func, args, kwargs, stale)
        stale.add(_written(func, args, kwargs))
        args = tuple(to_meta(value, stale) for value in args)
        kwargs = {name: to_meta(value, stale) for name, value in kwargs.items()}
        read = tensors_in((*args, *kwargs.values()))
    real = [tensor for tensor in read if not tensor.is_meta]
    if not real:
        shaped = OUTPUTS.get(func)
        out = shaped(*args, **kwargs) if shaped else None
        return _on_meta(func, args, kwargs) if out is None else out
    if len(real) == len(read):
        return _compute(func, args, kwargs, read)
    return _join(func, args, kwargs, stale)


def _view(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stale: Stale) -> Any:
    """Look at a tensor without values in another way, or copy it where there is none."""
    if func in READS:
        raise NotImplementedError("values are read that are not computed on the meta device")
    out = func(*args, **kwargs)
    stale.add(tensors_in((out,)))
    return out


def _join(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stale: Stale) -> Any:
    """Run an operator on real tensors and on those of the meta device: what it gives or writes to
    has no values, but for a view of a real one.
    """
    try:
        out = func(*args, **kwargs)
    except (RuntimeError, NotImplementedError):
        out = func(*map(to_meta, args), **{key: to_meta(value) for key, value in kwargs.items()})
    if not _is_view(func) and func not in PACKS:
        stale.add((*tensors_in((out,)), *_written(func, args, kwargs)))
    return out


def _is_view(func: Any) -> bool:
    return getattr(func, "is_view", False)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operator's schema says it writes to."""
    schema = getattr(func, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    given = {each.name: value for each, value in zip(schema.arguments, args, strict=False)} | kwargs
    return tensors_in(
        given[each.name]
        for each in schema.arguments
        if each.name in given and each.alias_info is not None and each.alias_info.is_write
    )


def to_meta(value: Any, only: Stale | None = None) -> Any:
    """Move the tensors of an operator's argument to the meta device, or only those that have no
    values.
    """
    if isinstance(value, Tensor):
        stays = value.is_meta or (only is not None and not only.has(value))
        return value if stays else value.to("meta")
    if isinstance(value, list | tuple):
        return type(value)(to_meta(each, only) for each in value)
    return value


def _on_meta(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on meta tensors; what is to go to another device has no values to take there
    and stays.
    """
    if func in MOVES:
        args = tuple(map(_stays, args))
        kwargs = {name: _stays(value) for name, value in kwargs.items()}
    return func(*args, **kwargs)


def _stays(value: Any) -> Any:
    return META if isinstance(value, torch.device) else value


def _make(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a tensor out of none: by shape alone where it is large."""
    if kwargs.get("device") not in (None, torch.device("meta")):
        made = func(*args, **(kwargs | {"device": torch.device("meta")}))
        if sum(tensor.numel() for tensor in tensors_in((made,))) > HELD:
            return made
    return func(*args, **kwargs)


def _compute(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], read: list[Tensor]) -> Any:
    """Compute a constant; what would be large becomes a shape."""
    if sum(tensor.numel() for tensor in read) > SURELY_SMALL and not func._schema.is_mutable:
        try:
            shape = func(*map(to_meta, args), **{key: to_meta(v) for key, v in kwargs.items()})
        except (RuntimeError, NotImplementedError):
            return func(*args, **kwargs)
        if sum(tensor.numel() for tensor in tensors_in((shape,))) > HELD and not func.is_view:
            return shape
    return func(*args, **kwargs)
