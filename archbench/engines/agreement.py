"""How far what an engine gives agrees with what eager fp32 gives on the same input.

`dense_error` says how far numbers are apart, `compare_detections` how many detections are the same
(`archbench.engines.matching`). A network that chooses boxes itself, as two-stage detectors do
between their stages, may give them in another order or, where two are nearly as good, choose the
other one. So its chosen boxes are matched as a set first, and what it says of them is compared
where they match.

What it says of a box changes with the place that is read, in proportion. So the differences between
rows of boxes that are further apart than 0.005 pixels are divided by how many times as far apart
they are: a mask differs by a few ten-thousandths over that distance. No row is left out, and where
fewer than half of the boxes match, the network is another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archbench.engines.matching import Matches, Same, match
from archbench.zoo.contracts import Detections

READ_ALIKE = 0.005
"""Pixels between edges of boxes within which as good as the same is read."""
ENOUGH = 0.5
"""The share of chosen boxes that must match."""
CHOSEN = ("proposals", "boxes")
"""Fields of raw predictions that hold boxes [B, N, 4] the network has chosen itself: the fields
after one hold a row for each of its boxes.
"""


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

    def matches(self, other: Choice) -> list[Matches]:
        """Match each image's boxes with those of another choice."""
        return [self._matches(other, image) for image in range(len(self.boxes))]

    def same(self, other: Choice, matched: Sequence[Matches]) -> Same:
        """Count the boxes of all images that are the same, of the larger count of each."""
        return Same(
            sum(len(pairs.found) for pairs in matched),
            sum(
                max(len(self.real(image)), len(other.real(image)))
                for image in range(len(self.boxes))
            ),
        )

    def said(self, other: Choice, matched: Sequence[Matches]) -> Iterator[tuple[Tensor, Tensor]]:
        """Give what both say of the boxes that match, row by row: the others' and one's own, nearer
        to theirs where the boxes are apart.
        """

        def rows(said: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
            return (
                torch.cat([said[image, each.found] for image, each in enumerate(matched)]),
                torch.cat([others[image, each.reference] for image, each in enumerate(matched)]),
            )

        boxes, other_boxes = rows(self.boxes, other.boxes)
        apart = (boxes - other_boxes).abs().amax(dim=1).double()
        times = (apart / READ_ALIKE).clamp(min=1)
        for own, others in map(rows, self.rows, other.rows):
            own, others = own.double(), others.double()
            shift = (own - others) / times.reshape(-1, *[1] * (own.ndim - 1))
            yield torch.where(own == others, others, others + shift), others

    def _matches(self, other: Choice, image: int) -> Matches:
        own, others = self.real(image), other.real(image)
        matched = match(self._kept(image, own), other._kept(image, others))
        return Matches(own[matched.found], others[matched.reference])

    def _kept(self, image: int, places: Tensor) -> Detections:
        """An image's boxes at some places; their scores are a row like any other."""
        boxes, labels = self.boxes[image, places], self.labels[image, places]
        return Detections(boxes, torch.zeros(len(boxes)), labels)


def dense_error(outputs: Any, reference: Any) -> float:
    """Give the worst over all output tensors of max|output - reference| / max|reference|.

    Both are trees of tensors; ValueError says where their structures or shapes differ. The error is
    infinite where a number that is not finite is in one of them only, where a reference of nothing
    but zeros is not met, and where fewer than half of the boxes that the network chooses are the
    same. `chosen_share` says how many are.
    """
    return max((_error(*pair) for pair in _comparable(outputs, reference)), default=0.0)


def chosen_share(outputs: Any, reference: Any) -> float | None:
    """Give the share of boxes chosen inside the network that are the same, one to one, over the
    larger of the two counts.

    None where the network chooses none.
    """
    found = [
        own.same(other, own.matches(other))
        for own, other in _parts(outputs, reference, "the output")
        if isinstance(own, Choice)
    ]
    return Same(sum(each.count for each in found), sum(each.most for each in found)).share


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
        matched = own.matches(other)
        same = own.same(other, matched)
        if same.count < ENOUGH * same.most:
            yield torch.tensor(math.inf), torch.tensor(0.0)
            continue
        yield from own.said(other, matched)


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
