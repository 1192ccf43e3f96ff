"""What YOLO's detectors share: anchors in the cells of each map, decoding, the selection of
detections, the load.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import DARKNET, Backbone, Detections, Detector, Preparation
from archbench.zoo.layers import flatten_predictions
from archbench.zoo.ops import boxes, load
from archbench.zoo.ops.load import scene
from archbench.zoo.ops.nms import Selection
from archbench.zoo.ops.priors import Priors, grid_priors

Shape = tuple[float, float]
"""Width and height of an anchor, in pixels."""

BOX = 5
"""Predictions of an anchor beside its classes: four offsets and the objectness."""
STRIDES = (8, 16, 32)
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""YOLOv3's anchors in pixels, whatever the input, for maps at strides 8, 16 and 32
(AlexeyAB/darknet, yolov3.cfg).
"""
SCORE = 0.001
IOU = 0.45
"""Thresholds with which darknet evaluates on COCO."""


class Level(NamedTuple):
    """A map of predictions: what a cell spans in pixels, its cells (columns, rows), and the anchors
    in each of them.
    """

    stride: int
    cells: tuple[int, int]
    anchors: Sequence[Shape]


class Predictions(NamedTuple):
    """Raw predictions for N anchors: offsets [B, N, 4], objectness logits [B, N, 1], class logits
    [B, N, classes].
    """

    offsets: Tensor
    objectness: Tensor
    logits: Tensor


class YOLO(Detector):
    """A detector whose `features` give a map of predictions for each of its levels, [B, anchors *
    (5 + classes), H, W].

    A class scores its probability, `softmax` or `sigmoid` of the logits, times the objectness.
    `postprocess` gives boxes inside the image, labels from 0 to classes - 1; all that survive the
    suppression are kept.
    """

    def __init__(
        self,
        features: nn.Module,
        levels: Sequence[Level],
        *,
        size: tuple[int, int],
        classes: int,
        preparation: Preparation = DARKNET,
        score: float = SCORE,
        activation: Literal["softmax", "sigmoid"] = "sigmoid",
    ) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        self.preparation = preparation
        self.activation = activation
        self.features = features
        self.strides = [level.stride for level in levels]
        grids = [grid_priors(level.cells, level.stride, level.anchors) for level in levels]
        self.counts = [len(grid) for grid in grids]
        self.priors = Priors(grids)
        self.boxes = len(self.priors)
        self.selection = Selection(score=score, iou=IOU, per_image=self.boxes * classes)

    def forward(self, images: Tensor) -> Predictions:
        flat = flatten_predictions(self.features(images), BOX + self.classes)
        return Predictions(*flat.split([4, 1, self.classes], dim=-1))

    def scores(self, raw: Predictions) -> Tensor:
        """Objectness times the probability of each class, [B, N, classes], in fp32."""
        logits = raw.logits.float()
        return raw.objectness.float().sigmoid() * (
            logits.softmax(dim=-1) if self.activation == "softmax" else logits.sigmoid()
        )

    def decoded(self, raw: Predictions) -> tuple[Tensor, Tensor]:
        """Boxes [B, N, 4] and the scores of their classes [B, N, classes], in fp32."""
        parts = zip(
            raw.offsets.float().split(self.counts, dim=1),
            self.priors.boxes.split(self.counts),
            self.strides,
            strict=True,
        )
        decoded = [decode(offsets, priors, cell) for offsets, priors, cell in parts]
        return torch.cat(decoded, dim=1), self.scores(raw)

    def postprocess(self, raw: Predictions) -> list[Detections]:
        return self.selection(*self.decoded(raw), self.size)

    def considered(self, raw: Predictions, score: float) -> list[Detections]:
        return self.selection.every(score)(*self.decoded(raw), self.size)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        priors = self.priors.boxes.cpu()
        drawn = scene(
            priors,
            size=self.size,
            classes=self.classes,
            batch=len(raw.offsets),
            generator=generator,
        )
        seen = boxes.decode(drawn.offsets, priors)
        parts = zip(
            seen.split(self.counts, dim=1), priors.split(self.counts), self.strides, strict=True
        )
        some = drawn.scores.sum(dim=-1, keepdim=True)
        share = (drawn.scores / some).nan_to_num()
        predictions = Predictions(
            offsets=torch.cat([encode(targets, own, cell) for targets, own, cell in parts], dim=1),
            objectness=some.logit(eps=1e-6),
            logits=share.clamp(min=1e-6).log()
            if self.activation == "softmax"
            else share.logit(eps=1e-6),
        )
        predictions = Predictions(*(new.to(old) for new, old in zip(predictions, raw, strict=True)))
        counts: dict[str, str | int] = {
            "distribution": load.NAME,
            "candidates": drawn.scores[0].numel(),
            "above_threshold": int((self.scores(predictions) > self.selection.score).sum())
            // len(drawn.scores),
        }
        return predictions, counts


def levels(
    backbone: Backbone,
    size: tuple[int, int],
    anchors: Sequence[Sequence[Shape]] = ANCHORS,
    strides: Sequence[int] = STRIDES,
) -> list[Level]:
    """The maps of a backbone as levels, with the anchors of each.

    Raises UsageError unless the backbone is tapped at `strides` and each map has twice the cells of
    the next.
    """
    if tuple(stage.stride for stage in backbone.tapped) != tuple(strides):
        raise UsageError(
            f"it reads maps at strides {', '.join(map(str, strides[:-1]))} and {strides[-1]}"
        )
    sizes = map_sizes(backbone, size)
    for fine, coarse in pairwise(sizes):
        if fine != (2 * coarse[0], 2 * coarse[1]):
            raise UsageError(
                f"maps of {fine[0]}x{fine[1]} and {coarse[0]}x{coarse[1]} do not match: one must "
                "be twice the size of the other"
            )
    return [Level(*level) for level in zip(strides, sizes, anchors, strict=True)]


def decode(offsets: Tensor, priors: Tensor, cell: float) -> Tensor:
    """Turn offsets [..., N, 4] of priors [N, 4] into boxes: a centre anywhere in its cell, a size
    that stretches the prior's.
    """
    centre, size = boxes.to_centres(priors).split(2, dim=-1)
    shift, stretch = offsets.split(2, dim=-1)
    # Darknet does not limit the stretch, which overflows with random weights.
    centre = centre + (shift.sigmoid() - 0.5) * cell
    return boxes.to_corners(
        torch.cat([centre, size * stretch.clamp(max=boxes.LARGEST_STRETCH).exp()], dim=-1)
    )


def encode(targets: Tensor, priors: Tensor, cell: float) -> Tensor:
    """The offsets with which `decode` comes nearest to boxes: a centre outside the prior's cell
    goes to the cell's edge.
    """
    centre, size = boxes.to_centres(priors).split(2, dim=-1)
    to_centre, to_size = boxes.to_centres(targets).split(2, dim=-1)
    return torch.cat(
        [((to_centre - centre) / cell + 0.5).logit(eps=1e-3), (to_size / size).log()], dim=-1
    )
