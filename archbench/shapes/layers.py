"""Shapes of what layers compute: convolutions, pools, normalisations, matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from archbench.shapes.blank import blank, channels_last, is_channels_last

aten = torch.ops.aten


def _convolved(shape: Sequence[int], source: Tensor, weight: Tensor) -> Tensor | None:
    """A convolution's output: its channels lie last where those of the map or of the weight do, on
    devices, though not in torch's meta kernel.
    """
    if min(shape) <= 0:
        return None
    made = channels_last if is_channels_last(source, weight) else blank
    return made(shape, source.dtype)


def _conv2d(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Tensor | None:
    if source.ndim != 4 or weight.ndim != 4:
        return None
    batch, channels, height, width = source.shape
    c_out, c_in, tall, wide = weight.shape
    if channels != c_in * groups:
        return None
    # One value stands for both sides.
    rows = _windows(height, tall, stride[0], padding[0], dilation[0])
    columns = _windows(width, wide, stride[-1], padding[-1], dilation[-1])
    return _convolved((batch, c_out, rows, columns), source, weight)


def _windows(side: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _conv_transpose2d(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Tensor | None:
    c_in, c_out, *kernel = weight.shape
    if source.ndim != 4 or source.shape[1] != c_in:
        return None
    sides = []
    for i, n in enumerate(source.shape[2:]):
        s, p, extra, d = (
            values[i % len(values)] for values in (stride, padding, output_padding, dilation)
        )
        sides.append((n - 1) * s - 2 * p + d * (kernel[i] - 1) + extra + 1)
    return _convolved((source.shape[0], c_out * groups, *sides), source, weight)


def _convolution(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    if weight.ndim != 4:
        return None
    if transposed:
        return _conv_transpose2d(
            source, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _conv2d(source, weight, bias, stride, padding, dilation, groups)


def _convolution_backward(
    grad: Tensor, source: Tensor, weight: Tensor, bias_sizes: Sequence[int] | None, *others: Any
) -> tuple[Tensor | None, ...] | None:
    shapes = (source.shape, weight.shape, [weight.shape[0]] if bias_sizes is None else bias_sizes)
    return _wanted(grad, shapes, others[-1])


def _max_pool2d(
    source: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Tensor | None:
    stride = stride or kernel
    sides = []
    for i, n in enumerate(source.shape[-2:]):
        k, s, p, d = (values[i % len(values)] for values in (kernel, stride, padding, dilation))
        # Torch refuses to pad by more than half a window, in its own words.
        if 2 * p > k:
            return None
        span = n + 2 * p - d * (k - 1) - 1
        side = (-(-span // s) if ceil_mode else span // s) + 1
        # A last window that would start in the padding is left out.
        sides.append(side - 1 if ceil_mode and (side - 1) * s >= n + p else side)
    fits = source.ndim == 4 and min(sides) > 0 and not is_channels_last(source)
    return blank((*source.shape[:-2], *sides), source.dtype) if fits else None


def _max_pool2d_with_indices(source: Tensor, *others: Any) -> tuple[Tensor, Tensor] | None:
    out = _max_pool2d(source, *others)
    return None if out is None else (out, blank(out.shape, torch.int64))


def _adaptive_max_pool2d(source: Tensor, sides: Sequence[int]) -> tuple[Tensor, Tensor] | None:
    out = _adaptive_avg_pool2d(source, sides)
    return None if out is None else (out, blank(out.shape, torch.int64))


def _batch_norm(source: Tensor, *others: Any, **__: Any) -> Tensor | None:
    if source.ndim < 2 or not source.is_contiguous():
        return None
    shape = source.shape
    # Scale, shift, mean and variance; what follows them are numbers.
    for held in others[:4]:
        if held is not None and held.numel() != shape[1]:
            return None
    return blank(shape, source.dtype)


def _group_norm(source: Tensor, groups: int, *others: Any, **__: Any) -> Tensor | None:
    fits = (
        source.ndim > 1
        and source.shape[1] % groups == 0
        and source.is_contiguous()
        and all(t.numel() == source.shape[1] for t in others if isinstance(t, Tensor))
    )
    return blank(source.shape, source.dtype) if fits else None


def _wanted(
    grad: Tensor, shapes: Sequence[Sequence[int]], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Gradients of these shapes, None for those that are not wanted."""
    return tuple(
        blank(shape, grad.dtype) if needed else None
        for shape, needed in zip(shapes, wanted, strict=True)
    )


