"""Arguments drawn at random for every operator whose outputs are known by shape."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


Arguments = tuple[Any, ...]


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def pair(draw: random.Random, *values: int) -> list[int]:
    """One number for both sides, or one a side."""
    return [draw.choice(values) for _ in range(draw.choice((1, 2)))]


def sides(draw: random.Random) -> tuple[int, int]:
    return draw.randint(1, 20), draw.randint(1, 20)


def numbers(draw: random.Random) -> torch.dtype:
    """A type of numbers, most often that of real ones."""
    return draw.choice((*[torch.float32] * 4, torch.float16, torch.int64, torch.bool))


def feature_map(draw: random.Random, dtype: torch.dtype = torch.float32) -> Tensor:
    return meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw), dtype=dtype)


def conv2d(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 1, 2, 4))
    c_in, c_out = groups * draw.randint(1, 4), groups * draw.randint(1, 4)
    weight = meta(c_out, c_in // groups, draw.randint(1, 5), draw.randint(1, 5))
    bias = draw.choice((None, meta(c_out)))
    return (
        meta(draw.randint(1, 3), c_in, *sides(draw)),
        weight,
        bias,
        pair(draw, 1, 2, 3),
        pair(draw, 0, 1, 2),
        pair(draw, 1, 2),
        groups,
    )


def conv_transpose2d(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 1, 2, 4))
    c_in, c_out = groups * draw.randint(1, 4), groups * draw.randint(1, 4)
    weight = meta(c_in, c_out // groups, draw.randint(1, 5), draw.randint(1, 5))
    bias = draw.choice((None, meta(c_out)))
    source = meta(draw.randint(1, 3), c_in, *sides(draw))
    return (
        source,
        weight,
        bias,
        pair(draw, 1, 2, 3),
        pair(draw, 0, 1),
        pair(draw, 0),
        groups,
        pair(draw, 1, 2),
    )


def max_pool2d(draw: random.Random) -> Arguments:
    kernel = pair(draw, 2, 3, 4, 5)
    stride = draw.choice(([], pair(draw, 1, 2, 3)))
    padding = [draw.randint(0, min(kernel) // 2)]
    return (
        meta(draw.randint(1, 3), 4, *sides(draw)),
        kernel,
        stride,
        padding,
        pair(draw, 1, 2),
        draw.random() < 0.5,
    )


def batch_norm(draw: random.Random) -> Arguments:
    channels = draw.randint(1, 5)
    shape = draw.choice(((), (4,), (4, 3), (2, 3, 4)))
    return meta(2, channels, *shape), *(meta(channels) for _ in range(4)), False, 0.1, 1e-5, False


def group_norm(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 2, 3))
    channels = groups * draw.randint(1, 4)
    return meta(2, channels, *sides(draw)), groups, meta(channels), meta(channels), 1e-5, False


def cat(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 5) for _ in range(draw.randint(1, 4))]
    dim = draw.randrange(-len(shape), len(shape))
    tensors = []
    for _ in range(draw.randint(1, 4)):
        shape[dim] = draw.randint(0, 4)
        tensors.append(meta(*shape, dtype=draw.choice((torch.float32, torch.float32, torch.int64))))
    return tensors, dim


def add(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 4) for _ in range(3)]
    other = draw.choice((shape, shape, shape[1:], [1, *shape[1:]]))
    first = numbers(draw)
    second = draw.choice((first, first, first, numbers(draw)))
    number = draw.choice((2, 0.5))
    return meta(*shape, dtype=first), draw.choice((number, *[meta(*other, dtype=second)] * 2))


def maximum(draw: random.Random) -> Arguments:
    first, second = add(draw)
    return first, second if isinstance(second, Tensor) else first


def flip(draw: random.Random) -> Arguments:
    return *activation(draw), [draw.choice((-1, 1, 2, 3, 4))]


def adaptive_avg_pool2d(draw: random.Random) -> Arguments:
    return feature_map(draw), [draw.randint(1, 7), draw.randint(1, 7)]


def avg_pool2d(draw: random.Random) -> Arguments:
    source, kernel, stride, padding, _, ceil_mode = max_pool2d(draw)
    return source, kernel, stride, padding, ceil_mode, draw.random() < 0.5


def linear(draw: random.Random) -> Arguments:
    depth, c_out = draw.randint(1, 5), draw.randint(1, 5)
    return (
        meta(*(draw.randint(1, 4) for _ in range(draw.randint(0, 3))), depth),
        meta(c_out, depth),
        draw.choice((None, meta(c_out))),
    )


def hardtanh(draw: random.Random) -> Arguments:
    return *activation(draw), 0, 6


def activation(draw: random.Random) -> Arguments:
    return (feature_map(draw, numbers(draw)),)


def floor(draw: random.Random) -> Arguments:
    return *activation(draw), draw.choice((0, 0.5, 1e-12))


def vector_norm(draw: random.Random) -> Arguments:
    return *activation(draw), 2, [draw.choice((1, 1, 2, 3, -1))], draw.random() < 0.8


def pixel_unshuffle(draw: random.Random) -> Arguments:
    factor = draw.choice((1, 2, 2, 3))
    height, width = (factor * side + draw.choice((0, 0, 0, 1)) for side in sides(draw))
    return meta(draw.randint(1, 3), draw.randint(1, 8), height, width), factor


def upsample_nearest2d(draw: random.Random) -> Arguments:
    to = draw.choice((None, *[list(sides(draw))] * 2))
    return feature_map(draw), to, None if to else [2.0, 2.0]


def upsample_bilinear2d(draw: random.Random) -> Arguments:
    source, to, factors = upsample_nearest2d(draw)
    return source, to, draw.random() < 0.5, factors


def scalar(draw: random.Random) -> Arguments:
    return *activation(draw), draw.choice((2, 0.5))


def compared(draw: random.Random) -> Arguments:
    return draw.choice((add, scalar))(draw)


def addcmul(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 4) for _ in range(4)]
    other = draw.choice((shape, [1, shape[1], 1, 1], shape[1:]))
    return meta(*shape), meta(*shape), meta(*other)


def reduced(draw: random.Random) -> Arguments:
    source = meta(*(draw.randint(1, 5) for _ in range(4)), dtype=numbers(draw))
    return source, draw.choice(([2, 3], [-1, -2], [1], [0, 2, 3])), draw.random() < 0.5


def reduced_whole(draw: random.Random) -> Arguments:
    return reduced(draw)[:1]


def mm(draw: random.Random) -> Arguments:
    depth = draw.randint(1, 5)
    return meta(draw.randint(1, 4), depth), meta(depth + (draw.random() < 0.2), draw.randint(1, 4))


def addmm(draw: random.Random) -> Arguments:
    source, weight = mm(draw)
    return meta(weight.shape[1]), source, weight


def convolution(draw: random.Random) -> Arguments:
    if draw.random() < 0.5:
        source, weight, bias, stride, padding, dilation, groups = conv2d(draw)
        return source, weight, bias, stride, padding, dilation, False, [0, 0], groups
    source, weight, bias, stride, padding, extra, groups, dilation = conv_transpose2d(draw)
    return source, weight, bias, stride, padding, dilation, True, extra, groups


def wanted(draw: random.Random) -> list[bool]:
    return [draw.random() < 0.7 for _ in range(3)]


def convolution_backward(draw: random.Random) -> Arguments:
    source, weight = meta(2, 4, 8, 8), meta(6, 4, 3, 3)
    bias_sizes = draw.choice((None, [6]))
    mask = [*wanted(draw)[:2], bias_sizes is not None]
    return (
        meta(2, 6, 8, 8),
        source,
        weight,
        bias_sizes,
        [1, 1],
        [1, 1],
        [1, 1],
        False,
        [0, 0],
        1,
        mask,
    )


def native_batch_norm(draw: random.Random) -> Arguments:
    source, weight, bias, mean, variance, *_ = batch_norm(draw)
    return source, weight, bias, mean, variance, draw.random() < 0.8, 0.1, 1e-5


def native_batch_norm_backward(draw: random.Random) -> Arguments:
    source, weight, _, mean, variance, *_ = native_batch_norm(draw)
    return (
        meta(*source.shape),
        source,
        weight,
        mean,
        variance,
        meta(*mean.shape),
        meta(*mean.shape),
        True,
        1e-5,
        [True, *wanted(draw)[1:]],
    )


def native_group_norm(draw: random.Random) -> Arguments:
    source, groups, weight, bias, *_ = group_norm(draw)
    return source, weight, bias, *source.shape[:2], source.shape[2] * source.shape[3], groups, 1e-5


def native_group_norm_backward(draw: random.Random) -> Arguments:
    source, weight, _, batch, channels, positions, groups, _ = native_group_norm(draw)
    statistics = (meta(batch, groups), meta(batch, groups))
    return (
        meta(*source.shape),
        source,
        *statistics,
        weight,
        batch,
        channels,
        positions,
        groups,
        wanted(draw),
    )


def gradient(*after: Any) -> Callable[[random.Random], Arguments]:
    """A gradient, the values of the same shape that it is of, and what else the operator takes."""

    def drawn(draw: random.Random) -> Arguments:
        source = feature_map(draw)
        return meta(*source.shape), source, *after

    return drawn


def max_pool2d_backward(draw: random.Random) -> Arguments:
    return (
        meta(2, 3, 4, 4),
        meta(2, 3, 8, 8),
        [2, 2],
        [2, 2],
        [0, 0],
        [1, 1],
        False,
        meta(2, 3, 4, 4, dtype=torch.int64),
    )


def adaptive_max_pool2d_backward(draw: random.Random) -> Arguments:
    source = feature_map(draw)
    return meta(*source.shape[:2], 1, 1), source, meta(*source.shape[:2], 1, 1, dtype=torch.int64)


def avg_pool2d_backward(draw: random.Random) -> Arguments:
    return meta(2, 3, 4, 4), meta(2, 3, 8, 8), [2, 2], [2, 2], [0, 0], False, True, None


def slice_backward(draw: random.Random) -> Arguments:
    return meta(2, 3, 4, 8), [2, 3, 8, 8], 2, 0, 2**63 - 1, 2


def upsample_nearest2d_backward(draw: random.Random) -> Arguments:
    source = feature_map(draw)
    doubled = [2 * side for side in source.shape[2:]]
    return meta(*source.shape[:2], *doubled), doubled, list(source.shape)


def upsample_nearest2d_sides(draw: random.Random) -> Arguments:
    return feature_map(draw), list(sides(draw))


DRAWS: dict[Any, Callable[[random.Random], Arguments]] = {
    aten.mul.Scalar: scalar,
    aten.div.Scalar: scalar,
    aten.pow.Tensor_Scalar: scalar,
    aten.eq.Tensor: add,
    aten.ge.Scalar: scalar,
    aten.neg.default: activation,
    aten.ones_like.default: activation,
    aten.addcmul.default: addcmul,
    aten.addcmul_.default: addcmul,
    aten.mean.dim: reduced,
    aten.mean.default: reduced_whole,
    aten.sum.default: reduced_whole,
    aten.sum.dim_IntList: reduced,
    aten.amax.default: reduced,
    aten.mm.default: mm,
    aten.addmm.default: addmm,
    aten.max_pool2d_with_indices.default: max_pool2d,
    aten.adaptive_max_pool2d.default: adaptive_avg_pool2d,
    aten.upsample_nearest2d.default: upsample_nearest2d_sides,
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
    aten.native_batch_norm.default: native_batch_norm,
    aten.native_batch_norm_backward.default: native_batch_norm_backward,
    aten.native_group_norm.default: native_group_norm,
    aten.native_group_norm_backward.default: native_group_norm_backward,
    aten.threshold_backward.default: gradient(0),
    aten.hardtanh_backward.default: gradient(0, 6),
    aten.leaky_relu_backward.default: gradient(0.1, False),
    aten.silu_backward.default: gradient(),
    aten.sigmoid_backward.default: gradient(),
    aten.max_pool2d_with_indices_backward.default: max_pool2d_backward,
    aten.adaptive_max_pool2d_backward.default: adaptive_max_pool2d_backward,
    aten.avg_pool2d_backward.default: avg_pool2d_backward,
    aten.slice_backward.default: slice_backward,
    aten.upsample_nearest2d_backward.default: upsample_nearest2d_backward,
    aten.conv2d.default: conv2d,
    aten.conv_transpose2d.input: conv_transpose2d,
    aten.max_pool2d.default: max_pool2d,
    aten.batch_norm.default: batch_norm,
    aten.group_norm.default: group_norm,
    aten.cat.default: cat,
    aten.add.Tensor: add,
    aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    aten.avg_pool2d.default: avg_pool2d,
    aten.linear.default: linear,
    aten.hardtanh.default: hardtanh,
    aten.hardtanh_.default: hardtanh,
    aten.upsample_nearest2d.vec: upsample_nearest2d,
    aten.upsample_bilinear2d.vec: upsample_bilinear2d,
    aten.sub.Tensor: add,
    aten.mul.Tensor: add,
    aten.div.Tensor: add,
    aten.maximum.default: maximum,
    aten.linalg_vector_norm.default: vector_norm,
    aten.clamp.default: floor,
    aten.clamp_min.default: floor,
    aten.exp.default: activation,
    aten.flip.default: flip,
    aten.relu.default: activation,
    aten.leaky_relu.default: activation,
    aten.leaky_relu_.default: activation,
    aten.silu.default: activation,
    aten.silu_.default: activation,
    aten.sigmoid.default: activation,
    aten.pixel_unshuffle.default: pixel_unshuffle,
}
