"""How far what an engine gives agrees with what eager fp32 gives on the same input.

Two questions: how far numbers are apart (`dense_error`), and how many boxes are the same
(`matched_share`). A network that chooses boxes itself, as two-stage detectors do between their
stages, may give them in another order or, where two are nearly as good, choose the other one. So
its chosen boxes are matched as a set first, and what it says of them is compared where they match.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import iou

LEAST_IOU = 0.9
ONE_PLACE = 0.05
"""Pixels between edges that are one place: two slivers thinner than that need not overlap at all.
"""
READ_ALIKE = 0.005
"""Pixels between edges of boxes that crop the same: what is said of them differs with the shift."""
MOST_SCORE_DIFFERENCE = 0.01
TIE = 1e-3
"""Between scores of which either may come first."""
PAIRS = 1 << 22
"""Pairs of boxes compared at a time, which bounds the memory: some detectors give 100,000."""
EXACT = 1e-6
"""What more is looked at than the overlap asks for, lest a rounding leave something out."""
CHOSEN = ("proposals", "boxes")
"""Fields of raw predictions that hold boxes [B, N, 4] the network has chosen itself: the fields
after one hold a row for each of its boxes.
"""


class Matches(NamedTuple):
    """Which boxes of two images are the same: places in the one and in the other, both [M]."""

    found: Tensor
    reference: Tensor


class Choice(NamedTuple):
    """Boxes that a network has chosen, [B, N, 4], and what it says of each, tensors [B, N, ...];
    boxes of different `labels` [B, N], if there are any, are not the same.
    """

    boxes: Tensor
    labels: Tensor
    rows: list[Tensor]

    def real(self, image: int) -> Tensor:
        """The places of an image's boxes with an area: the others fill up what is missing."""
        boxes = self.boxes[image]
        return (boxes[:, 2:] > boxes[:, :2]).all(dim=1).nonzero()[:, 0]

    def matches(self, other: Choice, image: int) -> Matches:
        """Match an image's boxes with those of another choice."""
        own, others = self.real(image), other.real(image)
        matched = match(self._kept(image, own), other._kept(image, others))
        return Matches(own[matched.found], others[matched.reference])

    def compared(self, other: Choice, image: int) -> Matches:
        """Those of the matches of which both say something comparable: the boxes in one place, or
        all where none is.
        """
        matched = self.matches(other, image)
        own, others = self.boxes[image, matched.found], other.boxes[image, matched.reference]
        near = is_within(READ_ALIKE, own, others)
        return Matches(*(places[near] for places in matched)) if bool(near.any()) else matched

    def _kept(self, image: int, places: Tensor) -> Detections:
        """An image's boxes at some places; their scores are a row like any other."""
        boxes, labels = self.boxes[image, places], self.labels[image, places]
        return Detections(boxes, torch.zeros(len(boxes)), labels)


def dense_error(outputs: Any, reference: Any) -> float:
    """Give the worst over all output tensors of max|output - reference| / max|reference|.

    Both are trees of tensors; ValueError says where their structures or shapes differ. The error is
    infinite where a number that is not finite is in one of them only, where a reference of nothing
    but zeros is not met, and where not one of the boxes that the network chooses is the same.
    `chosen_share` says how many are.
    """
    return max((_error(*pair) for pair in _comparable(outputs, reference)), default=0.0)


def chosen_share(outputs: Any, reference: Any) -> float | None:
    """Give the share of boxes chosen inside the network that are the same, one to one, as
    `matched_share` has it, over the larger of the two counts.

    None where the network chooses none.
    """
    matched = most = 0
    for own, other in _parts(outputs, reference, "the output"):
        if isinstance(own, Choice) and isinstance(other, Choice):
            for image in range(len(own.boxes)):
                matched += len(own.matches(other, image).found)
                most += max(len(own.real(image)), len(other.real(image)))
    return matched / most if most else None


