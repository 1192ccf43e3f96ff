"""Non-maximum suppression in plain torch, exact and on every device: greedy, without a loop over
boxes, and soft.

Boxes are taken best first; one is dropped where a kept one of its group overlaps it by more than a
threshold. Within a block of boxes that recurrence is solved by iterating "kept where nothing kept
suppresses it" from "all kept": after k rounds the first k boxes are right, so the fixed point is
the greedy answer, and real scenes reach it in a few rounds.

Soft suppression lowers scores instead of dropping boxes, which changes the order in which they are
taken: it takes one box of every group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import clip, iou

BLOCK = 128
"""Boxes of a group whose overlaps are solved together."""
PAIRS = 1 << 24
"""Overlaps held at a time, which bounds the memory."""


@torch.library.custom_op("archbench::nms", mutates_args=())
def nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int = 0) -> Tensor:
    """Say which boxes survive: boxes [N, 4], scores [N], groups [N] of integers to a mask [N].

    Boxes suppress others of their own group only, at an intersection over union above `threshold`;
    with a `limit` a group's best so many survive, and the rest is not looked at. Equal scores are
    taken in the order of the input. Boxes without area suppress nothing.
    """
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    if not len(boxes):
        return kept
    order = by_group_then_score(scores, groups)
    _, counts = torch.unique_consecutive(groups[order], return_counts=True)
    starts = counts.cumsum(0) - counts
    # Largest groups first, so that groups padded to one length have nearly that length.
    counts, by_size = counts.sort(descending=True)
    starts = starts[by_size]
    lengths = counts.tolist()
    first = 0
    while first < len(lengths):
        longest = lengths[first]
        rows = max(1, PAIRS // (longest * min(BLOCK, longest)))
        chunk = slice(first, first + rows)
        place = torch.arange(longest, device=boxes.device)
        real = place < counts[chunk, None]
        index = order[(starts[chunk, None] + place).clamp(max=len(order) - 1)]
        survives = _suppress(boxes[index], real, threshold, limit or longest)
        kept[index[survives]] = True
        first += rows
    return kept


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int = 0) -> Tensor:
    return boxes.new_empty(boxes.shape[0], dtype=torch.bool)


def by_group_then_score(scores: Tensor, groups: Tensor) -> Tensor:
    """Order elements by group and, within one, best first; equal ones keep their order."""
    by_score = scores.argsort(descending=True, stable=True)
    return by_score[groups[by_score].argsort(stable=True)]


def _suppress(boxes: Tensor, alive: Tensor, threshold: float, limit: int) -> Tensor:
    """Greedy suppression in each row of boxes [G, K, 4], best first; `alive` [G, K] marks those
    that are not padding.
    """
    kept = torch.zeros_like(alive)
    winners = boxes[:, :0]
    for start in range(0, boxes.shape[1], BLOCK):
        current, candidates = boxes[:, start : start + BLOCK], alive[:, start : start + BLOCK]
        candidates = candidates & ~(iou(winners, current) > threshold).any(dim=1)
        overlaps = (iou(current, current) > threshold).triu_(diagonal=1)
        survivors = candidates
        while True:
            following = candidates & ~(overlaps & survivors[:, :, None]).any(dim=1)
            if torch.equal(following, survivors):
                break
            survivors = following
        kept[:, start : start + BLOCK] = survivors
        winners = torch.cat([winners, _compact(current, survivors)], dim=1)
        if limit < boxes.shape[1] and bool((kept.sum(dim=1) >= limit).all()):
            break
    return kept & (kept.cumsum(dim=1) <= limit)


def _compact(boxes: Tensor, chosen: Tensor) -> Tensor:
    """The chosen boxes of each row [G, K, 4] to the front, rows filled up to one length with boxes
    without area.
    """
    chosen, order = chosen.sort(dim=1, descending=True, stable=True)
    longest = int(chosen.sum(dim=1).max())
    front = boxes.gather(1, order[:, :longest, None].expand(-1, -1, 4))
    return front * chosen[:, :longest, None]


@torch.library.custom_op("archbench::soft_nms", mutates_args=())
def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    threshold: float,
    sigma: float,
    floor: float,
    limit: int = 0,
) -> Tensor:
    """Lower the scores of boxes that overlap better ones (Bodla et al., Soft-NMS): [N, 4], [N] and
    groups [N] to scores [N].

    Time and again the best box of each group is taken, and an overlap o with it multiplies the
    others' scores by exp(-o * o / sigma) or, where sigma is 0, by 1 - o if o is above `threshold`.
    What thereby falls below `floor` has a score of 0; so have, with a `limit`, all but a group's
    best so many.
    """
    out = torch.zeros_like(scores)
    if not len(boxes):
        return out
    order = by_group_then_score(scores, groups)
    rank = rank_in_group(groups[order])
    _, row = torch.unique_consecutive(groups[order], return_inverse=True)
    shape = int(row[-1]) + 1, int(rank.max()) + 1
    box, left, index = boxes.new_zeros(*shape, 4), scores.new_zeros(shape), order.new_zeros(shape)
    box[row, rank], left[row, rank], index[row, rank] = boxes[order], scores[order], order
    for _ in range(limit or shape[1]):
        best, place = left.max(dim=1, keepdim=True)
        alive = best[:, 0] > 0
        if not bool(alive.all()):
            best, place, left, box, index = (
                values[alive] for values in (best, place, left, box, index)
            )
        if not len(left):
            break
        out[index.gather(1, place)] = best
        overlap = iou(box.gather(1, place[..., None].expand(-1, -1, 4)), box)[:, 0].nan_to_num()
        decay = (
            torch.exp(-overlap.square() / sigma)
            if sigma
            else torch.where(overlap > threshold, 1 - overlap, 1)
        )
        left = left * decay
        left = left.masked_fill((decay < 1) & (left < floor), 0).scatter(1, place, 0)
    return out


@soft_nms.register_fake
def _(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    threshold: float,
    sigma: float,
    floor: float,
    limit: int = 0,
) -> Tensor:
    return torch.empty_like(scores)


@dataclass(frozen=True)
class Soft:
    """Soft suppression: linear, or with a `sigma` Gaussian; boxes whose score falls below `floor`
    are dropped.
    """

    sigma: float = 0.0
    floor: float = 0.001


@dataclass(frozen=True)
class Selection:
    """How a paper selects detections: class scores above `score`, NMS at `iou` in each class, the
    best `per_image`.

    Where given, only the best `candidates` of a class come to the suppression, which may be `soft`,
    and the best `per_class` survive it. Boxes are cut at the image's border before the suppression
    (`clip_first`) or after it; what then has no area is left out.
    """

    score: float
    iou: float
    per_image: int
    candidates: int | None = None
    per_class: int | None = None
    clip_first: bool = False
    soft: Soft | None = None

    def __call__(self, boxes: Tensor, scores: Tensor, size: tuple[int, int]) -> list[Detections]:
        """Select from boxes [B, N, 4], or [B, N, C, 4] with a box a class, and foreground scores
        [B, N, C].

        Boxes given are inside an image of `size` (width, height).
        """
        image, box, label = (scores > self.score).nonzero(as_tuple=True)
        score = scores[image, box, label]
        groups = image * scores.shape[-1] + label
        order = by_group_then_score(score, groups)
        if self.candidates is not None:
            order = order[rank_in_group(groups[order]) < self.candidates]
        image, box, label, score, groups = (
            values[order] for values in (image, box, label, score, groups)
        )
        found = boxes[image, box] if boxes.ndim == 3 else boxes[image, box, label]
        found = clip(found, size) if self.clip_first else found
        if self.soft:
            score = soft_nms(
                found,
                score,
                groups,
                self.iou,
                self.soft.sigma,
                self.soft.floor,
                self.per_class or self.per_image,
            )
        kept = score > 0 if self.soft else nms(found, score, groups, self.iou, self.per_class or 0)
        found = found if self.clip_first else clip(found, size)
        order = (kept & (found[:, 2:] > found[:, :2]).all(dim=1)).nonzero().squeeze(1)
        order = order[by_group_then_score(score[order], image[order])]
        order = order[rank_in_group(image[order]) < self.per_image]
        ends = torch.bincount(image[order], minlength=len(boxes)).cumsum(0).tolist()
        rows = [order[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return [Detections(found[row], score[row], label[row]) for row in rows]


def rank_in_group(groups: Tensor) -> Tensor:
    """The place of each element among those of its group, from 0, for groups in ascending runs."""
    _, counts = torch.unique_consecutive(groups, return_counts=True)
    starts = counts.cumsum(0) - counts
    return torch.arange(len(groups), device=groups.device) - starts.repeat_interleave(counts)
