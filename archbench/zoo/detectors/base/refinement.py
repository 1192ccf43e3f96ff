"""What detectors share that refine their anchors before they classify them, as RefineDet does:
anchors, decoding, selection, load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from archbench.zoo.contracts import Detections, Detector
from archbench.zoo.detectors.base.single_stage import CAFFE
from archbench.zoo.layers import flatten_predictions
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import decode
from archbench.zoo.ops.load import scene, softmax_logits
from archbench.zoo.ops.nms import Selection
from archbench.zoo.ops.priors import Priors, grid_priors

STRIDES = (8, 16, 32, 64)
PRIOR_SIDES = (32, 64, 128, 256)
RATIOS = (1.0, 2.0, 0.5)
OBJECTNESS = 0.01
"""Anchors with a lower objectness are background to the second step."""
SELECTION = Selection(score=0.01, candidates=1000, iou=0.45, per_image=500)

Maps = Sequence[tuple[Tensor, Tensor]]
"""Offsets and logits of each level."""


class Predictions(NamedTuple):
    """Raw predictions for P priors: offsets [B, P, 4], objectness logits [B, P, 2], class logits
    [B, P, 1 + classes].
    """

    arm_offsets: Tensor
    arm_logits: Tensor
    odm_offsets: Tensor
    odm_logits: Tensor


class Refinement(Detector):
    """A detector whose first step (ARM) refines anchors and whose second (ODM) classifies and
    refines them again.

    Anchors are three a cell on four maps of `sizes` (columns, rows) at strides 8 to 64: a square of
    four strides, and ratios 2 and 1/2 of its area; not clipped. `postprocess` gives boxes inside
    the image, labels from 0 to classes - 1.
    """

    preparation = CAFFE

    def __init__(
        self, sizes: Sequence[tuple[int, int]], *, size: tuple[int, int], classes: int
    ) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        grids = []
        for cells, stride, side in zip(sizes, STRIDES, PRIOR_SIDES, strict=True):
            # Without SSD's second square: the scripts of sfzhang15/RefineDet give no max sizes.
            shapes = [(side * math.sqrt(ratio), side / math.sqrt(ratio)) for ratio in RATIOS]
            grids.append(grid_priors(cells, stride, shapes))
        self.levels = [len(grid) for grid in grids]
        self.priors = Priors(grids)
        self.boxes = len(self.priors)

    def predictions(self, arm: Maps, odm: Maps) -> Predictions:
        """Lay the maps of both steps, level by level, end to end."""
        return Predictions(
            flatten_predictions([offsets for offsets, _ in arm], 4),
            flatten_predictions([logits for _, logits in arm], 2),
            flatten_predictions([offsets for offsets, _ in odm], 4),
            flatten_predictions([logits for _, logits in odm], self.classes + 1),
        )

    def decoded(self, raw: Predictions) -> tuple[Tensor, Tensor]:
        """Boxes [B, P, 4] and foreground scores [B, P, classes], in fp32."""
        raw = Predictions(*(values.float() for values in raw))
        boxes = decode(raw.odm_offsets, decode(raw.arm_offsets, self.priors.boxes))
        scores = raw.odm_logits.softmax(dim=-1)[..., 1:]
        objects = raw.arm_logits.softmax(dim=-1)[..., 1:] >= OBJECTNESS
        return boxes, scores * objects

    def postprocess(self, raw: Predictions) -> list[Detections]:
        return SELECTION(*self.decoded(raw), self.size)

    def considered(self, raw: Predictions, score: float) -> list[Detections]:
        return SELECTION.every(score)(*self.decoded(raw), self.size)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        batch = len(raw.arm_offsets)
        drawn = scene(
            self.priors.boxes,
            size=self.size,
            classes=self.classes,
            batch=batch,
            generator=generator,
        )
        predictions = Predictions(
            arm_offsets=drawn.offsets,
            arm_logits=softmax_logits(drawn.scores.sum(dim=-1, keepdim=True)),
            odm_offsets=torch.zeros_like(drawn.offsets),
            odm_logits=softmax_logits(drawn.scores),
        )
        counts: dict[str, str | int] = {
            "distribution": load.NAME,
            "candidates": drawn.scores[0].numel(),
            "above_threshold": int((drawn.scores > SELECTION.score).sum()) // batch,
        }
        on_device = (new.to(old) for new, old in zip(predictions, raw, strict=True))
        return Predictions(*on_device), counts