def matched_share(found: Sequence[Detections], reference: Sequence[Detections]) -> float | None:
    """Give the share of detections that are the same, one to one, over the larger of the two
    counts of each image.

    The same are two of one label, with an intersection over union of at least 0.9, or with edges
    within a twentieth of a pixel, and scores within 0.01. Ties at the limit are left out: with
    drawn weights hundreds of scores are 1, and the last digit says which of them an image keeps. So
    where it has as many detections in both, and some are the same, those that differ and score
    within 0.001 of the last do not count. None where neither has any.
    """
    matched = most = 0
    for images in zip(found, reference, strict=True):
        own, other = map(_on_cpu, images)
        pairs = match(own, other)
        matched += len(pairs.found)
        most += max(len(own), len(other)) - _ties(own, other, pairs)
    return matched / most if most else None


def _on_cpu(given: Detections) -> Detections:
    """Boxes, scores and labels where they can be looked at one by one."""
    return Detections(given.boxes.cpu(), given.scores.cpu(), given.labels.cpu())


def _ties(own: Detections, other: Detections, pairs: Matches) -> int:
    """How many of the detections of an image differ by a tie at the limit alone."""
    if len(own) != len(other) or not len(pairs.found):
        return 0
    lasts = float(own.scores.min()), float(other.scores.min())
    if not max(lasts) - min(lasts) <= TIE:
        return 0
    unmatched = []
    for detections, places in ((own, pairs.found), (other, pairs.reference)):
        is_left = torch.ones(len(detections), dtype=torch.bool)
        is_left[places] = False
        unmatched.append(int((detections.scores[is_left] <= max(lasts) + TIE).sum()))
    return min(unmatched)


def match(found: Detections, reference: Detections) -> Matches:
    """Match the detections of one image that are the same, one to one, nearest first."""
    near = torch.cat([torch.zeros(0, 3, dtype=torch.float64), *_near(found, reference)])
    order = near[:, 0].argsort(descending=True, stable=True)
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for own, other in near[order, 1:].long().tolist():
        if own not in partners and other not in taken:
            partners[own] = other
            taken.add(other)
    places = torch.tensor([*partners.items()], dtype=torch.long).reshape(-1, 2)
    return Matches(places[:, 0], places[:, 1])


def _near(found: Detections, reference: Detections) -> Iterator[Tensor]:
    """Those pairs of detections that may be the same, [M, 3]: their overlap, and their places in
    the one image and the other.
    """
    for own, other in _beside(found, reference):
        boxes, others = found.boxes[own, None].double(), reference.boxes[other, None].double()
        overlap = iou(boxes, others).flatten().nan_to_num()
        apart = (found.scores[own].double() - reference.scores[other].double()).abs()
        overlap = overlap.where(~is_within(ONE_PLACE, boxes, others)[:, 0], 1)
        same = (overlap >= LEAST_IOU) & (apart <= MOST_SCORE_DIFFERENCE)
        yield torch.stack([overlap[same], own[same].double(), other[same].double()], dim=1)


def is_within(pixels: float, boxes: Tensor, others: Tensor) -> Tensor:
    """Say of pairs of boxes [..., 4] whether none of their edges are further apart: [...]."""
    return (boxes - others).abs().amax(dim=-1) <= pixels


