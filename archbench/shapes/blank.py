"""Make tensors on the meta device, laid out in memory as torch would lay out its results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

META = torch.device("meta")


def blank(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Make a contiguous tensor; `Tensor.new_empty` is written in Python and takes far longer."""
    return torch.empty(shape, dtype=dtype, device=META)


def is_channels_last(*maps: Tensor) -> bool:
    """Whether any of some maps [B, C, H, W] has its channels last in memory, be it a part of a
    larger one: what layers make of such maps lies so too.
    """
    return any(not each.is_contiguous() and _is_channels_last(each) for each in maps)


def channels_last(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Make a map [B, C, H, W] with its channels last in memory."""
    _, c, h, w = shape
    return torch.empty_strided(shape, (c * h * w, 1, c * w, c), dtype=dtype, device=META)


def _is_channels_last(each: Tensor) -> bool:
    strides = each.stride()
    if each.ndim != 4 or not strides[1]:
        return False
    least = 0
    for dim in (1, 3, 2, 0):
        if strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * each.shape[dim]
    return True


def elementwise(shape: Sequence[int], *sources: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Make what is computed element by element of `sources`, which are broadcast to `shape`: its
    dimensions lie in memory in the order of theirs.
    """
    dtype = dtype or sources[0].dtype
    for source in sources:
        if not source.is_contiguous():
            return torch.empty_strided(shape, _strides(shape, sources), dtype=dtype, device=META)
    return blank(shape, dtype)


def _strides(shape: Sequence[int], sources: Sequence[Tensor]) -> list[int]:
    """Sort dimensions by the strides of the sources, the first that tells two apart deciding."""
    steps = [_broadcast_strides(shape, source) for source in sources]
    order = list(reversed(range(len(shape))))
    for i in range(1, len(order)):
        at = i
        for before in reversed(range(i)):
            wrong = _is_above(order[before], order[at], steps, shape)
            if wrong:
                order[before], order[at] = order[at], order[before]
                at = before
            elif wrong is False:
                break
    strides, step = [0] * len(shape), 1
    for dim in order:
        strides[dim] = step
        step *= shape[dim]
    return strides


def _broadcast_strides(shape: Sequence[int], source: Tensor) -> list[int]:
    """Strides for all dimensions of `shape`: 0 where a source is repeated."""
    missing = len(shape) - source.ndim
    own = [
        0 if side == 1 and shape[missing + dim] != 1 else stride
        for dim, (side, stride) in enumerate(zip(source.shape, source.stride(), strict=True))
    ]
    return [0] * missing + own


def _is_above(
    inner: int, outer: int, steps: Sequence[Sequence[int]], shape: Sequence[int]
) -> bool | None:
    """Whether the inner of two dimensions has the larger stride; None where no source tells."""
    for strides in steps:
        one, other = strides[inner], strides[outer]
        if not one or not other:
            continue
        if one != other:
            return one > other
        if shape[inner] > shape[outer]:
            return True
    return None
