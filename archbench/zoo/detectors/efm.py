"""The fusion heads of CSPNet's Table 2: CEM, the Global Fusion Model and the Exact Fusion Model
(section 3.2, Figure 6).

The paper draws them and prints their BFLOPs; the layers are chosen so that these come out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.yolo import ANCHORS, BOX, YOLO, levels
from archbench.zoo.layers import (
    SPP,
    Norm,
    SpatialAttention,
    add_common,
    chain,
    conv_leaky,
    maxout,
    upsample,
)

WIDTHS = (64, 128, 256)
"""Channels at strides 8, 16 and 32."""
ANCHORS_A_CELL = len(ANCHORS[0])


def halve(x: Tensor) -> Tensor:
    """Bring a map to half its size and twice its channels: 2x2 maxima and means."""
    # A choice: the paper does not say how a finer map comes down. This has no weights.
    return torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)], dim=1)


class Laterals(nn.Module):
    """The backbone's maps at strides 8, 16 and 32, narrowed to 64, 128 and 256 channels."""

    def __init__(self, backbone: Backbone, *, norm: Norm) -> None:
        super().__init__()
        self.backbone = backbone
        channels = (stage.channels for stage in backbone.tapped)
        self.narrow = nn.ModuleList(
            conv_leaky(c, width, 1, norm=norm) for c, width in zip(channels, WIDTHS, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        return [narrow(m) for narrow, m in zip(self.narrow, self.backbone(images), strict=True)]


class Pyramid(nn.Module):
    """The laterals, and the two coarser ones brought up to the next finer map, at strides 8 and
    16.
    """

    def __init__(self, backbone: Backbone, *, norm: Norm) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.laterals = Laterals(backbone, norm=norm)
        self.up3 = conv_leaky(middle, fine, 1, norm=norm)
        self.up4 = conv_leaky(coarse, middle, 1, norm=norm)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        laterals = self.laterals(images)
        fine, middle, coarse = laterals
        return laterals, [upsample(self.up3(middle), fine), upsample(self.up4(coarse), middle)]


def predictors(outputs: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(width, outputs, 1) for width in WIDTHS)


class ContextEnhancement(nn.Module):
    """CEM (Qin et al., ThunderNet, section 3.3): a 3x3 on each scale's sum of all laterals, as far
    as their channels go.
    """

    def __init__(self, backbone: Backbone, outputs: int, *, attention: bool, norm: Norm) -> None:
        super().__init__()
        self.laterals = Laterals(backbone, norm=norm)
        # Fitted: 1x1 gates give CEM (SAM) 1.2 % fewer BFLOPs than Table 2.
        gates = [
            SpatialAttention(width, 1, norm=norm) if attention else nn.Sequential()
            for width in WIDTHS
        ]
        self.convs = nn.ModuleList(
            chain(conv_leaky(width, width, 3, norm=norm), gate)
            for width, gate in zip(WIDTHS, gates, strict=True)
        )
        self.predictors = predictors(outputs)

    def forward(self, images: Tensor) -> list[Tensor]:
        laterals = self.laterals(images)
        maps = []
        for index, x in enumerate(laterals):
            for other in laterals[:index] + laterals[index + 1 :]:
                x = add_common(x, other)
            maps.append(self.convs[index](x))
        return [predict(m) for predict, m in zip(self.predictors, maps, strict=True)]


class GlobalFusion(nn.Module):
    """GFM: two 3x3 on each scale's Maxout of all three."""

    def __init__(self, backbone: Backbone, outputs: int, *, norm: Norm) -> None:
        super().__init__()
        self.pyramid = Pyramid(backbone, norm=norm)
        self.convs = nn.ModuleList(
            chain(conv_leaky(width, width, 3, norm=norm), conv_leaky(width, width, 3, norm=norm))
            for width in WIDTHS
        )
        self.predictors = predictors(outputs)

    def forward(self, images: Tensor) -> list[Tensor]:
        (fine, middle, coarse), (to_fine, to_middle) = self.pyramid(images)
        halved = halve(fine)
        gathered = [
            [fine, to_fine, upsample(to_middle, fine)],
            [middle, to_middle, halved],
            [coarse, halve(middle), halve(halved)],
        ]
        maps = [
            maxout(torch.cat(scale, dim=1), width)
            for scale, width in zip(gathered, WIDTHS, strict=True)
        ]
        return [
            predict(conv(m))
            for predict, conv, m in zip(self.predictors, self.convs, maps, strict=True)
        ]


class Fuse(nn.Module):
    """The Maxout of maps of one width, each behind a 3x3 of its own."""

    # The repository's author has Maxout before the concatenation in the small models (issues of
    # WongKinYiu/CrossStagePartialNetworks), which changes no convolution.

    def __init__(self, width: int, maps: int, *, norm: Norm) -> None:
        super().__init__()
        self.width = width
        self.convs = nn.ModuleList(conv_leaky(width, width, 3, norm=norm) for _ in range(maps))

    def forward(self, *maps: Tensor) -> Tensor:
        return maxout(
            torch.cat([conv(m) for conv, m in zip(self.convs, maps, strict=True)], dim=1),
            self.width,
        )


class ExactFusion(nn.Module):
    """EFM: each scale's Maxout of itself and its neighbours, each behind a 3x3 of its own.

    `attention` gates the finest scale by a 3x3. With `spp` the coarsest lateral is pooled by an SPP
    and compressed by a Maxout.
    """

    def __init__(
        self, backbone: Backbone, outputs: int, *, attention: bool, spp: bool, norm: Norm
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(backbone, norm=norm)
        self.spp = SPP() if spp else None
        fine, middle, coarse = WIDTHS
        self.fuse3 = Fuse(fine, 2, norm=norm)
        self.fuse4 = Fuse(middle, 3, norm=norm)
        self.fuse5 = Fuse(coarse, 2, norm=norm)
        # A 3x3 on the finest scale has the 0.200 BFLOPs that SAM adds in Table 2.
        self.attention = SpatialAttention(WIDTHS[0], 3, norm=norm) if attention else nn.Identity()
        self.predictors = predictors(outputs)

    def forward(self, images: Tensor) -> list[Tensor]:
        (fine, middle, coarse), (to_fine, to_middle) = self.pyramid(images)
        # The Maxout of a map and its pools is the widest pool; a 1x1 in its place would miss the
        # BFLOPs of Table 2.
        pooled = maxout(self.spp(coarse), WIDTHS[-1]) if self.spp else coarse
        maps = [
            self.attention(self.fuse3(fine, to_fine)),
            self.fuse4(middle, to_middle, halve(fine)),
            self.fuse5(pooled, halve(middle)),
        ]
        return [predict(m) for predict, m in zip(self.predictors, maps, strict=True)]


def cem(
    backbone: Backbone, *, size: tuple[int, int], classes: int, attention: bool = False
) -> YOLO:
    """Build CEM, or CEM (SAM), on any backbone that is tapped at strides 8, 16 and 32."""
    maps = levels(backbone, size)
    features = ContextEnhancement(
        backbone, ANCHORS_A_CELL * (BOX + classes), attention=attention, norm=backbone.norm or "bn"
    )
    return YOLO(features, maps, size=size, classes=classes)


def gfm(backbone: Backbone, *, size: tuple[int, int], classes: int) -> YOLO:
    """Build the Global Fusion Model on any backbone that is tapped at strides 8, 16 and 32."""
    maps = levels(backbone, size)
    return YOLO(
        GlobalFusion(backbone, ANCHORS_A_CELL * (BOX + classes), norm=backbone.norm or "bn"),
        maps,
        size=size,
        classes=classes,
    )


def efm(
    backbone: Backbone,
    *,
    size: tuple[int, int],
    classes: int,
    attention: bool = False,
    spp: bool = False,
) -> YOLO:
    """Build the Exact Fusion Model, with SAM or SPP, on any backbone that is tapped at strides 8,
    16 and 32.
    """
    maps = levels(backbone, size)
    features = ExactFusion(
        backbone,
        ANCHORS_A_CELL * (BOX + classes),
        attention=attention,
        spp=spp,
        norm=backbone.norm or "bn",
    )
    return YOLO(features, maps, size=size, classes=classes)
