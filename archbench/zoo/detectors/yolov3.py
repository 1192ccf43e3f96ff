"""YOLOv3 (Redmon and Farhadi, YOLOv3: An Incremental Improvement, section 2), as AlexeyAB/darknet's
cfg files have it.

yolov3.cfg, yolov3-spp.cfg, yolov3-tiny.cfg; and the two-scale heads of
WongKinYiu/PartialResidualNetworks on PeleeNet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.yolo import ANCHORS, BOX, YOLO, levels
from archbench.zoo.layers import SPP, Norm, chain, conv_leaky, upsample

WIDTHS = (128, 256, 512)
"""Channels of a tower at strides 8, 16 and 32."""
TINY_STRIDES = (16, 32)
TINY_ANCHORS = (((10, 14), (23, 27), (37, 58)), ((81, 82), (135, 169), (344, 319)))
TINY, TINY_UP = 256, 128
"""Channels of the coarser map's 1x1 in two-scale heads, and of the 1x1 upward from it."""


def tower(c_in: int, width: int, *, spp: bool = False, norm: Norm) -> nn.Sequential:
    """Five convolutions, 1x1 and 3x3 in turn, to `width` channels; with `spp` the middle one's
    output is pooled and narrowed.
    """
    pooled = [SPP(), conv_leaky(4 * width, width, 1, norm=norm)] if spp else []
    return chain(
        conv_leaky(c_in, width, 1, norm=norm),
        conv_leaky(width, 2 * width, 3, norm=norm),
        conv_leaky(2 * width, width, 1, norm=norm),
        *pooled,
        conv_leaky(width, 2 * width, 3, norm=norm),
        conv_leaky(2 * width, width, 1, norm=norm),
    )


def predictor(width: int, outputs: int, *, norm: Norm) -> nn.Sequential:
    """The sixth convolution, a 3x3, and the predictions."""
    return chain(conv_leaky(width, 2 * width, 3, norm=norm), nn.Conv2d(2 * width, outputs, 1))


class Upward(nn.Module):
    """Bring a coarser map to a finer one's size, narrowed by a 1x1, and concatenate both."""

    def __init__(self, c_in: int, c_out: int, *, norm: Norm) -> None:
        super().__init__()
        self.narrow = conv_leaky(c_in, c_out, 1, norm=norm)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return torch.cat([upsample(self.narrow(coarse), fine), fine], dim=1)


class Features(nn.Module):
    """YOLOv3's three scales: a tower on each map, joined with the output of the coarser tower."""

    def __init__(self, backbone: Backbone, outputs: int, *, spp: bool) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        c3, c4, c5 = (stage.channels for stage in backbone.tapped)
        fine, middle, coarse = WIDTHS
        self.backbone = backbone
        self.tower5 = tower(c5, coarse, spp=spp, norm=norm)
        self.up4 = Upward(coarse, middle, norm=norm)
        self.tower4 = tower(middle + c4, middle, norm=norm)
        self.up3 = Upward(middle, fine, norm=norm)
        self.tower3 = tower(fine + c3, fine, norm=norm)
        self.predictors = nn.ModuleList(predictor(width, outputs, norm=norm) for width in WIDTHS)

    def forward(self, images: Tensor) -> list[Tensor]:
        c3, c4, c5 = self.backbone(images)
        p5 = self.tower5(c5)
        p4 = self.tower4(self.up4(p5, c4))
        p3 = self.tower3(self.up3(p4, c3))
        return [predict(p) for predict, p in zip(self.predictors, (p3, p4, p5), strict=True)]


class TinyFeatures(nn.Module):
    """Two scales: a 3x3 on the coarser map and one on the finer, joined with the coarser; `widths`
    are their channels, finer first.

    With a `bottleneck` two 1x1 precede the finer 3x3, to its width and back.
    """

    def __init__(
        self, backbone: Backbone, outputs: int, *, widths: tuple[int, int], bottleneck: bool
    ) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        c4, c5 = (stage.channels for stage in backbone.tapped)
        fine, coarse = widths
        both = TINY_UP + c4
        # Fitted: 163,840 weights at stride 16 bring PeleeNet-FPN to PeleeNet-YOLO's totals.
        narrowed = (
            chain(conv_leaky(both, fine, 1, norm=norm), conv_leaky(fine, both, 1, norm=norm))
            if bottleneck
            else nn.Sequential()
        )
        self.backbone = backbone
        self.narrow = conv_leaky(c5, TINY, 1, norm=norm)
        self.coarse = chain(conv_leaky(TINY, coarse, 3, norm=norm), nn.Conv2d(coarse, outputs, 1))
        self.up = Upward(TINY, TINY_UP, norm=norm)
        self.fine = chain(
            narrowed, conv_leaky(both, fine, 3, norm=norm), nn.Conv2d(fine, outputs, 1)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        c4, c5 = self.backbone(images)
        p5 = self.narrow(c5)
        return [self.fine(self.up(p5, c4)), self.coarse(p5)]


def yolov3(backbone: Backbone, *, size: tuple[int, int], classes: int, spp: bool = False) -> YOLO:
    """Build YOLOv3, or YOLOv3 (SPP), on any backbone that is tapped at strides 8, 16 and 32."""
    maps = levels(backbone, size)
    features = Features(backbone, len(ANCHORS[0]) * (BOX + classes), spp=spp)
    return YOLO(features, maps, size=size, classes=classes)


def yolov3_tiny(
    backbone: Backbone,
    *,
    size: tuple[int, int],
    classes: int,
    widths: tuple[int, int],
    merge_bottleneck: bool = False,
) -> YOLO:
    """Build a two-scale head on any backbone that is tapped at strides 16 and 32: YOLOv3-tiny's or,
    narrower, PeleeNet's.
    """
    maps = levels(backbone, size, TINY_ANCHORS, TINY_STRIDES)
    features = TinyFeatures(
        backbone, len(TINY_ANCHORS[0]) * (BOX + classes), widths=widths, bottleneck=merge_bottleneck
    )
    return YOLO(features, maps, size=size, classes=classes)
