"""Where the bins of a region lie on a map, axis by axis (`archbench.zoo.ops.regions.taps`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.values import Value, constant

Fractions = NDArray[np.float32]


def fractions_of(samples: int) -> Fractions:
    """Place samples between the ends of a box, 0 to 1; a lone one in the middle."""
    if samples == 1:
        return np.full(1, 0.5, np.float32)
    return np.linspace(0, 1, samples, dtype=np.float32)


def between(start: Value, end: Value, fractions: Fractions, pixels: int, cells: int) -> Value:
    """Give places in cells of an axis [B, P, n] for fractions [n] of the way between ends [B, P, 1]
    in pixels, of which there are so many.
    """
    first, last = (op.Div(each, constant(pixels)) for each in (start, end))
    # Either end is met exactly, so that a box that ends with the image ends with its last cell.
    share = op.Add(op.Mul(first, constant(1 - fractions)), op.Mul(last, constant(fractions)))
    return op.Mul(share, constant(cells - 1))


def steps_of(bins: int, samples: int) -> Fractions:
    """Place points evenly in bins of a box from 0 to 1: [bins, samples]."""
    points = np.arange(bins)[:, None] + (np.arange(samples) + 0.5) / samples
    return (points / bins).astype(np.float32)


def rounded(corner: Value) -> Value:
    """Give the nearest whole numbers, halves away from 0, as C rounds."""
    whole = _truncated(corner)
    return op.Add(whole, _truncated(op.Mul(op.Sub(corner, whole), constant(2))))


def bin_edges(start: Value, width: Value, bins: int, unit: int, cells: int) -> tuple[Value, Value]:
    """Give the first cells and the ends, both [..., bins], of bins from (start + j * width) to
    (start + (j + 1) * width) units of a cell, all whole numbers, on an axis of so many cells.
    """
    # Half a unit off every whole number: an engine may multiply by the inverse where it is to
    # divide, and land on the wrong side of a cell's edge.
    first = op.Add(op.Add(start, op.Mul(constant(np.arange(bins)), width)), constant(0.5))
    low = op.Floor(op.Div(first, constant(unit)))
    high = op.Floor(op.Div(op.Add(op.Add(first, width), constant(unit - 1)), constant(unit)))
    return _cut(low, cells), _cut(high, cells)


def _cut(places: Value, cells: int) -> Value:
    return op.Min(op.Max(places, constant(0)), constant(cells))


def _truncated(values: Value) -> Value:
    return op.Mul(op.Sign(values), op.Floor(op.Abs(values)))
