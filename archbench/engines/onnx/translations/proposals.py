"""The choice of boxes between the stages of a two-stage detector (`archbench.zoo.ops.proposals`).

NonMaxSuppression gives a list of unknown length. It is scattered into a mask over all boxes, so
that whatever follows has a fixed shape and holds any number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from onnxscript import opset20 as op

from archbench.engines.onnx.translations.values import (
    LOWEST,
    Value,
    constant,
    gather_rows,
    ints,
    lowered,
    part,
    shape_of,
    with_area,
)
from archbench.zoo.ops.boxes import LARGEST_STRETCH, SSD_VARIANCES


def propose(
    objectness: Value,
    offsets: Value,
    anchors: Value,
    levels: Sequence[int],
    variances: Sequence[float],
    size: Sequence[int],
    candidates: int,
    iou: float,
    count: int,
    clip_first: bool,
) -> Value:
    """`archbench::propose`: boxes [B, count, 4]."""
    scores = _objectness_of(objectness)
    boxes = decode(offsets, op.Unsqueeze(anchors, ints(0)), variances)
    boxes = clip(boxes, size) if clip_first else boxes
    batch, starts = shape_of(objectness)[0], [0, *accumulate(levels)]
    every, best, places = [], [], 0
    for start, end in pairwise(starts):
        own, own_scores = part(boxes, 1, start, end), part(scores, 1, start, end)
        if 0 < candidates < end - start:
            own_scores, index = op.TopK(own_scores, ints(candidates), axis=1)
            own = gather_rows(own, index)
        own_places = min(candidates or end, end - start)
        own_scores = lowered(own_scores, _real(own))
        best.append(suppress(own, own_scores, (batch, own_places), iou, count))
        every.append(own)
        places += own_places
    chosen = op.Concat(*every, axis=1)
    ranked = op.Concat(*best, axis=1)
    if not clip_first:
        chosen = clip(chosen, size)
        ranked = lowered(ranked, _real(chosen))
    chosen, ranked, _ = _best(chosen, ranked, (batch, places), count)
    return chosen


def detect(
    proposals: Value,
    logits: Value,
    offsets: Value,
    size: Sequence[int],
    score: float,
    iou: float,
    count: int,
) -> tuple[Value, Value, Value]:
    """`archbench::detect`: boxes [B, count, 4], scores and labels [B, count]."""
    batch, places, groups, _ = shape_of(offsets)
    classes = shape_of(logits)[-1] - 1
    if groups == classes + 1:
        offsets = part(offsets, 2, 1, groups)
    boxes = clip(decode(offsets, op.Unsqueeze(proposals, ints(2)), SSD_VARIANCES), size)
    # A group of boxes for each image and class, [B * C, P, 4], whether classes share them or not.
    boxes = op.Expand(op.Transpose(boxes, perm=[0, 2, 1, 3]), ints(batch, classes, places, 4))
    boxes = op.Reshape(boxes, ints(batch * classes, places, 4))
    scores = part(op.Softmax(logits, axis=-1), 2, 1, classes + 1)
    scores = lowered(scores, op.And(with_area(proposals), op.Greater(scores, constant(score))))
    scores = op.Reshape(op.Transpose(scores, perm=[0, 2, 1]), ints(batch * classes, places))
    scores = lowered(scores, _real(boxes))
    scores = suppress(boxes, scores, (batch * classes, places), iou, places)
    boxes = op.Reshape(boxes, ints(batch, classes * places, 4))
    scores = op.Reshape(scores, ints(batch, classes * places))
    boxes, ranked, index = _best(boxes, scores, (batch, classes * places), count)
    found = op.Greater(ranked, constant(LOWEST / 2))
    labels = op.Where(found, op.Div(index, ints(places)), ints(0))
    return boxes, op.Where(found, ranked, constant(0)), labels


def suppress(boxes: Value, scores: Value, shape: tuple[int, int], iou: float, limit: int) -> Value:
    """Lower the scores [G, N] of those boxes [G, N, 4] of each group that are suppressed at `iou`
    or are not among its best `limit`; boxes of lowered scores suppress nothing.
    """
    selected = op.NonMaxSuppression(
        boxes,
        op.Unsqueeze(scores, ints(1)),
        ints(min(limit, shape[1])),
        constant([iou]),
        constant([LOWEST / 2]),
    )
    where = op.Concat(part(selected, 1, 0, 1), part(selected, 1, 2, 3), axis=1)
    marks = op.Expand(constant([1]), op.Slice(op.Shape(where), ints(0), ints(1)))
    kept = op.ScatterND(constant(np.zeros(shape)), where, marks)
    return lowered(scores, op.Greater(kept, constant(0)))


def decode(offsets: Value, anchors: Value, variances: Sequence[float]) -> Value:
    """Move anchors [..., 4] by offsets, as `archbench.zoo.ops.boxes.decode` does."""
    shift, stretch = op.Split(offsets, axis=-1, num_outputs=2)
    start, end = op.Split(anchors, axis=-1, num_outputs=2)
    size = op.Sub(end, start)
    centre = op.Add(
        op.Div(op.Add(start, end), constant(2)),
        op.Mul(op.Mul(shift, constant(variances[0])), size),
    )
    factor = op.Exp(op.Min(op.Mul(stretch, constant(variances[1])), constant(LARGEST_STRETCH)))
    half = op.Div(op.Mul(size, factor), constant(2))
    return op.Concat(op.Sub(centre, half), op.Add(centre, half), axis=-1)


def clip(boxes: Value, size: Sequence[int]) -> Value:
    """Cut boxes [..., 4] at the borders of an image of `size` (width, height)."""
    sides = constant([*size, *size])
    return op.Min(op.Max(boxes, constant(0)), sides)


def _objectness_of(logits: Value) -> Value:
    """The objectness [B, A] of logits [B, A, 1 or 2], of which the first of two is no object."""
    if shape_of(logits)[-1] == 1:
        return op.Squeeze(logits, ints(-1))
    background, foreground = op.Split(logits, axis=-1, num_outputs=2)
    return op.Squeeze(op.Sub(foreground, background), ints(-1))


def _real(boxes: Value) -> Value:
    """Which of boxes [..., 4] have an area, [...]."""
    return op.Squeeze(with_area(boxes), ints(-1))


def _best(
    boxes: Value, scores: Value, shape: tuple[int, int], count: int
) -> tuple[Value, Value, Value]:
    """The best `count` of boxes [B, N, 4] with scores [B, N], best first, their scores and places.

    Boxes of lowered scores, and those that are missing, are zeros.
    """
    batch, places = shape
    if places < count:
        missing = (batch, count - places)
        scores = op.Concat(scores, constant(np.full(missing, LOWEST)), axis=1)
        boxes = op.Concat(boxes, constant(np.zeros((*missing, 4))), axis=1)
    ranked, index = op.TopK(scores, ints(count), axis=1)
    found = op.Greater(op.Unsqueeze(ranked, ints(-1)), constant(LOWEST / 2))
    return op.Where(found, gather_rows(boxes, index), constant(0)), ranked, index
