"""Operators of torch itself that its exporter does not translate: running maxima."""

from __future__ import annotations

import numpy as np
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.values import Value, constant, part, shape_of


def cummax(values: Value, dim: int) -> tuple[Value, Value]:
    """`aten::cummax`, by runs of doubling length: the largest value so far and its last place."""
    sides = shape_of(values)
    axis = dim % len(sides)
    length = sides[axis]
    largest = _running(values, axis, length)
    places = np.arange(length).reshape([-1 if n == axis else 1 for n in range(len(sides))])
    reached = op.Where(op.Equal(values, largest), constant(places, np.int64), constant(0, np.int64))
    return largest, _running(reached, axis, length)


def _running(values: Value, axis: int, length: int) -> Value:
    run = 1
    while run < length:
        longer = op.Max(part(values, axis, run, length), part(values, axis, 0, length - run))
        values = op.Concat(part(values, axis, 0, run), longer, axis=axis)
        run *= 2
    return values
