"""Faster R-CNN and Mask R-CNN with a feature pyramid (Lin et al., Feature Pyramid Networks; He et
al., Mask R-CNN).

As the authors of VoVNet and of Group Normalization train them (facebookresearch/Detectron): on
backbones with group normalisation the pyramid and the heads are normalised too, and the box head
has four convolutions before its linear layer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from archbench.shapes import map_sizes
from archbench.zoo.contracts import Backbone, Detections
from archbench.zoo.detectors.base.two_stage import (
    DETECTRON,
    SAMPLES,
    SIDES,
    Objectness,
    RegionPredictions,
    RegionProposals,
    TwoStage,
)
from archbench.zoo.layers import FPN, ConvNormReLU, Norm, chain
from archbench.zoo.ops.masks import paste
from archbench.zoo.ops.proposals import detect
from archbench.zoo.ops.regions import roi_align

WIDTH = 256
HIDDEN = 1024
BOX_SIDE = 7
MASK_SIDE = 14


class BoxHead(nn.Sequential):
    """Crops [N, 256, 7, 7] to vectors [N, 1024]: two linear layers, or four convolutions and
    one.
    """

    def __init__(self, form: Literal["2fc", "4conv1fc"], *, norm: Norm) -> None:
        flat = WIDTH * BOX_SIDE * BOX_SIDE
        if form == "4conv1fc":
            convolutions = [ConvNormReLU(WIDTH, WIDTH, 3, norm=norm) for _ in range(4)]
            super().__init__(
                *convolutions, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ReLU(inplace=True)
            )
        else:
            hidden = (
                nn.Linear(flat, HIDDEN),
                nn.ReLU(inplace=True),
                nn.Linear(HIDDEN, HIDDEN),
                nn.ReLU(inplace=True),
            )
            super().__init__(nn.Flatten(), *hidden)


class FasterRCNNFPN(TwoStage):
    """Faster R-CNN on the pyramid of any backbone that is tapped at strides 4 to 32; sides are
    multiples of 32.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        proposals: int,
        objectness: Objectness,
        box_head: Literal["2fc", "4conv1fc"],
    ) -> None:
        norm: Norm = "gn" if backbone.norm == "gn" else None
        strides = [stage.stride for stage in backbone.tapped]
        sizes = map_sizes(backbone, size)
        # The region proposals have no group norm even where all else has (Detectron's GN files).
        columns, rows = sizes[-1]
        rpn = RegionProposals(
            WIDTH,
            WIDTH,
            sizes=[*sizes, (-(-columns // 2), -(-rows // 2))],
            strides=[*strides, 2 * strides[-1]],
            sides=[(side,) for side in SIDES],
            objectness=objectness,
            framework=DETECTRON,
        )
        super().__init__(
            rpn,
            backbone.preparation,
            size=size,
            classes=classes,
            proposals=proposals,
            framework=DETECTRON,
        )
        self.strides = strides
        self.backbone = backbone
        self.pyramid = FPN([stage.channels for stage in backbone.tapped], WIDTH, norm=norm)
        # Every second cell, not a convolution: FPN, section 4.1.
        self.top = nn.MaxPool2d(1, 2)
        self.box_head = BoxHead(box_head, norm=norm)
        self.logits = nn.Linear(HIDDEN, classes + 1)
        self.offsets = nn.Linear(HIDDEN, 4 * self.regressed)

    def forward(self, images: Tensor) -> RegionPredictions:
        return self.find(self.pyramid(self.backbone(images)))

    def find(self, maps: list[Tensor]) -> RegionPredictions:
        """Propose regions on the pyramid's maps, and classify and regress them."""
        objectness, anchor_offsets = self.rpn([*maps, self.top(maps[-1])])
        proposals = self.propose(objectness, anchor_offsets)
        hidden = self.box_head(roi_align(maps, proposals, self.strides, BOX_SIDE, SAMPLES))
        rows = proposals.shape[:2]
        return RegionPredictions(
            objectness,
            anchor_offsets,
            proposals,
            self.logits(hidden).reshape(*rows, -1),
            self.offsets(hidden).reshape(*rows, self.regressed, 4),
        )


class MaskPredictions(NamedTuple):
    """Raw predictions of Mask R-CNN: those of the regions, and the boxes chosen for masks.

    boxes [B, D, 4] in pixels, scores [B, D] (0: no detection), labels [B, D], mask_logits [B, D, 1
    + classes, 28, 28].
    """

    regions: RegionPredictions
    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_logits: Tensor


class MaskHead(nn.Sequential):
    """Crops [N, 256, 14, 14] to mask logits [N, 1 + classes, 28, 28]."""

    def __init__(self, classes: int, *, norm: Norm) -> None:
        convolutions = chain(*(ConvNormReLU(WIDTH, WIDTH, 3, norm=norm) for _ in range(4)))
        super().__init__(
            *convolutions,
            nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2),
            nn.ReLU(inplace=True),
            # A mask for the background too, as in Detectron; detectron2 has none.
            nn.Conv2d(WIDTH, classes + 1, 1),
        )


class MaskRCNN(FasterRCNNFPN):
    """Faster R-CNN with a mask for each of the best `detections` boxes, which the forward pass
    chooses.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        proposals: int,
        objectness: Objectness,
        box_head: Literal["2fc", "4conv1fc"],
        detections: int,
    ) -> None:
        super().__init__(
            backbone,
            size=size,
            classes=classes,
            proposals=proposals,
            objectness=objectness,
            box_head=box_head,
        )
        self.detections = detections
        self.mask_head = MaskHead(classes, norm="gn" if backbone.norm == "gn" else None)

    def forward(self, images: Tensor) -> MaskPredictions:  # type: ignore[override]
        maps = self.pyramid(self.backbone(images))
        regions = self.find(maps)
        boxes, scores, labels = self.detect(regions)
        masks = self.mask_head(roi_align(maps, boxes, self.strides, MASK_SIDE, SAMPLES))
        return MaskPredictions(
            regions, boxes, scores, labels, masks.reshape(*scores.shape, *masks.shape[1:])
        )

    def detect(self, regions: RegionPredictions) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the boxes that get a mask."""
        selection = self.framework.selection
        return detect(
            regions.proposals,
            regions.logits,
            regions.offsets,
            self.size,
            selection.score,
            selection.iou,
            self.detections,
        )

    def postprocess(self, raw: MaskPredictions) -> list[Detections]:  # type: ignore[override]
        # The mask of each detection's own class, of which 0 is the background.
        own = raw.mask_logits.take_along_dim((raw.labels + 1)[:, :, None, None, None], dim=2)
        masks = own.squeeze(2).float().sigmoid()
        detections = []
        # Detections come best first, padding behind them.
        for image, count in enumerate((raw.scores > 0).sum(dim=1).tolist()):
            boxes, scores, labels = (
                values[image, :count] for values in (raw.boxes, raw.scores, raw.labels)
            )
            pasted = paste(masks[image, :count], boxes, self.size)
            detections.append(Detections(boxes, scores, labels, pasted))
        return detections

    def considered(  # type: ignore[override]
        self, raw: MaskPredictions, score: float
    ) -> list[Detections]:
        # The forward pass has chosen already.
        return self.postprocess(raw)

    def synthesize(  # type: ignore[override]
        self, raw: MaskPredictions, generator: torch.Generator
    ) -> tuple[MaskPredictions, dict[str, str | int]]:
        """Draw the scene's regions, and an ellipse in each box chosen of them as its mask."""
        regions, counts = super().synthesize(raw.regions, generator)
        boxes, scores, labels = self.detect(regions)
        counts |= {
            "candidates": self.detections,
            "above_threshold": int((scores > 0).sum()) // len(scores),
        }
        axis = torch.linspace(-1, 1, raw.mask_logits.shape[-1])
        ellipse = 5 * (1 - axis[:, None] ** 2 - axis**2)
        masks = ellipse.to(raw.mask_logits).expand(raw.mask_logits.shape)
        return MaskPredictions(regions, boxes, scores, labels, masks), counts
