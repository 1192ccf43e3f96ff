"""Non-maximum suppression in plain torch, exact and on every device: greedy, without a loop over
boxes, and soft.

Boxes are taken best first; one is dropped where a kept one of its group overlaps it by more than a
threshold. Within a block of boxes that recurrence is solved by iterating "kept where nothing kept
suppresses it" from "all kept": after k rounds the first k boxes are right, so the fixed point is
the greedy answer, and real scenes reach it in a few rounds.

Soft suppression lowers scores instead of dropping boxes, which changes the order in which they are
taken: it takes one box of every group at a time.

On a card a look at a result has the host wait for it, and every operator is a launch: there, more
is done between two looks, and more boxes are solved together.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import area, clip, iou

PAIRS = 1 << 24
"""Overlaps held at a time, which bounds the memory."""
READS_ITS_RESULTS = (torch.Tag.cudagraph_unsafe,)
"""The tag of operators whose host part reads what the card has computed: a CUDA graph cannot hold
them, and a compiler that captures graphs leaves them between two (pytorch/pytorch,
aten/src/ATen/native/tags.yaml).
"""


@dataclass(frozen=True)
class Pace:
    """How a kind of device goes through suppression."""

    block: int
    """Boxes of a group whose overlaps are solved together."""
    rounds: int
    """Rounds of a solution between two looks whether it is reached."""
    taken: int
    """Boxes that soft suppression takes of a group between two looks whether any are left."""
    counts: bool
    """Whether the most that a group has kept is asked for, so that no more is compared with."""


PACES = {"cpu": Pace(block=128, rounds=1, taken=1, counts=True)}
ELSEWHERE = Pace(block=512, rounds=4, taken=4, counts=False)


def pace_of(boxes: Tensor) -> Pace:
    """The pace of the device that boxes lie on."""
    return PACES.get(boxes.device.type, ELSEWHERE)


@torch.library.custom_op("archbench::nms", mutates_args=(), tags=READS_ITS_RESULTS)
def nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    threshold: float,
    limit: int = 0,
    candidates: int = 0,
    ordered: bool = False,
) -> Tensor:
    """Say which boxes survive: boxes [N, 4], scores [N], groups [N] of integers to a mask [N].

    Boxes suppress others of their own group only, at an intersection over union above `threshold`;
    with a `limit` a group's best so many survive, and the rest is not looked at; with `candidates`
    only a group's best so many are looked at at all. Equal scores are taken in the order of the
    input. Boxes without area suppress nothing. `ordered` boxes come group by group, best first.
    """
    count = len(boxes)
    # The last place takes what padding writes.
    kept = torch.zeros(count + 1, dtype=torch.bool, device=boxes.device)
    if not count:
        return kept[:0]
    order = None if ordered else by_group_then_score(scores, groups)
    _, counts = torch.unique_consecutive(
        groups if order is None else groups[order], return_counts=True
    )
    starts = counts.cumsum(0) - counts
    # Largest groups first, so that groups padded to one length have nearly that length.
    counts, by_size = counts.clamp(max=candidates or count).sort(descending=True)
    starts = starts[by_size]
    lengths = counts.tolist()
    block, first = pace_of(boxes).block, 0
    while first < len(lengths):
        longest = lengths[first]
        chunk = slice(first, first + max(1, PAIRS // (longest * min(block, longest))))
        place = torch.arange(longest, device=boxes.device)
        real = place < counts[chunk, None]
        index = (starts[chunk, None] + place).clamp(max=count - 1)
        index = index if order is None else order[index]
        survives = _suppress(boxes[index], real, threshold, limit or longest)
        kept.scatter_(0, index.where(real, count).flatten(), survives.flatten())
        first = chunk.stop
    return kept[:count]


@nms.register_fake
def _(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    threshold: float,
    limit: int = 0,
    candidates: int = 0,
    ordered: bool = False,
) -> Tensor:
    return boxes.new_empty(boxes.shape[0], dtype=torch.bool)


def by_group_then_score(scores: Tensor, groups: Tensor) -> Tensor:
    """Order elements by group and, within one, best first; equal ones keep their order."""
    by_score = scores.argsort(descending=True, stable=True)
    return by_score[groups[by_score].argsort(stable=True)]


def rank_in_group(groups: Tensor) -> Tensor:
    """The place of each element among those of its group, from 0, for groups in ascending runs."""
    return torch.arange(len(groups), device=groups.device) - torch.searchsorted(groups, groups)


def _suppress(boxes: Tensor, alive: Tensor, threshold: float, limit: int) -> Tensor:
    """Greedy suppression in each row of boxes [G, K, 4], best first; `alive` [G, K] marks those
    that are not padding.
    """
    pace, count = pace_of(boxes), boxes.shape[1]
    kept = torch.zeros_like(alive)
    winners = boxes[:, :0]
    for start in range(0, count, pace.block):
        here = slice(start, start + pace.block)
        current, candidates = boxes[:, here], alive[:, here]
        if start:
            candidates = candidates > (iou(winners, current) > threshold).any(dim=1)
        overlaps = (iou(current, current) > threshold).triu_(diagonal=1)
        survivors = _solve(overlaps, candidates, pace.rounds)
        kept[:, here] = survivors
        if here.stop >= count or (limit < count and bool((kept.sum(dim=1) >= limit).all())):
            break
        winners = torch.cat([winners, _winners(current, survivors)], dim=1)
    return kept & (kept.cumsum(dim=1) <= limit) if limit < count else kept


def _solve(overlaps: Tensor, candidates: Tensor, rounds: int) -> Tensor:
    """Those of the candidates [G, K] that nothing kept suppresses: `overlaps` [G, K, K] says which
    box would suppress which later one.
    """
    survivors = candidates
    while True:
        for _ in range(rounds):
            before = survivors
            # On booleans ">" is "and not", in one operator.
            survivors = candidates > (overlaps & before[:, :, None]).any(dim=1)
        if torch.equal(before, survivors):
            return survivors


def _winners(boxes: Tensor, chosen: Tensor) -> Tensor:
    """The chosen boxes of each row [G, K, 4], the others without area; to the front and cut where
    the device counts.
    """
    if not pace_of(boxes).counts:
        return boxes * chosen[:, :, None]
    chosen, order = chosen.sort(dim=1, descending=True, stable=True)
    longest = int(chosen.sum(dim=1).max())
    front = boxes.gather(1, order[:, :longest, None].expand(-1, -1, 4))
    return front * chosen[:, :longest, None]


@torch.library.custom_op("archbench::soft_nms", mutates_args=(), tags=READS_ITS_RESULTS)
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
    # The last place takes what padding writes.
    out = scores.new_zeros(len(scores) + 1)
    if not len(boxes):
        return out[:0]
    order = by_group_then_score(scores, groups)
    rank = rank_in_group(groups[order])
    row = (rank == 0).cumsum(0) - 1
    rows, columns = torch.stack([row[-1], rank.max()]).add(1).tolist()
    shape = (rows, columns)
    box, left = boxes.new_zeros(*shape, 4), scores.new_zeros(shape)
    index = order.new_full(shape, len(scores))
    box[row, rank], left[row, rank], index[row, rank] = boxes[order], scores[order], order
    # What was below the floor from the first falls with whatever lowers it.
    least = left.clamp(max=floor)
    box = torch.cat([box, area(box)[..., None]], dim=-1)
    taken, found = pace_of(boxes).taken, _Taken(out)
    for number in range(limit or columns):
        best, place = left.max(dim=1, keepdim=True)
        if number % taken == 0:
            found.write(index)
            some = best[:, 0] > 0
            if not bool(some.all()):
                best, place, left, least, box, index = (
                    values[some] for values in (best, place, left, least, box, index)
                )
            if not len(left):
                break
        found.note(best, place)
        decay = _decay(box.gather(1, place[..., None].expand(-1, -1, 5)), box, threshold, sigma)
        left.scatter_(1, place, 0).mul_(decay)
        left.masked_fill_(left < least, 0)
    found.write(index)
    return out[:-1]


class _Taken:
    """What soft suppression has taken of each row since it was last written to `out`, whose last
    place is for what is no box.
    """

    def __init__(self, out: Tensor) -> None:
        self._out = out
        self._best: list[Tensor] = []
        self._place: list[Tensor] = []

    def note(self, best: Tensor, place: Tensor) -> None:
        """Take one of each row: scores and places [R, 1]; a score of 0 is none."""
        self._best.append(best)
        self._place.append(place)

    def write(self, index: Tensor) -> None:
        """Give the scores to the boxes at the rows' places, which have numbers `index` [R, K]."""
        if not self._best:
            return
        best, place = torch.cat(self._best, dim=1), torch.cat(self._place, dim=1)
        boxes = index.gather(1, place).where(best > 0, len(self._out) - 1)
        self._out.scatter_(0, boxes.flatten(), best.flatten())
        self._best, self._place = [], []


