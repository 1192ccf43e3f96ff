"""Region pooling with all channels of a map (`archbench.zoo.ops.regions.crops`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log2

import numpy as np
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.bins import between, bin_edges, fractions_of, rounded
from archbench.engines.onnx.translations.values import (
    Value,
    constant,
    coordinates,
    ints,
    sample,
    shape_of,
)
from archbench.zoo.ops.regions.crops import CANONICAL_LEVEL, CANONICAL_SIDE


def crop_and_resize(features: Value, boxes: Value, size: Sequence[int], side: int) -> Value:
    """`archbench::crop_and_resize`: crops [B*P, C, side, side], of one reading for each image."""
    batch, channels, height, width = shape_of(features)
    places = shape_of(boxes)[1]
    left, top, right, bottom = coordinates(boxes)
    fractions = fractions_of(side)
    across = between(left, right, fractions, size[0], width)
    down = between(top, bottom, fractions, size[1], height)
    crops = sample(features, (width, height), grid_of(across, down, (batch, places, side, side)))
    crops = op.Reshape(crops, ints(batch, channels, places, side, side))
    crops = op.Transpose(crops, perm=[0, 2, 1, 3, 4])
    return op.Reshape(crops, ints(batch * places, channels, side, side))


def grid_of(across: Value, down: Value, shape: tuple[int, int, int, int]) -> tuple[Value, Value]:
    """Pair columns [B, P, s] with rows [B, P, r]: both [B, P * r, s], for a shape (B, P, r, s)."""
    batch, places, rows, columns = shape
    return tuple(
        op.Reshape(
            op.Expand(op.Unsqueeze(each, ints(axis)), ints(*shape)),
            ints(batch, places * rows, columns),
        )
        for each, axis in ((across, 2), (down, 3))
    )


def roi_align(
    maps: Sequence[Value], boxes: Value, strides: Sequence[int], side: int, samples: int
) -> Value:
    """`archbench::roi_align`: crops [B*P, C, side, side], read map by map and put in order."""
    batch, places, _ = shape_of(boxes)
    images = constant(np.repeat(np.arange(batch), places), np.int64)
    regions = op.Reshape(boxes, ints(batch * places, 4))

    def align(features: Value, stride: int, own: Value, image: Value) -> Value:
        return op.RoiAlign(
            features,
            own,
            image,
            coordinate_transformation_mode="output_half_pixel",
            mode="avg",
            output_height=side,
            output_width=side,
            sampling_ratio=samples,
            spatial_scale=1 / stride,
        )

    if len(maps) == 1:
        return align(maps[0], strides[0], regions, images)
    level = _level_of(regions, strides)
    crops, order = [], []
    for number, (features, stride) in enumerate(zip(maps, strides, strict=True)):
        own = op.Reshape(op.NonZero(op.Equal(level, constant(number))), ints(-1))
        crops.append(
            align(features, stride, op.Gather(regions, own, axis=0), op.Gather(images, own, axis=0))
        )
        order.append(own)
    rows = constant(np.arange(batch * places), np.int64)
    back = op.ScatterElements(rows, op.Concat(*order, axis=0), rows, axis=0)
    return op.Gather(op.Concat(*crops, axis=0), back, axis=0)


def _level_of(regions: Value, strides: Sequence[int]) -> Value:
    """The number of the map that each region [N, 4] reads, [N], as floats."""
    left, top, right, bottom = coordinates(regions)
    area = op.Mul(op.Relu(op.Sub(right, left)), op.Relu(op.Sub(bottom, top)))
    relative = op.Add(op.Div(op.Sqrt(area), constant(CANONICAL_SIDE)), constant(1e-6))
    level = op.Add(op.Div(op.Log(relative), constant(log(2))), constant(CANONICAL_LEVEL))
    number = op.Sub(op.Floor(level), constant(log2(strides[0])))
    number = op.Min(op.Max(number, constant(0)), constant(len(strides) - 1))
    return op.Reshape(number, ints(-1))


def roi_pool(features: Value, boxes: Value, stride: int, side: int) -> Value:
    """`archbench::roi_pool`: crops [B*P, C, side, side].

    MaxRoiPool cuts a region into bins in fp32, which moves some edges by a cell. Here each bin is a
    region of its own, of whole cells.
    """
    batch, channels, height, width = shape_of(features)
    places = shape_of(boxes)[1]
    corners = [rounded(op.Mul(each, constant(1 / stride))) for each in coordinates(boxes)]
    (left, right), (top, bottom) = (
        bin_edges(op.Mul(start, constant(side)), _length(start, end), side, side, cells)
        for start, end, cells in ((corners[0], corners[2], width), (corners[1], corners[3], height))
    )
    # Rows of bins down, columns across: [B, P, side, side, 1] each.
    shape = (batch, places, side, side, 1)
    images = np.arange(batch).reshape(-1, 1, 1, 1, 1)
    last = constant(1)
    bins = [
        op.Expand(op.Unsqueeze(edge, ints(axis, 4)), ints(*shape))
        for edge, axis in ((left, 2), (top, 3), (op.Sub(right, last), 2), (op.Sub(bottom, last), 3))
    ]
    regions = op.Concat(constant(np.broadcast_to(images, shape)), *bins, axis=-1)
    count = batch * places * side * side
    pooled = op.MaxRoiPool(
        features, op.Reshape(regions, ints(count, 5)), pooled_shape=[1, 1], spatial_scale=1.0
    )
    empty = op.Or(op.Greater(bins[0], bins[2]), op.Greater(bins[1], bins[3]))
    pooled = op.Reshape(pooled, ints(count, channels))
    pooled = op.Where(op.Reshape(empty, ints(count, 1)), constant(0), pooled)
    pooled = op.Reshape(pooled, ints(batch * places, side * side, channels))
    crops = op.Transpose(pooled, perm=[0, 2, 1])
    return op.Reshape(crops, ints(batch * places, channels, side, side))


def _length(start: Value, end: Value) -> Value:
    """Cells from `start` to `end`, both counted, at least one."""
    return op.Max(op.Add(op.Sub(end, start), constant(1)), constant(1))
