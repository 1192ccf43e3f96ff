"""Region pooling in which each bin reads channels of its own
(`archbench.zoo.ops.regions.position_sensitive`): bins are taken for images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.bins import (
    Fractions,
    between,
    bin_edges,
    fractions_of,
    rounded,
    steps_of,
)
from archbench.engines.onnx.translations.values import (
    Value,
    constant,
    coordinates,
    ints,
    sample,
    shape_of,
)


def position_sensitive_crop(
    features: Value, boxes: Value, size: Sequence[int], bins: int, samples: int
) -> Value:
    """`archbench::position_sensitive_crop`: scores [B, P, C]."""
    batch, channels, height, width = shape_of(features)
    places, channels = shape_of(boxes)[1], channels // bins**2
    edges = np.linspace(0, 1, bins + 1, dtype=np.float32)[:, None]
    inside = fractions_of(samples)
    fractions = (edges[:-1] * (1 - inside) + edges[1:] * inside).astype(np.float32)
    left, top, right, bottom = coordinates(boxes)
    across = between(left, right, fractions.reshape(-1), size[0], width)
    down = between(top, bottom, fractions.reshape(-1), size[1], height)
    maps = op.Reshape(features, ints(batch * bins**2, channels, height, width))
    shape = (batch, places, bins, samples)
    read = sample(maps, (width, height), _grids(across, down, shape))
    read = op.Reshape(read, ints(batch, bins**2, channels, places, samples**2))
    return op.Transpose(op.ReduceMean(read, ints(1, 4), keepdims=0), perm=[0, 2, 1])


def position_sensitive_align(
    features: Value, boxes: Value, stride: int, bins: int, samples: int
) -> Value:
    """`archbench::position_sensitive_align`: crops [B*P, C, bins, bins]."""
    batch, channels, height, width = shape_of(features)
    places, channels = shape_of(boxes)[1], channels // bins**2
    corners = [
        op.Sub(op.Mul(each, constant(1 / stride)), constant(0.5)) for each in coordinates(boxes)
    ]
    steps = steps_of(bins, samples).reshape(-1)
    across = _at_border(corners[0], corners[2], steps, width)
    down = _at_border(corners[1], corners[3], steps, height)
    shape = (batch, places, bins, samples)
    maps = _by_bin(features, (batch, channels, bins, height, width))
    maps = op.Reshape(maps, ints(batch * bins**2, channels, height, width))
    read = sample(maps, (width, height), _grids(across, down, shape))
    read = op.Reshape(read, ints(batch, bins**2, channels, places, samples**2))
    crops = op.Transpose(op.ReduceMean(read, ints(4), keepdims=0), perm=[0, 3, 2, 1])
    return op.Reshape(crops, ints(batch * places, channels, bins, bins))


def position_sensitive_pool(features: Value, boxes: Value, stride: int, bins: int) -> Value:
    """`archbench::position_sensitive_pool`: scores [B, P, C].

    A bin's mean is two products with the cells that it covers, along rows and columns.
    """
    batch, channels, height, width = shape_of(features)
    places, channels = shape_of(boxes)[1], channels // bins**2
    corners = [rounded(each) for each in coordinates(boxes)]
    across = _covered(corners[0], corners[2], stride, bins, width)
    down = _covered(corners[1], corners[3], stride, bins, height)
    # Columns of bin j and rows of bin i for bins (i, j): [B, bins, bins, W, P], [.., 1, H, P].
    wide = op.Unsqueeze(op.Transpose(across, perm=[0, 2, 3, 1]), ints(1))
    wide = op.Expand(wide, ints(batch, bins, bins, width, places))
    tall = op.Unsqueeze(op.Transpose(down, perm=[0, 2, 3, 1]), ints(2, 3))
    maps = _by_bin(features, (batch, channels, bins, height, width))
    maps = op.Reshape(maps, ints(batch, bins, bins, channels * height, width))
    sums = op.Reshape(op.MatMul(maps, wide), ints(batch, bins, bins, channels, height, places))
    means = op.ReduceSum(op.Mul(sums, tall), ints(1, 2, 4), keepdims=0)
    scores = op.Div(means, constant(bins**2))
    return op.Transpose(scores, perm=[0, 2, 1])


def _by_bin(features: Value, shape: tuple[int, int, int, int, int]) -> Value:
    """Bring channels (c * bins + i) * bins + j of a map to [B, bins * bins, C, H, W]."""
    batch, channels, bins, height, width = shape
    maps = op.Reshape(features, ints(batch, channels, bins**2, height, width))
    return op.Transpose(maps, perm=[0, 2, 1, 3, 4])


def _grids(across: Value, down: Value, shape: tuple[int, int, int, int]) -> tuple[Value, Value]:
    """The columns and rows that each bin reads, of those of its column and row of bins.

    [B, P, bins * s] each, for a shape (B, P, bins, s), to [B * bins * bins, P * s, s] both.
    """
    batch, places, bins, samples = shape
    # [B, row of bins, column of bins, P, sample down, sample across].
    whole = ints(batch, bins, bins, places, samples, samples)
    parts = []
    for each, unsqueezed in ((across, (1, 4)), (down, (2, 5))):
        own = op.Reshape(each, ints(batch, places, bins, samples))
        own = op.Unsqueeze(op.Transpose(own, perm=[0, 2, 1, 3]), ints(*unsqueezed))
        flat = ints(batch * bins**2, places * samples, samples)
        parts.append(op.Reshape(op.Expand(own, whole), flat))
    return parts[0], parts[1]


def _at_border(start: Value, end: Value, steps: Fractions, cells: int) -> Value:
    """Places in cells of points at `steps` of the way, by RoIAlign's rules: those less than a cell
    outside the map move to its border, and those further off are left there.
    """
    places = op.Add(start, op.Mul(constant(steps), op.Sub(end, start)))
    near = op.And(op.GreaterOrEqual(places, constant(-1)), op.LessOrEqual(places, constant(cells)))
    return op.Where(near, op.Min(op.Max(places, constant(0)), constant(cells - 1)), constant(-2))


def _covered(start: Value, end: Value, stride: int, bins: int, cells: int) -> Value:
    """The share of each cell in the mean of a bin along an axis: [B, P, bins, cells]; an empty bin
    has none.
    """
    # In tenths of a pixel, in which the least width is a whole number.
    tenths = op.Mul(op.Sub(op.Add(end, constant(1)), start), constant(10))
    width = op.Max(tenths, constant(stride))
    low, high = bin_edges(
        op.Mul(start, constant(10 * bins)), width, bins, 10 * stride * bins, cells
    )
    cell = constant(np.arange(cells))
    low, high = op.Unsqueeze(low, ints(-1)), op.Unsqueeze(high, ints(-1))
    inside = op.And(op.GreaterOrEqual(cell, low), op.Less(cell, high))
    length = op.Max(op.Sub(high, low), constant(1))
    return op.Div(op.Cast(inside, to=1), length)
