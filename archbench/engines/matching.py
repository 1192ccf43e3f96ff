"""Which detections of two sets are the same: one label, an intersection over union of at least 0.9,
scores within 0.01, one to one.

Two rules keep the last digit of a number, which drawn weights let decide much, from being held
against an engine. Neither lets a wrong box pass:

- Edges within a twentieth of a pixel are one place, whatever the overlap is. It can only be below
  0.9 there for boxes less than 2 pixels thin, such as slivers at the border of an image.
- Where hundreds of scores are 1, the last digit says which suppress others, and which an image
  keeps. Those that tie with the last one kept do not count where the other side had them too, box,
  label and score, among all that it chose from.

Drawn weights score nearly all of an image's candidates above a threshold: up to millions, which
take minutes to suppress. The best alone are chosen among, on both sides: the detections are the
same where these give as many as an image keeps, since worse ones suppress none of them. Some
detectors keep whatever survives the suppression: of those, the best are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import iou

LEAST_IOU = 0.9
ONE_PLACE = 0.05
"""Pixels between edges that are one place: two slivers thinner than that need not overlap at all.
"""
MOST_SCORE_DIFFERENCE = 0.01
TIE = 1e-3
"""Between scores of which either may come first."""
MOST_COMPARED = 10_000
"""Candidates of an image, its best, that are looked at first."""
PAIRS = 1 << 22
"""Pairs of boxes compared at a time, which bounds the memory: some detectors give 100,000."""
EXACT = 1e-6
"""What more is looked at than the overlap asks for, lest a rounding leave something out."""
Considered: TypeAlias = "Callable[[float], tuple[Sequence[Detections], Sequence[Detections]]]"
"""Gives what detections were chosen among, as far as it scores more than a number: of what was
found, and of the reference.
"""


@dataclass(frozen=True)
class Same:
    """How many detections are the same, of how many."""

    count: int
    most: int

    @property
    def share(self) -> float | None:
        """Their share; None of nothing."""
        return self.count / self.most if self.most else None


class Matches(NamedTuple):
    """Which boxes of two images are the same: places in the one and in the other, both [M]."""

    found: Tensor
    reference: Tensor


def compare_detections(network: Any, given: Any, expected: Any) -> Same:
    """Count the detections that are the same where a network postprocesses an engine's outputs and
    eager's.
    """

    def considered(score: float) -> tuple[Sequence[Detections], Sequence[Detections]]:
        return network.considered(given, score), network.considered(expected, score)

    knows = considered if hasattr(network, "considered") else None
    floor = _floor(network, expected)
    chooser = network if floor is None else _above(network, floor)
    found, reference = chooser.postprocess(given), chooser.postprocess(expected)
    if floor is not None and network.selection.per_image <= MOST_COMPARED:
        floor = None
        if any(len(image) < network.selection.per_image for image in (*found, *reference)):
            found, reference = network.postprocess(given), network.postprocess(expected)
    return compare(found, reference, knows, floor)


def _floor(network: Any, expected: Any) -> float | None:
    """The score down to which candidates are looked at first, where there are too many."""
    selection = getattr(network, "selection", None)
    # A plug-in's detector may select without giving its scores.
    if selection is None or not hasattr(network, "scores"):
        return None
    # Soft suppression lowers scores, so that worse candidates may come before better ones.
    if selection.soft is not None and selection.per_image <= MOST_COMPARED:
        return None
    scores = network.scores(expected).flatten(1)
    if scores.shape[1] <= MOST_COMPARED:
        return None
    floor = float(scores.topk(MOST_COMPARED).values[:, -1].max())
    return floor if floor > selection.score else None


def _above(network: Any, floor: float) -> Any:
    """The same network, which chooses among what scores more than a floor: it gives the detections
    that it had above it, since worse ones suppress none of them, but for soft suppression.
    """
    other = copy(network)
    other.selection = replace(network.selection, score=floor)
    return other


def compare(
    found: Sequence[Detections],
    reference: Sequence[Detections],
    considered: Considered | None = None,
    floor: float | None = None,
) -> Same:
    """Count the detections that are the same, one to one, of the larger of the two counts of each
    image.

    Those that differ by a tie do not count: an image has as many in both and they score within
    0.001 of the last, or they score within 0.01 of the `floor` down to which there are any; and
    each side had the other's among what it considered. Without `considered` none is excused.
    """
    images = [(_on_cpu(a), _on_cpu(b)) for a, b in zip(found, reference, strict=True)]
    matched = [match(own, other) for own, other in images]
    count = sum(len(pairs.found) for pairs in matched)
    excused = [(0, 0)] * len(images)
    if considered is not None:
        tied = [_tied(*each, pairs, floor) for each, pairs in zip(images, matched, strict=True)]
        excused = _excused(tied, considered)
    sides = zip(images, excused, strict=True)
    most = sum(max(len(own) - a, len(other) - b) for (own, other), (a, b) in sides)
    return Same(count, most)


def _on_cpu(given: Detections) -> Detections:
    """Boxes, scores and labels where they can be looked at one by one."""
    return Detections(given.boxes.cpu(), given.scores.cpu(), given.labels.cpu())


def _tied(
    own: Detections, other: Detections, pairs: Matches, floor: float | None
) -> tuple[Detections, Detections]:
    """The detections of an image on either side that match none and tie with the last one."""
    last = -math.inf if floor is None else floor + MOST_SCORE_DIFFERENCE
    if floor is None and len(own) == len(other) and len(own):
        lasts = float(own.scores.min()), float(other.scores.min())
        if max(lasts) - min(lasts) <= TIE:
            last = max(lasts) + TIE
    tied = own.scores <= last, other.scores <= last
    for each, places in zip(tied, pairs, strict=True):
        each[places] = False
    return _some(own, tied[0]), _some(other, tied[1])


def _some(given: Detections, places: Tensor) -> Detections:
    return Detections(given.boxes[places], given.scores[places], given.labels[places])


def _excused(
    tied: Sequence[tuple[Detections, Detections]], considered: Considered
) -> list[tuple[int, int]]:
    """How many of an image's detections that tie, on either side, the other side had too, among
    what it considered.
    """
    scores = [float(side.scores.min()) for image in tied for side in image if len(side)]
    if not scores:
        return [(0, 0)] * len(tied)
    sides = considered(min(scores) - 2 * MOST_SCORE_DIFFERENCE)
    return [
        (len(match(own, _on_cpu(reference)).found), len(match(other, _on_cpu(among)).found))
        for (own, other), among, reference in zip(tied, *sides, strict=True)
    ]


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
