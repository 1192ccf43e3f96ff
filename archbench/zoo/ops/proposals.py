"""What a two-stage detector chooses between its stages: proposals from anchors, and the boxes that
get a mask.

Both are operators of fixed output shape, whatever their data: boxes without area fill up what is
missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archbench.zoo.ops.boxes import clip, decode
from archbench.zoo.ops.nms import READS_ITS_RESULTS, Selection, nms


@torch.library.custom_op("archbench::propose", mutates_args=(), tags=READS_ITS_RESULTS)
def propose(
    objectness: Tensor,
    offsets: Tensor,
    anchors: Tensor,
    levels: Sequence[int],
    variances: Sequence[float],
    size: Sequence[int],
    candidates: int,
    iou: float,
    count: int,
    clip_first: bool,
) -> Tensor:
    """Choose the best `count` boxes of each image: objectness [B, A, 1 or 2], offsets [B, A, 4],
    anchors [A, 4] to [B, count, 4].

    Of two objectness logits the first is the background's. `levels` holds how many of the anchors
    each map of a pyramid has: on each level the best `candidates` (0: all) are moved by their
    offsets and suppressed at `iou`. Boxes are cut at the border of the image of `size` (width,
    height) before that (`clip_first`) or after. Of all survivors with an area the best go on, best
    first. Everything is computed in fp32.
    """
    moved_boxes, best_scores, groups = [], [], []
    objectness = objectness.float()
    scores = (
        objectness[..., 1] - objectness[..., 0] if objectness.shape[-1] == 2 else objectness[..., 0]
    )
    images = torch.arange(len(scores), device=scores.device)[:, None]
    start = 0
    for level, length in enumerate(levels):
        best_here, index = scores[:, start : start + length].sort(
            dim=1, descending=True, stable=True
        )
        index = index[:, : candidates or length] + start
        moved = decode(offsets[images, index].float(), anchors[index], (variances[0], variances[1]))
        moved_boxes.append(clip(moved, (size[0], size[1])) if clip_first else moved)
        best_scores.append(best_here[:, : candidates or length])
        groups.append((images * len(levels) + level).expand(index.shape))
        start += length
    boxes, score = torch.cat(moved_boxes, dim=1), torch.cat(best_scores, dim=1)
    real = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    place = real.flatten().nonzero().squeeze(1)
    group = torch.cat(groups, dim=1).flatten()[place]
    survive = nms(boxes.flatten(0, 1)[place], score.flatten()[place], group, iou, count)
    kept = torch.zeros_like(real).flatten().scatter_(0, place, survive).view_as(real)
    if not clip_first:
        boxes = clip(boxes, (size[0], size[1]))
        kept &= (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    chosen = boxes.new_zeros(len(boxes), count, 4)
    ranked, index = score.masked_fill(~kept, -torch.inf).sort(dim=1, descending=True, stable=True)
    ranked, index = ranked[:, :count], index[:, :count]
    chosen[:, : ranked.shape[1]] = torch.where(
        (ranked > -torch.inf)[..., None], boxes[images, index], 0
    )
    return chosen


@propose.register_fake
def _(
    objectness: Tensor,
    offsets: Tensor,
    anchors: Tensor,
    levels: Sequence[int],
    variances: Sequence[float],
    size: Sequence[int],
    candidates: int,
    iou: float,
    count: int,
    clip_first: bool,
) -> Tensor:
    return anchors.new_empty(objectness.shape[0], count, 4)


def refine(proposals: Tensor, logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a second stage's predictions into boxes and foreground scores [B, P, C], in fp32.

    proposals [B, P, 4] in pixels, logits [B, P, 1 + C], offsets [B, P, G, 4] of classes with (G = 1
    + C) or without background (G = C), or of all at once (G = 1), to boxes [B, P, C, 4], or [B, P,
    4] where all classes share them. A proposal without area finds nothing: its scores are 0.
    """
    classes = logits.shape[-1] - 1
    offsets = offsets[:, :, 1:] if offsets.shape[2] == classes + 1 else offsets
    boxes = decode(offsets.float(), proposals.float()[:, :, None])
    real = (proposals[..., 2:] > proposals[..., :2]).all(dim=-1, keepdim=True)
    return boxes[:, :, 0] if boxes.shape[2] == 1 else boxes, logits.float().softmax(dim=-1)[
        ..., 1:
    ] * real


@torch.library.custom_op("archbench::detect", mutates_args=(), tags=READS_ITS_RESULTS)
def detect(
    proposals: Tensor,
    logits: Tensor,
    offsets: Tensor,
    size: Sequence[int],
    score: float,
    iou: float,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Select each image's best `count` detections: the arguments of `refine` to boxes, scores and
    labels, fp32.

    Boxes are cut at the image's border before the suppression. They are [B, count, 4], [B, count]
    and [B, count]; an image with fewer detections has boxes without area and scores of 0 in their
    place.
    """
    boxes, scores = refine(proposals, logits, offsets)
    detected = Selection(score=score, iou=iou, per_image=count, clip_first=True)(
        boxes, scores, (size[0], size[1])
    )
    chosen, best, labels = _empty(proposals, count)
    for image, detections in enumerate(detected):
        for whole, part in (
            (chosen, detections.boxes),
            (best, detections.scores),
            (labels, detections.labels),
        ):
            whole[image].zero_()
            whole[image, : len(part)] = part
    return chosen, best, labels


@detect.register_fake
def _(
    proposals: Tensor,
    logits: Tensor,
    offsets: Tensor,
    size: Sequence[int],
    score: float,
    iou: float,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty(proposals, count)


def _empty(proposals: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    rows = (proposals.shape[0], count)
    return (
        proposals.new_empty((*rows, 4), dtype=torch.float32),
        proposals.new_empty(rows, dtype=torch.float32),
        proposals.new_empty(rows, dtype=torch.long),
    )
