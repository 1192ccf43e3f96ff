"""Deformable convolution (`archbench.zoo.ops.deform`): ONNX's own operator, or plain ones for an
engine without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.values import Value, constant, ints, part, shape_of


def deform_conv2d(
    source: Value,
    weight: Value,
    bias: Value | None,
    stride: int,
    padding: int,
    offsets: Value,
    mask: Value | None,
) -> Value:
    """`archbench::deform_conv2d` as DeformConv, one for each set of offsets."""
    outputs, _, side, _ = shape_of(weight)
    taps = side**2
    sets = shape_of(offsets)[1] // (2 * taps)
    parts = []
    for number in range(sets):
        own = [
            value if value is None or sets == 1 else _part_of(value, axis, number, sides // sets)
            for value, axis, sides in (
                (weight, 0, outputs),
                (bias, 0, outputs),
                (offsets, 1, 2 * sets * taps),
                (mask, 1, sets * taps),
            )
        ]
        parts.append(
            op.DeformConv(
                source,
                own[0],
                own[2],
                own[1],
                own[3],
                kernel_shape=[side, side],
                strides=[stride, stride],
                pads=[padding] * 4,
            )
        )
    return parts[0] if sets == 1 else op.Concat(*parts, axis=1)


def _part_of(value: Value, axis: int, number: int, length: int) -> Value:
    return part(value, axis, number * length, (number + 1) * length)


def plain_deform_conv2d(
    source: Value,
    weight: Value,
    bias: Value | None,
    stride: int,
    padding: int,
    offsets: Value,
    mask: Value | None,
) -> Value:
    """The same as GridSample and a matrix product."""
    batch, channels, height, width = shape_of(source)
    outputs, _, side, _ = shape_of(weight)
    _, moves, rows, columns = shape_of(offsets)
    taps = side**2
    sets = moves // (2 * taps)
    moved = op.Reshape(offsets, ints(batch, sets, taps, 2, rows, columns))
    grid = op.Concat(
        *(
            op.Reshape(share, ints(batch, sets * taps * rows, columns, 1))
            for share in _shares(moved, side, (stride, padding), (height, width), (rows, columns))
        ),
        axis=-1,
    )
    read = op.GridSample(source, grid, mode="linear", padding_mode="zeros", align_corners=0)
    if mask is not None:
        read = op.Mul(read, op.Reshape(mask, ints(batch, 1, sets * taps * rows, columns)))
    read = op.Reshape(read, ints(batch, channels, sets, taps, rows * columns))
    read = op.Transpose(read, perm=[0, 2, 1, 3, 4])
    read = op.Reshape(read, ints(batch, sets, channels * taps, rows * columns))
    out = op.MatMul(op.Reshape(weight, ints(sets, outputs // sets, channels * taps)), read)
    out = op.Reshape(out, ints(batch, outputs, rows, columns))
    return out if bias is None else op.Add(out, op.Reshape(bias, ints(outputs, 1, 1)))


def _shares(
    moved: Value,
    side: int,
    step: tuple[int, int],
    source: tuple[int, int],
    out: tuple[int, int],
) -> Iterator[Value]:
    """The columns, then the rows that taps moved by [B, S, k * k, 2, H', W'] read, in GridSample's
    units: -1 is the outer edge of the first cell, 1 that of the last.
    """
    stride, padding = step
    taps = np.arange(side**2)
    for axis in (1, 0):
        cells = np.arange(out[axis]) * stride - padding
        cells = cells if axis else cells[:, None]
        tap = taps % side if axis else taps // side
        places = tap[:, None, None] + cells
        own = op.Squeeze(part(moved, 3, axis, axis + 1), ints(3))
        middle = constant((2 * places + 1) / source[axis] - 1)
        yield op.Add(op.Mul(own, constant(2 / source[axis])), middle)
