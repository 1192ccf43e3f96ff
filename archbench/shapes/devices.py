"""Run an operator by shape on the meta device, whatever device its tensors are on.

Small tensors that a module makes without a device, such as a constant of one element, keep their
values, since a module may read them; they join the meta device where they meet a tensor on it.
"""

from __future__ import annotations

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
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], read: list[Tensor]
) -> Any:
    """Run an operator that reads the tensors `read` without computing anything large."""
    if not read:
        return _make(func, args, kwargs)
    real = [tensor for tensor in read if not tensor.is_meta]
    if not real:
        shaped = OUTPUTS.get(func)
        out = shaped(*args, **kwargs) if shaped else None
        return _on_meta(func, args, kwargs) if out is None else out
    if len(real) == len(read):
        return _compute(func, args, kwargs, read)
    try:
        return func(*args, **kwargs)
    except (RuntimeError, NotImplementedError):
        return func(*map(to_meta, args), **{key: to_meta(value) for key, value in kwargs.items()})


def to_meta(value: Any) -> Any:
    """Move the tensors of an operator's argument to the meta device."""
    if isinstance(value, Tensor):
        return value if value.is_meta else value.to("meta")
    if isinstance(value, list | tuple):
        return type(value)(map(to_meta, value))
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
