"""PRN: YOLOv3-tiny with partial residual connections (Wang et al., Enriching Variety of Layer-wise
Learning Information by Gradient Combination), as WongKinYiu/PartialResidualNetworks'
yolov3-tiny-prn.cfg has it.

A shortcut adds the first channels of a map, as many as both have.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.yolo import ANCHORS, BOX, STRIDES, YOLO, levels
from archbench.zoo.layers import ACTIVATIONS, Activation, ConvNormReLU, Norm, add_common, upsample

COARSE, FINE = 256, 128
"""Channels at stride 32, and at finer ones."""
# The cfg file's masks 1, 2, 3 and 3, 4, 5 have one shape in common.
TWO_SCALES = (((23, 27), (37, 58), (81, 82)), ((81, 82), (135, 169), (344, 319)))
"""Anchors at strides 16 and 32."""


class Rise(nn.Module):
    """From a coarser map to a finer one's size: a 1x1, the finer map added, a 3x3, both inputs
    added to it again.

    Its outputs are the 3x3's own, which the next finer scale reads, and the sum.
    """

    def __init__(self, c_in: int, *, norm: Norm, activation: Activation) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        self.narrow = ConvNormReLU(c_in, FINE, 1, norm=norm, activation=act)
        self.conv = ConvNormReLU(FINE, FINE, 3, norm=norm, activation=act)
        self.activation = act(inplace=True)

    def forward(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        risen = upsample(self.narrow(coarse), fine)
        convolved = self.conv(self.activation(add_common(risen, fine)))
        total = self.activation(convolved + risen)
        return convolved, self.activation(add_common(total, fine))


class Features(nn.Module):
    """Residual convolutions at stride 32 and, rising from them, at each finer scale."""

    def __init__(self, backbone: Backbone, outputs: int, *, activation: Activation) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        *finer, deep = (stage.channels for stage in backbone.tapped)
        conv = partial(ConvNormReLU, norm=norm, activation=ACTIVATIONS[activation])
        self.backbone = backbone
        self.narrow = conv(deep, COARSE, 1)
        self.conv = conv(COARSE, COARSE, 3)
        self.activation = ACTIVATIONS[activation](inplace=True)
        inputs = [COARSE, *[FINE] * (len(finer) - 1)]
        self.rises = nn.ModuleList(Rise(c, norm=norm, activation=activation) for c in inputs)
        self.predictors = nn.ModuleList(
            nn.Conv2d(c, outputs, 1) for c in (COARSE, *[FINE] * len(finer))
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        *finer, deep = self.backbone(images)
        narrow = self.narrow(deep)
        convolved = self.conv(narrow)
        maps = [self.activation(convolved + narrow)]
        for rise, fine in zip(self.rises, reversed(finer), strict=True):
            # The branch up leaves the 3x3 before its sum.
            convolved, total = rise(convolved, fine)
            maps.append(total)
        return [predict(m) for predict, m in zip(self.predictors, maps, strict=True)][::-1]


def prn(backbone: Backbone, *, size: tuple[int, int], classes: int, activation: Activation) -> YOLO:
    """Build PRN on a backbone's maps at strides 16 and 32 and, for PRN-3l, 8."""
    # PRN-3l has no public cfg file; YOLOv3's anchors are a choice.
    strides = STRIDES[-len(backbone.tapped) :]
    anchors = TWO_SCALES if len(strides) == len(TWO_SCALES) else ANCHORS
    maps = levels(backbone, size, anchors, strides)
    features = Features(backbone, len(anchors[0]) * (BOX + classes), activation=activation)
    return YOLO(features, maps, size=size, classes=classes)
