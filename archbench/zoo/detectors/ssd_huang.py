"""SSD (Liu et al.) in the form of Huang et al., Speed/accuracy trade-offs, section 3.

Maps are the backbone's taps and extra layers, each half the size of the one before, with predictors
on the maps themselves. What the paper leaves open is as in tensorflow/models,
research/object_detection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import Shape, SingleStage, multibox
from archbench.zoo.layers import ConvNormReLU, L2Norm, Norm, chain
from archbench.zoo.ops.nms import Selection

SCALES = (0.2, 0.95)
"""Sides of the boxes of the first and of the last map, as shares of the image's shorter side; the
others lie evenly between.
"""
SMALLEST = 0.1
RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
SELECTION = Selection(score=1e-8, iou=0.6, per_image=100, per_class=100)


class Features(nn.Module):
    """The backbone's taps, the first L2-normalised where `l2_scale` is above 0, and a map of each
    depth of `extras`.
    """

    def __init__(
        self,
        backbone: Backbone,
        extras: Sequence[int],
        *,
        l2_scale: float,
        activation: type[nn.ReLU | nn.ReLU6],
    ) -> None:
        super().__init__()
        # All additional layers have batch norm, VGG's too (section 3.6).
        norm: Norm = backbone.norm or "bn"
        self.backbone = backbone
        self.channels = [*(stage.channels for stage in backbone.tapped), *extras]
        self.scale = L2Norm(self.channels[0], l2_scale) if l2_scale else nn.Identity()
        self.extras = nn.ModuleList(
            # The 1x1 before a strided 3x3 is the code's.
            chain(
                ConvNormReLU(c_in, depth // 2, 1, norm=norm, activation=activation),
                ConvNormReLU(depth // 2, depth, 3, stride=2, norm=norm, activation=activation),
            )
            for c_in, depth in zip(self.channels[len(backbone.tapped) - 1 :], extras, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        first, *maps = self.backbone(images)
        maps = [first, *maps]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return [self.scale(first), *maps[1:]]


class SSD(SingleStage):
    """SSD on the maps at strides 16 and 32, or those of a backbone's own form, and on `extras`."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: tuple[int, int],
        classes: int,
        predictor_kernel: int,
        extras: Sequence[int],
        l2_scale: float = 0.0,
        relu6: bool = False,
    ) -> None:
        features = Features(
            backbone, extras, l2_scale=l2_scale, activation=nn.ReLU6 if relu6 else nn.ReLU
        )
        shapes = _shapes(len(features.channels), min(size))
        heads = [
            multibox(c, len(level), 1 + classes, kernel=predictor_kernel)
            for c, level in zip(features.channels, shapes, strict=True)
        ]
        super().__init__(
            features,
            heads,
            shapes,
            size=size,
            classes=classes,
            preparation=backbone.preparation,
            selection=SELECTION,
            activation="sigmoid",
        )


def _shapes(maps: int, side: int) -> list[list[Shape]]:
    """Width and height of each map's boxes for images whose shorter side is `side`: three on the
    first, six on the others.
    """
    first, last = SCALES
    scales = [first + (last - first) * i / max(1, maps - 1) for i in range(maps)] + [1.0]
    shapes: list[list[Shape]] = []
    for scale, above in pairwise(scales):
        pairs = [*((scale, ratio) for ratio in RATIOS), (math.sqrt(scale * above), 1.0)]
        # The code leaves the first map three boxes (reduce_boxes_in_lowest_layer).
        pairs = pairs if shapes else [(SMALLEST, 1.0), (scale, 2.0), (scale, 1 / 2)]
        shapes.append(
            [(side * s * math.sqrt(ratio), side * s / math.sqrt(ratio)) for s, ratio in pairs]
        )
    return shapes
