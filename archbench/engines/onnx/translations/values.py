"""What the translations share: constants, parts of boxes, and points read out of maps.

Translations are functions that torch's exporter calls with the values of a graph; each operator of
`op` adds a node and gives its outputs. A network is exported for one input, so that the shapes of
an operator's inputs are known numbers; those of what a translation makes of them are not kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper
from onnxscript import opset20 as op

Value = Any
"""A value of the graph: onnx_ir.Value."""
LOWEST = -1e30
"""What stands for a score below all others: minus infinity would not survive every engine."""


def constant(values: Any, dtype: type[np.generic] = np.float32) -> Value:
    """Make a constant tensor."""
    return op.Constant(value=numpy_helper.from_array(np.asarray(values, dtype)))


def ints(*values: int) -> Value:
    """Make a constant list of integers, such as axes, a shape or bounds."""
    return constant(values, np.int64)


def shape_of(value: Value) -> tuple[int, ...]:
    """Give the sides of an input of the operator that is translated."""
    return tuple(int(side) for side in value.shape)


def part(value: Value, axis: int, start: int, end: int) -> Value:
    """Cut the places from `start` to before `end` out of an axis."""
    return op.Slice(value, ints(start), ints(end), ints(axis))


def coordinates(boxes: Value) -> list[Value]:
    """Give x1, y1, x2, y2 of boxes [..., 4], each [..., 1]."""
    return list(op.Split(boxes, axis=-1, num_outputs=4))


def with_area(boxes: Value) -> Value:
    """Say which of boxes [..., 4] have an area: booleans [..., 1]."""
    left, top, right, bottom = coordinates(boxes)
    return op.And(op.Greater(right, left), op.Greater(bottom, top))


def gather_rows(rows: Value, index: Value) -> Value:
    """Take rows of [B, N, ...] by their numbers [B, K]: [B, K, ...]."""
    return op.GatherND(rows, op.Unsqueeze(index, ints(-1)), batch_dims=1)


def lowered(scores: Value, kept: Value) -> Value:
    """Put `LOWEST` in the place of scores that are not kept."""
    return op.Where(kept, scores, constant(LOWEST))


def sample(maps: Value, size: tuple[int, int], places: tuple[Value, Value]) -> Value:
    """Read maps [N, C, H, W] of `size` (W, H) bilinearly at columns and rows [N, R, S]: [N, C, R,
    S].

    Places are in cells from the centre of the first; beyond the centres of the outer cells, and
    where a place is no number, is 0.
    """
    inside = op.And(*(_within(place, side) for place, side in zip(places, size, strict=True)))
    grid = op.Concat(
        *(
            op.Unsqueeze(op.Where(inside, _as_share(place, side), constant(OUTSIDE)), ints(-1))
            for place, side in zip(places, size, strict=True)
        ),
        axis=-1,
    )
    return op.GridSample(maps, grid, mode="linear", padding_mode="zeros", align_corners=1)


OUTSIDE = -4.0
"""A place in GridSample's units, -1 to 1, that is outside any map by more than a cell."""


def _within(places: Value, side: int) -> Value:
    return op.And(
        op.GreaterOrEqual(places, constant(0)), op.LessOrEqual(places, constant(side - 1))
    )


def _as_share(places: Value, side: int) -> Value:
    """Bring the centres of the outer cells to -1 and 1, as GridSample has them."""
    return op.Sub(op.Mul(places, constant(2 / max(1, side - 1))), constant(1))
