"""Shapes of what is computed between layers: element by element, reductions, resizing, joining.

Arithmetic of integers is left to torch: it may give real numbers, or be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from archbench.shapes.blank import blank, elementwise, is_channels_last

aten = torch.ops.aten


def _reduce(
    source: Tensor,
    over: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor | None:
    over = over or range(source.ndim)
    if not _is_plain(source, dtype) or any(not -source.ndim <= dim < source.ndim for dim in over):
        return None
    gone = {dim % source.ndim for dim in over}
    shape = [
        1 if dim in gone else side
        for dim, side in enumerate(source.shape)
        if keepdim or dim not in gone
    ]
    return blank(shape, source.dtype) if len(gone) == len(over) else None


def _broadcast(
    first: Any, second: Any, *_: Any, dtype: torch.dtype | None = None, **__: Any
) -> Tensor | None:
    if not isinstance(first, Tensor) or not first.is_floating_point():
        return None
    if isinstance(second, int | float):
        return elementwise(first.shape, first, dtype=dtype)
    if not isinstance(second, Tensor) or first.dtype != second.dtype:
        return None
    shape = first.shape
    if shape != second.shape:
        # torch.broadcast_shapes would load sympy.
        sides = list(zip_longest(reversed(shape), reversed(second.shape), fillvalue=1))
        if any(left != right and 1 not in (left, right) for left, right in sides):
            return None
        shape = torch.Size([right if left == 1 else left for left, right in reversed(sides)])
    return elementwise(shape, first, second, dtype=dtype)


def _compare(first: Any, second: Any) -> Tensor | None:
    return _broadcast(first, second, dtype=torch.bool)


def _compare_tensors(first: Any, second: Any) -> Tensor | None:
    return _compare(first, second) if isinstance(second, Tensor) else None


def _addcmul(source: Tensor, first: Tensor, second: Tensor, **__: Any) -> Tensor | None:
    product = _broadcast(first, second)
    total = None if product is None else _broadcast(source, product)
    if total is None or total.shape != source.shape:
        return None
    return elementwise(source.shape, source, first, second)


def _vector_norm(
    source: Tensor,
    order: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor | None:
    if not _is_plain(source, dtype) or source.ndim != 4 or not keepdim:
        return None
    if dim is None or len(dim) != 1 or not 0 <= dim[0] < 4:
        return None
    shape = [1 if index == dim[0] else side for index, side in enumerate(source.shape)]
    return blank(shape, source.dtype) if not is_channels_last(source) else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    if not tensors or not -tensors[0].ndim <= dim < tensors[0].ndim:
        return None
    first = tensors[0]
    if is_channels_last(first):
        return None
    shape = list(first.shape)
    dim %= first.ndim
    for other in tensors[1:]:
        if (
            other.ndim != first.ndim
            or other.dtype != first.dtype
            or is_channels_last(other)
            or _without(other.shape, dim) != _without(first.shape, dim)
        ):
            return None
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return blank(shape, first.dtype)


def _of_source(grad: Tensor, source: Tensor, *_: Any) -> Tensor:
    return blank(source.shape, grad.dtype)


def _sized(grad: Tensor, sizes: Sequence[int], *_: Any) -> Tensor:
    return blank(sizes, grad.dtype)


def _upsample_nearest2d_backward(
    grad: Tensor, sides: Sequence[int], sizes: Sequence[int], *_: Any
) -> Tensor:
    return blank(sizes, grad.dtype)


def _alike(source: Tensor, *_: Any, **__: Any) -> Tensor | None:
    return elementwise(source.shape, source) if source.is_floating_point() else None


def _ones_like(source: Tensor, *, dtype: torch.dtype | None = None, **_: Any) -> Tensor | None:
    return elementwise(source.shape, source) if dtype in (None, source.dtype) else None


def _flip(source: Tensor, dims: Sequence[int]) -> Tensor | None:
    fits = len(dims) == 1 and -source.ndim <= dims[0] < source.ndim
    return elementwise(source.shape, source) if fits else None


def _in_place(source: Tensor, *_: Any, **__: Any) -> Tensor | None:
    return source if source.is_floating_point() else None


def _pixel_unshuffle(source: Tensor, factor: int) -> Tensor | None:
    if source.ndim != 4 or factor < 1 or is_channels_last(source):
        return None
    images, channels, height, width = source.shape
    if height % factor or width % factor:
        return None
    shape = (images, channels * factor**2, height // factor, width // factor)
    return blank(shape, source.dtype)


def _upsample_nearest2d(
    source: Tensor, sides: Sequence[int] | None, factors: Sequence[float] | None = None
) -> Tensor | None:
    fits = (
        source.ndim == 4
        and sides is not None
        and len(sides) == 2
        and min(*source.shape, *sides) > 0
        and not is_channels_last(source)
    )
    return blank((*source.shape[:2], *sides), source.dtype) if fits and sides is not None else None


def _upsample_nearest2d_to(source: Tensor, sides: Sequence[int], *_: Any) -> Tensor | None:
    return _upsample_nearest2d(source, sides)


def _upsample_bilinear2d(
    source: Tensor,
    sides: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Tensor | None:
    return _upsample_nearest2d(source, sides, factors)


def _is_plain(source: Tensor, dtype: torch.dtype | None) -> bool:
    """Whether real numbers are asked for in the type that they have."""
    return source.is_floating_point() and dtype in (None, source.dtype)


def _without(shape: Sequence[int], dim: int) -> list[int]:
    return [side for index, side in enumerate(shape) if index != dim]


ARITHMETIC: dict[Any, Callable[..., Any]] = {
    aten.cat.default: _cat,
    aten.add.Tensor: _broadcast,
    aten.sub.Tensor: _broadcast,
    aten.mul.Tensor: _broadcast,
    aten.div.Tensor: _broadcast,
    aten.mul.Scalar: _broadcast,
    aten.div.Scalar: _broadcast,
    aten.maximum.default: _broadcast,
    aten.linalg_vector_norm.default: _vector_norm,
    aten.clamp.default: _alike,
    aten.clamp_min.default: _alike,
    aten.exp.default: _alike,
    aten.flip.default: _flip,
    aten.relu.default: _alike,
    aten.hardtanh.default: _alike,
    aten.hardtanh_.default: _in_place,
    aten.leaky_relu.default: _alike,
    aten.leaky_relu_.default: _in_place,
    aten.silu.default: _alike,
    aten.silu_.default: _in_place,
    aten.neg.default: _alike,
    aten.eq.Tensor: _compare_tensors,
    aten.ge.Scalar: _compare,
    aten.ones_like.default: _ones_like,
    aten.sigmoid.default: _alike,
    aten.sigmoid_backward.default: _alike,
    aten.pixel_unshuffle.default: _pixel_unshuffle,
    aten.upsample_nearest2d.vec: _upsample_nearest2d,
    aten.upsample_bilinear2d.vec: _upsample_bilinear2d,
    aten.upsample_nearest2d.default: _upsample_nearest2d_to,
    aten.addcmul.default: _addcmul,
    aten.addcmul_.default: _in_place,
    aten.pow.Tensor_Scalar: _broadcast,
    aten.mean.dim: _reduce,
    aten.mean.default: _reduce,
    aten.sum.default: _reduce,
    aten.sum.dim_IntList: _reduce,
    aten.amax.default: _reduce,
    aten.max_pool2d_with_indices_backward.default: _of_source,
    aten.adaptive_max_pool2d_backward.default: _of_source,
    aten.avg_pool2d_backward.default: _of_source,
    aten.slice_backward.default: _sized,
    aten.upsample_nearest2d_backward.default: _upsample_nearest2d_backward,
    aten.threshold_backward.default: _alike,
    aten.hardtanh_backward.default: _alike,
    aten.leaky_relu_backward.default: _alike,
    aten.silu_backward.default: _alike,
}
