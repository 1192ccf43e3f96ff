"""R-FCN (Dai et al.): the second stage runs once on the whole map, and regions vote in
position-sensitive maps.

Its forms: Huang et al.'s (Speed/accuracy trade-offs, section 3), with a box for each class, and the
original one in Caffe.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.two_stage import (
    Framework,
    Objectness,
    RegionPredictions,
    RegionProposals,
    TwoStage,
)
from archbench.zoo.layers import ConvNormReLU
from archbench.zoo.ops.regions import position_sensitive_crop, position_sensitive_pool

REDUCED = 1024
"""Channels that the position-sensitive maps read."""


class RFCN(TwoStage):
    """R-FCN on any backbone that halves its maps and whose last stage runs on whole maps.

    A region is cut into `bins` x `bins`, each of which reads maps of its own. `crop` is about the
    side of the whole crop that Huang et al. average: a bin has the nearest whole number of samples.
    Without `box_per_class` all classes share one box, and the background has another.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        framework: Literal["tensorflow", "caffe"],
        proposals: int,
        anchors: int,
        rpn_width: int,
        objectness: Objectness,
        bins: int,
        box_per_class: bool = True,
        crop: int = 18,
        per_image: int | None = None,
    ) -> None:
        form = Framework.named(framework, per_image=per_image)
        # Dai et al. dilate the last stage, which Huang et al. run as it is.
        split = backbone.split(dilated=form.region == "pool")
        if split.vectors:
            raise UsageError(
                "its second stage needs a feature map, but this backbone's last stage gives vectors"
            )
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
        self.trunk, self.tail = split.trunk, split.tail
        self.stride = backbone.stages[-1].stride
        self.bins, self.samples = bins, max(1, round(crop / bins))
        self.box_per_class = box_per_class
        self.reduce = ConvNormReLU(split.channels, REDUCED, 1, norm=None)
        self.logits = nn.Conv2d(REDUCED, bins * bins * (classes + 1), 1)
        self.offsets = nn.Conv2d(
            REDUCED, bins * bins * 4 * (self.regressed if box_per_class else 2), 1
        )

    def forward(self, images: Tensor) -> RegionPredictions:
        (features,) = self.trunk(images)
        objectness, anchor_offsets = self.rpn([features])
        proposals = self.propose(objectness, anchor_offsets)
        reduced = self.reduce(self.tail(features))
        logits, offsets = (
            self._vote(maps, proposals) for maps in (self.logits(reduced), self.offsets(reduced))
        )
        offsets = offsets.reshape(*offsets.shape[:2], -1, 4)
        return RegionPredictions(
            objectness,
            anchor_offsets,
            proposals,
            logits,
            # Nobody reads the background's box, which the Caffe network computes.
            offsets if self.box_per_class else offsets[:, :, 1:],
        )

    def _vote(self, maps: Tensor, proposals: Tensor) -> Tensor:
        """Average each region's bins, which read maps of their own: [B, bins * bins * C, H, W] to
        [B, P, C].
        """
        if self.framework.region == "crop":
            return position_sensitive_crop(maps, proposals, self.size, self.bins, self.samples)
        return position_sensitive_pool(maps, proposals, self.stride, self.bins)
