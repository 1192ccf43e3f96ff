"""ThunderNet (Qin et al., ThunderNet: Towards Real-time Generic Object Detection on Mobile Devices,
section 3.2).

A two-stage detector of few channels: context of three sizes is summed (CEM), the features of the
region proposals weigh its cells (SAM), and regions read position-sensitive maps. Thresholds are
those of qinzheng93/ThunderNet.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.shapes import map_sizes
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.two_stage import (
    SAMPLES,
    SIDES,
    UNIT,
    Framework,
    Objectness,
    RegionPredictions,
    RegionProposals,
    TwoStage,
)
from archbench.zoo.layers import ConvNorm, ConvNormReLU, chain, upsample
from archbench.zoo.ops.nms import Selection, Soft
from archbench.zoo.ops.regions import position_sensitive_align

STRIDE = 16
RATIOS = (1 / 2, 3 / 4, 1.0, 4 / 3, 2.0)
BINS = 7
CHANNELS = 5
"""Channels of a region's bins."""
CONTEXT = CHANNELS * BINS**2
RPN_WIDTH = 256
HIDDEN = 1024
FRAMEWORK = Framework(
    nn.ReLU,
    UNIT,
    2000,
    "align",
    Selection(score=0.05, iou=0.5, per_image=100, clip_first=True, soft=Soft()),
    background=False,
    resize="warp",
)


class ContextEnhancement(nn.Module):
    """Sum three views at stride 16: the map there, the map at stride 32, and the latter's mean."""

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        # With bias, without norm or ReLU, unlike the layers after them.
        self.fine, self.coarse, self.whole = (
            nn.Conv2d(fine, CONTEXT, 1),
            nn.Conv2d(coarse, CONTEXT, 1),
            nn.Conv2d(coarse, CONTEXT, 1),
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        x = self.fine(fine)
        x = x + upsample(self.coarse(coarse), x)
        return x + self.whole(F.adaptive_avg_pool2d(coarse, 1))


class ThunderNet(TwoStage):
    """ThunderNet on any backbone that is tapped at strides 16 and 32; all classes share one box a
    region.

    Its own layers have batch norm, whatever the backbone has: 32 groups do not divide 245 channels.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        proposals: int,
        objectness: Objectness,
    ) -> None:
        conv = chain(
            ConvNormReLU(CONTEXT, CONTEXT, 5, groups=CONTEXT), ConvNormReLU(CONTEXT, RPN_WIDTH, 1)
        )
        rpn = RegionProposals(
            CONTEXT,
            RPN_WIDTH,
            sizes=map_sizes(backbone, size)[:1],
            strides=[STRIDE],
            sides=[SIDES],
            ratios=RATIOS,
            objectness=objectness,
            framework=FRAMEWORK,
            conv=conv,
        )
        super().__init__(
            rpn,
            backbone.preparation,
            size=size,
            classes=classes,
            proposals=proposals,
            framework=FRAMEWORK,
        )
        self.backbone = backbone
        self.context = ContextEnhancement(*(stage.channels for stage in backbone.tapped))
        self.attention = chain(ConvNorm(RPN_WIDTH, CONTEXT, 1), nn.Sigmoid())
        # One layer and one box for all classes meet the published BFLOPs; the authors' code has two
        # layers and a box a class.
        self.hidden = chain(nn.Linear(CONTEXT, HIDDEN), nn.ReLU(inplace=True))
        self.logits = nn.Linear(HIDDEN, classes + 1)
        self.offsets = nn.Linear(HIDDEN, 4)

    def forward(self, images: Tensor) -> RegionPredictions:
        context = self.context(*self.backbone(images))
        features = self.rpn.conv(context)
        objectness, anchor_offsets = self.rpn.predict([features])
        proposals = self.propose(objectness, anchor_offsets)
        crops = position_sensitive_align(
            context * self.attention(features), proposals, STRIDE, BINS, SAMPLES
        )
        hidden = self.hidden(crops.flatten(1))
        rows = proposals.shape[:2]
        logits, offsets = (
            self.logits(hidden).reshape(*rows, -1),
            self.offsets(hidden).reshape(*rows, 1, 4),
        )
        return RegionPredictions(objectness, anchor_offsets, proposals, logits, offsets)
