"""What two-stage detectors share: region proposals, decoding, the choice of detections and the
synthetic load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from archbench.shapes import map_sizes
from archbench.zoo.contracts import Backbone, Detections, Detector, Preparation, Resize
from archbench.zoo.layers import ConvNormReLU, flatten_predictions
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import SSD_VARIANCES, Variances
from archbench.zoo.ops.load import objects, respond, softmax_logits
from archbench.zoo.ops.nms import Selection
from archbench.zoo.ops.priors import Priors, grid_priors
from archbench.zoo.ops.proposals import propose, refine

SIDES = (32, 64, 128, 256, 512)
"""Sides of anchors, of which a detector has the largest few."""
RATIOS = (0.5, 1.0, 2.0)
SAMPLES = 2
"""Points a bin of RoIAlign is sampled at, each way."""
PROPOSAL_IOU = 0.7
UNIT: Variances = (1.0, 1.0)
"""Variances of anchors' offsets in the Caffe family of frameworks."""

Objectness = Literal["softmax", "sigmoid"]


@dataclass(frozen=True)
class Framework:
    """What a detector has from the framework it was published with rather than from its paper.

    `activation` and `variances` are those of the region proposals, of which `candidates` a map (0:
    all) come to the suppression; `region` says how regions are read, `background` whether the box
    regression has outputs for the background class too, `resize` how pictures are fitted to the
    input.
    """

    activation: type[nn.ReLU | nn.ReLU6]
    variances: Variances
    candidates: int
    region: Literal["crop", "pool", "align"]
    selection: Selection
    background: bool
    resize: Resize

    @classmethod
    def named(cls, name: str, *, per_image: int | None = None) -> Framework:
        """Find a framework, with another number of detections an image if one is given."""
        framework = FRAMEWORKS[name]
        return (
            replace(framework, selection=replace(framework.selection, per_image=per_image))
            if per_image
            else framework
        )


TENSORFLOW = Framework(
    nn.ReLU6,
    SSD_VARIANCES,
    0,
    "crop",
    Selection(score=0, iou=0.6, per_image=300, per_class=100),
    background=False,
    resize="crop",
)
"""Huang et al. (tensorflow/models, research/object_detection)."""
CAFFE = Framework(
    nn.ReLU,
    UNIT,
    6000,
    "pool",
    Selection(score=0.05, iou=0.3, per_image=100, clip_first=True),
    background=True,
    resize="fit",
)
"""Ren et al. and Dai et al. (rbgirshick/py-faster-rcnn, YuwenXiong/py-R-FCN)."""
DETECTRON = Framework(
    nn.ReLU,
    UNIT,
    1000,
    "align",
    Selection(score=0.05, iou=0.5, per_image=100, clip_first=True),
    background=True,
    resize="fit",
)
"""The FPN family (facebookresearch/Detectron, maskrcnn-benchmark)."""
DETECTRON_C4 = replace(DETECTRON, candidates=6000)
"""The same on one map."""

FRAMEWORKS = {"tensorflow": TENSORFLOW, "caffe": CAFFE, "detectron-c4": DETECTRON_C4}


class RegionPredictions(NamedTuple):
    """Raw predictions for A anchors and P proposals an image.

    objectness: logits [B, A, 2] (background first) or [B, A, 1]; anchor_offsets: [B, A, 4];
    proposals: boxes [B, P, 4] in pixels; logits: [B, P, 1 + classes]; offsets: [B, P, G, 4], where
    G is the classes, with or without background, or 1.
    """

    objectness: Tensor
    anchor_offsets: Tensor
    proposals: Tensor
    logits: Tensor
    offsets: Tensor


