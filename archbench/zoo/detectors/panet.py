"""YOLOv3 (SPP) with a path back down (Liu et al., PANet), as WongKinYiu/CrossStagePartialNetworks'
csresnext50-panet-spp.cfg has it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.yolo import ANCHORS, BOX, YOLO, levels
from archbench.zoo.detectors.yolov3 import WIDTHS, predictor, tower
from archbench.zoo.layers import Norm, conv_leaky, upsample


class Lateral(nn.Module):
    """Narrow a map and a coarser one to the same width and concatenate both, the coarser
    upsampled.
    """

    def __init__(self, c_in: int, coarse: int, width: int, *, norm: Norm) -> None:
        super().__init__()
        self.own = conv_leaky(c_in, width, 1, norm=norm)
        self.up = conv_leaky(coarse, width, 1, norm=norm)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        return torch.cat([self.own(x), upsample(self.up(coarse), x)], dim=1)


class Features(nn.Module):
    """Towers from the coarsest map up to the finest, and others back down beside them."""

    def __init__(self, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        c3, c4, c5 = (stage.channels for stage in backbone.tapped)
        fine, middle, coarse = WIDTHS
        self.backbone = backbone
        self.up5 = tower(c5, coarse, spp=True, norm=norm)
        self.lateral4 = Lateral(c4, coarse, middle, norm=norm)
        self.up4 = tower(2 * middle, middle, norm=norm)
        self.lateral3 = Lateral(c3, middle, fine, norm=norm)
        self.up3 = tower(2 * fine, fine, norm=norm)
        self.halve3 = conv_leaky(fine, middle, 3, stride=2, norm=norm)
        self.down4 = tower(2 * middle, middle, norm=norm)
        self.halve4 = conv_leaky(middle, coarse, 3, stride=2, norm=norm)
        self.down5 = tower(2 * coarse, coarse, norm=norm)
        self.predictors = nn.ModuleList(predictor(width, outputs, norm=norm) for width in WIDTHS)

    def forward(self, images: Tensor) -> list[Tensor]:
        c3, c4, c5 = self.backbone(images)
        n5 = self.up5(c5)
        n4 = self.up4(self.lateral4(c4, n5))
        p3 = self.up3(self.lateral3(c3, n4))
        # Concatenated, both ways, where Liu et al. add: the cfg file.
        p4 = self.down4(torch.cat([self.halve3(p3), n4], dim=1))
        p5 = self.down5(torch.cat([self.halve4(p4), n5], dim=1))
        return [predict(p) for predict, p in zip(self.predictors, (p3, p4, p5), strict=True)]


def panet_spp(backbone: Backbone, *, size: tuple[int, int], classes: int) -> YOLO:
    """Build PANet (SPP) on any backbone that is tapped at strides 8, 16 and 32."""
    maps = levels(backbone, size)
    return YOLO(
        Features(backbone, len(ANCHORS[0]) * (BOX + classes)), maps, size=size, classes=classes
    )