def _decay(best: Tensor, others: Tensor, threshold: float, sigma: float) -> Tensor:
    """What the best box of each row [R, 1, 5] leaves of the scores of the others [R, K, 5], as
    `soft_nms` says; the fifth of each is its area.
    """
    sides = torch.minimum(best[..., 2:4], others[..., 2:4])
    sides = sides.sub_(torch.maximum(best[..., :2], others[..., :2])).clamp_(min=0)
    common = sides[..., 0] * sides[..., 1]
    union = (best[..., 4] + others[..., 4]).sub_(common)
    overlap = common.div_(union).nan_to_num_()
    if sigma:
        return overlap.square_().div_(-sigma).exp_()
    return torch.where(overlap > threshold, 1 - overlap, 1)


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


class _Found(NamedTuple):
    """What is above the score, one by one: the place of its box among all of them, its score, and
    its group, one an image and class.
    """

    boxes: Tensor
    place: Tensor
    score: Tensor
    group: Tensor


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
        batch, count, classes = scores.shape
        place = (scores > self.score).flatten().nonzero().squeeze(1)
        group = place // (count * classes) * classes + place % classes
        own = place // classes if boxes.ndim == 3 else place
        found = _Found(boxes.reshape(-1, 4), own, scores.flatten()[place], group)
        return self._select(found, size, batch, classes)

    def of_labels(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, size: tuple[int, int], classes: int
    ) -> list[Detections]:
        """The same of boxes [B, N, 4] with one score and one label each, [B, N]."""
        batch, count = scores.shape
        place = (scores > self.score).flatten().nonzero().squeeze(1)
        group = place // count * classes + labels.flatten()[place]
        found = _Found(boxes.reshape(-1, 4), place, scores.flatten()[place], group)
        return self._select(found, size, batch, classes)

    def every(self, score: float) -> Selection:
        """Give the selection of everything that this one chooses among and that scores more than
        `score`: nothing is suppressed, and there is no limit.
        """
        least = max(self.score, score)
        return Selection(least, iou=1, per_image=sys.maxsize, clip_first=self.clip_first)

    def _select(
        self, found: _Found, size: tuple[int, int], batch: int, classes: int
    ) -> list[Detections]:
        order = by_group_then_score(found.score, found.group)
        score, group = found.score[order], found.group[order]
        box = found.boxes[found.place[order]]
        box = clip(box, size) if self.clip_first else box
        score, kept = self._suppress(box, score, group)
        box = box if self.clip_first else clip(box, size)
        kept = kept & (box[:, 2:] > box[:, :2]).all(dim=1)
        order, ends = _best_of_images(score, kept, group // classes, batch)
        rows = [order[start : min(start + self.per_image, end)] for start, end in ends]
        label = group % classes
        return [Detections(box[row], score[row], label[row]) for row in rows]

    def _suppress(self, box: Tensor, score: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """Suppress boxes that come group by group, best first: their scores, and which are kept."""
        if self.iou >= 1:
            return score, torch.ones_like(score, dtype=torch.bool)
        if self.soft is None:
            limit, candidates = self.per_class or 0, self.candidates or 0
            return score, nms(box, score, group, self.iou, limit, candidates, True)
        if self.candidates is not None:
            score = score.where(rank_in_group(group) < self.candidates, 0)
        limit = self.per_class or self.per_image
        lowered = soft_nms(box, score, group, self.iou, self.soft.sigma, self.soft.floor, limit)
        return lowered, lowered > 0


def _best_of_images(
    score: Tensor, kept: Tensor, image: Tensor, batch: int
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Order what is kept best first, image by image: places, and from which to which each image's
    are. Boxes come image by image.
    """
    order = by_group_then_score(score.masked_fill(~kept, -torch.inf), image)
    images = torch.arange(batch, device=image.device)
    starts = torch.searchsorted(image, images)
    ends = starts + (kept & (image == images[:, None])).sum(dim=1)
    return order, [(start, end) for start, end in torch.stack([starts, ends], -1).tolist()]