def _beside(found: Detections, reference: Detections) -> Iterator[tuple[Tensor, Tensor]]:
    """The places of pairs of one label whose left edges are as near as the overlap asks for."""
    # On one axis, a label after the other: the distance of two labels is beyond any edge.
    finite = [each.boxes.isfinite().all(dim=1).nonzero()[:, 0] for each in (found, reference)]
    if not all(map(len, finite)):
        return
    own, other = (e.boxes[p].double() for e, p in zip((found, reference), finite, strict=True))
    span = 8 * float(torch.cat([own, other]).abs().max()) + 1
    edges = [
        each.labels[places] * span + boxes[:, 0]
        for each, places, boxes in zip((found, reference), finite, (own, other), strict=True)
    ]
    along, order = edges[1].sort()
    reach = (own[:, 2] - own[:, 0]).abs() * (1 / LEAST_IOU - 1)
    reach = reach.clamp(min=ONE_PLACE) * (1 + EXACT)
    first = torch.searchsorted(along, edges[0] - reach)
    count = torch.searchsorted(along, edges[0] + reach, right=True) - first
    ends = count.cumsum(0)
    part = ends // PAIRS
    for some in part.unique():
        rows = (part == some).nonzero()[:, 0]
        repeated = rows.repeat_interleave(count[rows])
        place = torch.arange(len(repeated)) + ends[rows[0]] - count[rows[0]]
        yield (
            finite[0][repeated],
            finite[1][order[first[repeated] + place - (ends - count)[repeated]]],
        )


def _error(output: Tensor, reference: Tensor) -> float:
    own, other = output.double(), reference.double()
    finite = own.isfinite() & other.isfinite()
    same = (own == other) | (own.isnan() & other.isnan())
    if not bool((finite | same).all()):
        return math.inf
    difference = float((own - other)[finite].abs().amax()) if bool(finite.any()) else 0.0
    if difference == 0:
        return 0.0
    largest = float(other[finite].abs().amax())
    return difference / largest if largest else math.inf


def _comparable(outputs: Any, reference: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the tensors of two trees pair by pair, what is said of chosen boxes where they match."""
    for own, other in _parts(outputs, reference, "the output"):
        if isinstance(own, Tensor):
            yield own, other
            continue
        images = range(len(other.boxes))
        matched = [own.compared(other, image) for image in images]
        if not any(len(each.found) for each in matched):
            # Nothing was chosen by either, or they have nothing in common.
            chose = any(len(side.real(image)) for side in (own, other) for image in images)
            yield torch.tensor(math.inf if chose else 0.0), torch.tensor(0.0)
            continue
        for one, another in zip([own.boxes, *own.rows], [other.boxes, *other.rows], strict=True):
            yield (
                torch.cat([one[image, each.found] for image, each in enumerate(matched)]),
                torch.cat([another[image, each.reference] for image, each in enumerate(matched)]),
            )


def _parts(outputs: Any, reference: Any, where: str) -> Iterator[tuple[Any, Any]]:
    """Walk two trees of one structure: pairs of tensors and of choices, both on the CPU."""
    if isinstance(reference, Tensor) and isinstance(outputs, Tensor):
        if outputs.shape != reference.shape:
            raise ValueError(
                f"{where} is {list(outputs.shape)}, and {list(reference.shape)} in the reference"
            )
        yield outputs.detach().cpu(), reference.detach().cpu()
        return
    own, other = _children(outputs), _children(reference)
    if own.keys() != other.keys() or (not own and outputs != reference):
        raise ValueError(f"{where} has another structure than the reference")
    chosen = [n for n in own if isinstance(reference, tuple) and n in CHOSEN]
    names = [*own]
    dense = names[: names.index(chosen[0])] if chosen else names
    for name in dense:
        yield from _parts(own[name], other[name], f"{where}[{name!r}]")
    if chosen:
        yield _choice(own, chosen[0]), _choice(other, chosen[0])


def _children(tree: Any) -> dict[Any, Any]:
    """The parts of a tree by their names or places; a leaf has none."""
    if isinstance(tree, Mapping):
        return dict(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_asdict"):
        return dict(tree._asdict())
    return dict(enumerate(tree)) if isinstance(tree, list | tuple) else {}


def _choice(fields: dict[str, Tensor], chosen: str) -> Choice:
    """The boxes in field `chosen` of raw predictions and the rows in the fields after it."""
    names = [*fields]
    held = {name: fields[name].detach().cpu() for name in names[names.index(chosen) :]}
    boxes = held.pop(chosen)
    return Choice(boxes, held.pop("labels", torch.zeros(boxes.shape[:2])), [*held.values()])