def _native_batch_norm(source: Tensor, *others: Any) -> tuple[Tensor, ...] | None:
    training = others[4]
    if not training or _batch_norm(source, *others[:4]) is None:
        return None
    return (
        blank(source.shape, source.dtype),
        blank(source.shape[1:2], source.dtype),
        blank(source.shape[1:2], source.dtype),
    )


def _native_batch_norm_backward(
    grad: Tensor, source: Tensor, *others: Any
) -> tuple[Tensor | None, ...]:
    channels = [source.shape[1]]
    return _wanted(grad, (source.shape, channels, channels), others[-1])


def _native_group_norm(
    source: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch: int,
    channels: int,
    positions: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, ...] | None:
    if _group_norm(source, groups, weight, bias) is None or (batch, channels) != source.shape[:2]:
        return None
    return (
        blank(source.shape, source.dtype),
        blank((batch, groups), source.dtype),
        blank((batch, groups), source.dtype),
    )


def _native_group_norm_backward(
    grad: Tensor, source: Tensor, *others: Any
) -> tuple[Tensor | None, ...]:
    channels = [source.shape[1]]
    return _wanted(grad, (source.shape, channels, channels), others[-1])


def _avg_pool2d(
    source: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    *_: Any,
) -> Tensor | None:
    return _max_pool2d(source, kernel, stride, padding, (1,), ceil_mode)


def _adaptive_avg_pool2d(source: Tensor, sides: Sequence[int]) -> Tensor | None:
    fits = source.ndim == 4 and len(sides) == 2 and min(*source.shape, *sides) > 0
    if not fits or is_channels_last(source):
        return None
    return blank((*source.shape[:2], *sides), source.dtype)


def _linear(source: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    fits = (
        source.ndim > 0
        and weight.ndim == 2
        and source.shape[-1] == weight.shape[1]
        and source.dtype == weight.dtype
    )
    fits = fits and (bias is None or bias.shape == weight.shape[:1])
    return blank((*source.shape[:-1], weight.shape[0]), source.dtype) if fits else None


def _addmm(bias: Tensor, source: Tensor, weight: Tensor, **__: Any) -> Tensor | None:
    if (
        source.ndim != 2
        or weight.ndim != 2
        or source.shape[1] != weight.shape[0]
        or bias.shape != weight.shape[1:]
    ):
        return None
    shape = (source.shape[0], weight.shape[1])
    return blank(shape, source.dtype) if bias.dtype == source.dtype == weight.dtype else None


def _mm(source: Tensor, weight: Tensor) -> Tensor | None:
    fits = (
        source.ndim == weight.ndim == 2
        and source.shape[1] == weight.shape[0]
        and source.dtype == weight.dtype
    )
    return blank((source.shape[0], weight.shape[1]), source.dtype) if fits else None


LAYERS: dict[Any, Callable[..., Any]] = {
    aten.conv2d.default: _conv2d,
    aten.conv_transpose2d.input: _conv_transpose2d,
    aten.max_pool2d.default: _max_pool2d,
    aten.avg_pool2d.default: _avg_pool2d,
    aten.adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
    aten.linear.default: _linear,
    aten.batch_norm.default: _batch_norm,
    aten.group_norm.default: _group_norm,
    aten.max_pool2d_with_indices.default: _max_pool2d_with_indices,
    aten.adaptive_max_pool2d.default: _adaptive_max_pool2d,
    aten.addmm.default: _addmm,
    aten.mm.default: _mm,
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.native_batch_norm.default: _native_batch_norm,
    aten.native_batch_norm_backward.default: _native_batch_norm_backward,
    aten.native_group_norm.default: _native_group_norm,
    aten.native_group_norm_backward.default: _native_group_norm_backward,
}
