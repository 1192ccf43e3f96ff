"""M2Det (Zhao et al., M2Det: A Single-Shot Object Detector based on Multi-Level Feature Pyramid
Network), after qijiezhao/M2Det.

Eight U-shaped modules (TUM), each fed with the base map and the largest output of the one before,
give eight pyramids; maps of one size are concatenated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import SingleStage, multibox, ssd_shapes
from archbench.zoo.layers import ConvNormReLU, Norm, SqueezeExcite, normalisation, upsample
from archbench.zoo.ops.nms import Selection, Soft

TUMS, SCALES = 8, 6
WIDTH = 256
NARROW = 128
"""Channels to which the base map is reduced for a module."""
SHALLOW, DEEP = 256, 512
"""Channels of the base map's two parts."""
SQUEEZE = 16
SIZE = 320
SHARES = {"320": (8, 15, 33, 51, 69, 87, 105), "512": (6, 15, 33, 51, 69, 87, 105)}
"""Sides of the default boxes of each map, and of one more, in hundredths of the image's shorter
side.
"""
STEPS = (8, 16, 32, 64, 107, 320)
"""Pixels between the boxes of a map at 320x320."""
RATIOS = (2, 3)
SCORE, PER_CLASS = 0.1, 50


class Base(nn.Module):
    """Join the backbone's two maps (FFMv1)."""

    def __init__(self, shallow: int, deep: int, *, norm: Norm) -> None:
        super().__init__()
        self.shallow = ConvNormReLU(shallow, SHALLOW, 3, norm=norm)
        self.deep = ConvNormReLU(deep, DEEP, 1, norm=norm)

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        return torch.cat([self.shallow(shallow), upsample(self.deep(deep), shallow)], dim=1)


class TUM(nn.Module):
    """A thinned U-shape: five convolutions down, sums up again, a 1x1 behind each sum; six maps,
    the largest first.
    """

    def __init__(self, c_in: int, *, norm: Norm) -> None:
        super().__init__()
        strided = [
            ConvNormReLU(WIDTH if i else c_in, WIDTH, 3, stride=2, norm=norm)
            for i in range(SCALES - 2)
        ]
        self.down = nn.ModuleList([*strided, ConvNormReLU(WIDTH, WIDTH, 3, padding=0, norm=norm)])
        self.lateral = nn.ModuleList(
            ConvNormReLU(WIDTH if i else c_in, WIDTH, 3, norm=norm) for i in range(SCALES - 1)
        )
        self.top = ConvNormReLU(WIDTH, WIDTH, 1, norm=norm)
        self.smooth = nn.ModuleList(
            ConvNormReLU(WIDTH, WIDTH, 1, norm=norm) for _ in range(SCALES - 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for down in self.down:
            maps.append(down(maps[-1]))
        sums = [self.top(maps[-1])]
        for lateral, m in zip(reversed(self.lateral), reversed(maps[:-1]), strict=True):
            sums.insert(0, lateral(m) + upsample(sums[0], m))
        # The authors do not smooth the smallest map, and add maps before they are smoothed.
        return [*(smooth(m) for smooth, m in zip(self.smooth, sums[:-1], strict=True)), sums[-1]]


class Pyramid(nn.Module):
    """Six maps of 8 x 256 channels from a backbone's maps at strides 8 and 16."""

    def __init__(self, backbone: Backbone, *, tied: bool, sfam: bool) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        every = TUMS * WIDTH
        self.backbone = backbone
        self.base = Base(*(stage.channels for stage in backbone.tapped), norm=norm)
        reduce = [
            ConvNormReLU(SHALLOW + DEEP, NARROW, 1, norm=norm) for _ in range(1 if tied else TUMS)
        ]
        # The authors' code repeats one module in a list, so that its weights are shared, and has no
        # SFAM; the paper has eight reductions, and SFAM.
        self.reduce = nn.ModuleList(reduce * TUMS if tied else reduce)
        self.tums = nn.ModuleList(
            TUM(NARROW + WIDTH if i else NARROW, norm=norm) for i in range(TUMS)
        )
        gates = [
            SqueezeExcite(every, every // SQUEEZE, nn.ReLU(inplace=True))
            for _ in range((1 if tied else SCALES) if sfam else 0)
        ]
        self.attention = nn.ModuleList(gates * SCALES if tied else gates)
        self.norm = normalisation(norm, every)

    def forward(self, images: Tensor) -> list[Tensor]:
        base = self.base(*self.backbone(images))
        pyramids: list[list[Tensor]] = []
        for reduce, tum in zip(self.reduce, self.tums, strict=True):
            x = reduce(base)
            pyramids.append(tum(torch.cat([x, pyramids[-1][0]], dim=1) if pyramids else x))
        maps = [torch.cat(scale, dim=1) for scale in zip(*pyramids, strict=True)]
        if self.attention:
            maps = [gate(m) for gate, m in zip(self.attention, maps, strict=True)]
        # The authors' code normalises the largest map alone.
        return [self.norm(maps[0]), *maps[1:]]


def m2det(
    backbone: Backbone, *, size: tuple[int, int], classes: int, tied: bool, sfam: bool
) -> SingleStage:
    """Build M2Det on maps at strides 8 and 16; boxes are six a cell, clipped."""
    shares = SHARES["320" if min(size) <= SIZE else "512"]
    shapes = ssd_shapes([share * min(size) / 100 for share in shares], [RATIOS] * SCALES)
    heads = [multibox(TUMS * WIDTH, len(level), 1 + classes) for level in shapes]
    detector = SingleStage(
        Pyramid(backbone, tied=tied, sfam=sfam),
        heads,
        shapes,
        size=size,
        classes=classes,
        clipped=True,
        steps=STEPS if size == (SIZE, SIZE) else None,
    )
    # The authors' configuration bounds the detections of a class, not those of an image.
    detector.selection = Selection(
        score=SCORE,
        iou=0.45,
        per_image=detector.boxes * classes,  # type: ignore[operator]
        per_class=PER_CLASS,
        soft=Soft(),
    )
    return detector
