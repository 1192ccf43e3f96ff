"""What single-shot detectors share: a head on every map, default boxes, decoding, the selection of
detections, the load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from archbench.shapes import map_sizes
from archbench.zoo.contracts import Detections, Detector, Preparation
from archbench.zoo.layers import flatten_predictions
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import decode
from archbench.zoo.ops.load import scene, softmax_logits
from archbench.zoo.ops.nms import Selection
from archbench.zoo.ops.priors import Priors, grid_priors

Shape = tuple[float, float]
"""Width and height of a default box, in pixels."""

CAFFE = Preparation(order="bgr", scale=255, mean=(104, 117, 123), std=(1, 1, 1))
"""What SSD's Caffe code and its descendants do to pictures."""
SSD_SELECTION = Selection(score=0.01, iou=0.45, per_image=200, candidates=400)
"""How they select detections (weiliu89/caffe, branch ssd)."""
RFB_SELECTION = replace(SSD_SELECTION, candidates=None)
"""How RFBNet and its descendants do: among all boxes of a class (ruinmessi/RFBNet)."""


class Predictions(NamedTuple):
    """Raw predictions for N default boxes: offsets [B, N, 4] and class logits [B, N, 1 + classes],
    background first.

    A detector that scores by sigmoid may have no background: [B, N, classes].
    """

    offsets: Tensor
    logits: Tensor


class Head(nn.Module):
    """Offsets and class logits of one map's default boxes, behind what they share."""

    def __init__(
        self, offsets: nn.Module, logits: nn.Module, before: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        self.offsets = offsets
        self.logits = logits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.before(x)
        return self.offsets(x), self.logits(x)


def multibox(
    c_in: int, boxes: int, outputs: int, *, kernel: int = 3, before: nn.Module | None = None
) -> Head:
    """SSD's head: two convolutions side by side with bias, for `boxes` a cell and `outputs` logits
    a box.
    """
    padding = kernel // 2
    offsets = nn.Conv2d(c_in, 4 * boxes, kernel, padding=padding)
    return Head(offsets, nn.Conv2d(c_in, outputs * boxes, kernel, padding=padding), before)


class SingleStage(Detector):
    """A detector with a head on each map of its `features`; `shapes` are those of each map's boxes.

    Boxes stand at (index + 0.5) * step in the image, where `steps` says what a cell spans on each
    map (pixels; without it the image is divided evenly); `clipped` ones are cut at its border.
    Scores are the `softmax` of the logits or their `sigmoid`, the background's left out where there
    is one. `postprocess` gives boxes inside the image, labels from 0 to classes - 1.
    """

    def __init__(
        self,
        features: nn.Module,
        heads: Sequence[Head],
        shapes: Sequence[Sequence[Shape]],
        *,
        size: tuple[int, int],
        classes: int,
        preparation: Preparation = CAFFE,
        selection: Selection = SSD_SELECTION,
        steps: Sequence[float] | None = None,
        activation: Literal["softmax", "sigmoid"] = "softmax",
        background: bool = True,
        clipped: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        self.preparation = replace(preparation, resize="warp")
        self.selection = selection
        self.activation, self.background = activation, background
        self.features = features
        self.heads = nn.ModuleList(heads)
        sizes = map_sizes(features, size)
        spans: Sequence[float | tuple[float, float]] = [
            (size[0] / columns, size[1] / rows) for columns, rows in sizes
        ]
        spans = spans if steps is None else steps
        grids = [
            grid_priors(cells, span, level)
            for cells, span, level in zip(sizes, spans, shapes, strict=True)
        ]
        self.levels = [len(grid) for grid in grids]
        self.priors = Priors(grids, within=size if clipped else None)
        self.boxes = len(self.priors)

    def forward(self, images: Tensor) -> Predictions:
        maps = [head(m) for head, m in zip(self.heads, self.features(images), strict=True)]
        offsets = flatten_predictions([offsets for offsets, _ in maps], 4)
        return Predictions(
            offsets,
            flatten_predictions([logits for _, logits in maps], self.background + self.classes),
        )

    def scores(self, raw: Predictions) -> Tensor:
        """Foreground scores [B, N, classes], in fp32."""
        logits = raw.logits.float()
        scores = logits.softmax(dim=-1) if self.activation == "softmax" else logits.sigmoid()
        return scores[..., 1:] if self.background else scores

    def decoded(self, raw: Predictions) -> tuple[Tensor, Tensor]:
        """Boxes [B, N, 4] and foreground scores [B, N, classes], in fp32."""
        return decode(raw.offsets.float(), self.priors.boxes), self.scores(raw)

    def postprocess(self, raw: Predictions) -> list[Detections]:
        return self.selection(*self.decoded(raw), self.size)

    def considered(self, raw: Predictions, score: float) -> list[Detections]:
        return self.selection.every(score)(*self.decoded(raw), self.size)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        batch = len(raw.offsets)
        drawn = scene(
            self.priors.boxes,
            size=self.size,
            classes=self.classes,
            batch=batch,
            generator=generator,
        )
        logits = (
            softmax_logits(drawn.scores)
            if self.activation == "softmax"
            else _sigmoid_logits(drawn.scores, self.background)
        )
        predictions = Predictions(drawn.offsets.to(raw.offsets), logits.to(raw.logits))
        counts: dict[str, str | int] = {
            "distribution": load.NAME,
            "candidates": drawn.scores[0].numel(),
            "above_threshold": int((self.scores(predictions) > self.selection.score).sum())
            // batch,
        }
        return predictions, counts


def _sigmoid_logits(scores: Tensor, background: bool) -> Tensor:
    logits = scores.logit(eps=1e-6)
    return torch.cat([torch.zeros_like(logits[..., :1]), logits], dim=-1) if background else logits


def ssd_shapes(
    sides: Sequence[float],
    ratios: Sequence[Sequence[float]],
    *,
    between: Sequence[bool] | None = None,
) -> list[list[Shape]]:
    """SSD's default boxes of each map: `sides` are the maps' in pixels and one more (Liu et al.,
    SSD, section 2.2).

    A map has a square of its side, a square of the geometric mean of its side and the next map's
    (unless `between` says it has none), and boxes of its side's area in every ratio and its
    inverse.
    """
    shapes = []
    for level, (side, following) in enumerate(pairwise(sides)):
        squares = (
            [side, math.sqrt(side * following)] if between is None or between[level] else [side]
        )
        both = [r for ratio in ratios[level] for r in (ratio, 1 / ratio)]
        shapes.append(
            [(square, square) for square in squares]
            + [(side * math.sqrt(r), side / math.sqrt(r)) for r in both]
        )
    return shapes