class RegionProposals(nn.Module):
    """Propose regions on one map or on each of a pyramid's: a 3x3 convolution and 1x1 ones for
    objectness and offsets.

    `sizes` are the maps' (columns, rows), `strides` what a cell spans, `sides` an anchor's side in
    pixels, on every map or map by map; each side comes in three `ratios` (Ren et al., Faster R-CNN,
    section 3.1). `conv` may stand in the 3x3's place.
    """

    def __init__(
        self,
        c_in: int,
        width: int,
        *,
        sizes: Sequence[tuple[int, int]],
        strides: Sequence[int],
        sides: Sequence[Sequence[int]],
        objectness: Objectness,
        framework: Framework,
        dilation: int = 1,
        ratios: Sequence[float] = RATIOS,
        conv: nn.Module | None = None,
    ) -> None:
        super().__init__()
        shapes = [
            [(side / math.sqrt(r), side * math.sqrt(r)) for side in level for r in ratios]
            for level in sides
        ]
        grids = [
            grid_priors(cells, stride, shape)
            for cells, stride, shape in zip(sizes, strides, shapes, strict=True)
        ]
        anchors = len(shapes[0])
        self.values = 2 if objectness == "softmax" else 1
        self.conv = conv or ConvNormReLU(
            c_in, width, 3, dilation=dilation, norm=None, activation=framework.activation
        )
        self.objectness = nn.Conv2d(width, self.values * anchors, 1)
        self.offsets = nn.Conv2d(width, 4 * anchors, 1)
        self.anchors = Priors(grids)
        self.levels = [len(grid) for grid in grids]

    @classmethod
    def on(
        cls,
        trunk: Backbone,
        size: tuple[int, int],
        *,
        anchors: int,
        width: int,
        objectness: Objectness,
        framework: Framework,
    ) -> RegionProposals:
        """Propose on a trunk's one map for images of `size`, with so many `anchors` a cell."""
        (tapped,) = trunk.tapped
        sides = SIDES[len(SIDES) - anchors // len(RATIOS) :]
        return cls(
            tapped.channels,
            width,
            sizes=map_sizes(trunk, size),
            strides=[tapped.stride],
            sides=[sides],
            objectness=objectness,
            framework=framework,
            # As the framework does at stride 8 (first_stage_atrous_rate); the paper does not say.
            dilation=2 if tapped.stride == 8 else 1,
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Give objectness logits [B, A, 1 or 2] and offsets [B, A, 4]."""
        return self.predict([self.conv(m) for m in maps])

    def predict(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Give the same for maps that have passed `conv`."""
        logits = flatten_predictions([self.objectness(m) for m in maps], self.values)
        return logits, flatten_predictions([self.offsets(m) for m in maps], 4)


class TwoStage(Detector):
    """A detector that proposes regions, of which `proposals` an image come to its second stage.

    A subclass computes `RegionPredictions` in `forward`; `framework` says how regions are proposed
    and chosen.
    """

    reads_regions = True

    def __init__(
        self,
        rpn: RegionProposals,
        preparation: Preparation,
        *,
        size: tuple[int, int],
        classes: int,
        proposals: int,
        framework: Framework,
    ) -> None:
        super().__init__()
        self.size, self.classes, self.proposals, self.framework = (
            size,
            classes,
            proposals,
            framework,
        )
        self.preparation = replace(preparation, resize=framework.resize)
        self.rpn = rpn
        self.boxes = len(rpn.anchors)

    @property
    def regressed(self) -> int:
        """Classes that the box regression has outputs for."""
        return self.classes + self.framework.background

    def propose(self, objectness: Tensor, offsets: Tensor) -> Tensor:
        """Choose the proposals of each image, boxes [B, P, 4] in pixels; those that are missing
        have no area.
        """
        framework = self.framework
        return propose(
            objectness,
            offsets,
            self.rpn.anchors.boxes,
            self.rpn.levels,
            framework.variances,
            self.size,
            framework.candidates,
            PROPOSAL_IOU,
            self.proposals,
            framework.selection.clip_first,
        )

    def postprocess(self, raw: RegionPredictions) -> list[Detections]:
        boxes, scores = refine(raw.proposals, raw.logits, raw.offsets)
        return self.framework.selection(boxes, scores, self.size)

    def considered(self, raw: RegionPredictions, score: float) -> list[Detections]:
        boxes, scores = refine(raw.proposals, raw.logits, raw.offsets)
        return self.framework.selection.every(score)(boxes, scores, self.size)

    def synthesize(
        self, raw: RegionPredictions, generator: torch.Generator
    ) -> tuple[RegionPredictions, dict[str, str | int]]:
        """Draw the scene as both stages see it: anchors respond to its objects, then the proposals
        made of them.
        """
        anchors = self.rpn.anchors.boxes.cpu()
        scale = torch.tensor(SSD_VARIANCES) / torch.tensor(self.framework.variances)
        scale = scale.repeat_interleave(2)
        parts: dict[str, list[Tensor]] = {name: [] for name in RegionPredictions._fields}
        for _ in range(len(raw.logits)):
            seen = objects(size=self.size, classes=self.classes, generator=generator)
            overlaps, offsets = respond(anchors, seen, classes=self.classes, generator=generator)
            objectness = softmax_logits(overlaps.sum(dim=-1, keepdim=True))
            if self.rpn.values == 1:
                objectness = objectness[:, 1:] - objectness[:, :1]
            on_device = (
                values[None].to(raw.proposals.device) for values in (objectness, offsets * scale)
            )
            chosen = self.propose(*on_device)[0].cpu()
            scores, moves = respond(chosen, seen, classes=self.classes, generator=generator)
            image = (
                objectness,
                offsets * scale,
                chosen,
                softmax_logits(scores),
                moves[:, None].expand(raw.offsets.shape[1:]),
            )
            for name, values in zip(RegionPredictions._fields, image, strict=True):
                parts[name].append(values)
        stacked = {
            name: torch.stack(values).to(getattr(raw, name)) for name, values in parts.items()
        }
        drawn = RegionPredictions(**stacked)
        _, scores = refine(drawn.proposals, drawn.logits, drawn.offsets)
        counts: dict[str, str | int] = {
            "distribution": load.NAME,
            "candidates": scores[0].numel(),
            "above_threshold": int((scores > self.framework.selection.score).sum()) // len(scores),
        }
        return drawn, counts
