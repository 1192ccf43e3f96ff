"""Faster R-CNN (Ren et al.) with the backbone's last stage as its second stage.

Regions are proposed on the map before that stage and cropped from it; the stage runs on every crop.
Its forms: Huang et al.'s (Speed/accuracy trade-offs, section 3), C4 (He et al., Deep Residual
Learning, appendix A) and the original one in Caffe.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.two_stage import (
    SAMPLES,
    Framework,
    Objectness,
    RegionPredictions,
    RegionProposals,
    TwoStage,
)
from archbench.zoo.ops.regions import crop_and_resize, roi_align, roi_pool

VECTOR_SIDE = 7
"""Crops that linear layers read: 7x7, or twice that before a pool."""


class FasterRCNN(TwoStage):
    """Faster R-CNN on any backbone that halves its maps; `crop` is a region's side, unless linear
    layers fix it.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        framework: Literal["tensorflow", "caffe", "detectron-c4"],
        proposals: int,
        anchors: int,
        rpn_width: int,
        objectness: Objectness,
        second_stage_pool: bool = False,
        crop: int = 14,
        per_image: int | None = None,
    ) -> None:
        split = backbone.split()
        form = Framework.named(framework, per_image=per_image)
        rpn = RegionProposals.on(
            split.trunk,
            size,
            anchors=anchors,
            width=rpn_width,
            objectness=objectness,
            framework=form,
        )
        super().__init__(
            rpn,
            backbone.preparation,
            size=size,
            classes=classes,
            proposals=proposals,
            framework=form,
        )
        self.trunk = split.trunk
        self.stride = split.trunk.stages[-1].stride
        self.pool = nn.MaxPool2d(2) if second_stage_pool else nn.Identity()
        self.crop = VECTOR_SIDE if split.vectors and not second_stage_pool else crop
        self.tail = split.tail
        self.average = nn.Identity() if split.vectors else nn.AdaptiveAvgPool2d(1)
        self.logits = nn.Linear(split.channels, classes + 1)
        self.offsets = nn.Linear(split.channels, 4 * self.regressed)

    def forward(self, images: Tensor) -> RegionPredictions:
        (features,) = self.trunk(images)
        objectness, anchor_offsets = self.rpn([features])
        proposals = self.propose(objectness, anchor_offsets)
        pooled = self.average(self.tail(self.pool(self._crop(features, proposals)))).flatten(1)
        batch = len(images)
        return RegionPredictions(
            objectness,
            anchor_offsets,
            proposals,
            self.logits(pooled).reshape(batch, self.proposals, -1),
            self.offsets(pooled).reshape(batch, self.proposals, self.regressed, 4),
        )

    def _crop(self, features: Tensor, proposals: Tensor) -> Tensor:
        if self.framework.region == "crop":
            return crop_and_resize(features, proposals, self.size, self.crop)
        if self.framework.region == "align":
            return roi_align([features], proposals, [self.stride], self.crop, SAMPLES)
        return roi_pool(features, proposals, self.stride, self.crop)
