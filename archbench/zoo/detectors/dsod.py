"""DSOD (Shen et al., DSOD: Learning Deeply Supervised Object Detectors from Scratch, section 3 and
Table 1).

Its own layers begin with batch norm and ReLU, whatever the backbone has; what the paper leaves open
is as in szq0214/DSOD. SSD's default boxes and its two sets of maps are here too: DSOD uses them,
and `ssd` can use DSOD's prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Preparation
from archbench.zoo.detectors.base.single_stage import CAFFE, Head, Shape, SingleStage, ssd_shapes
from archbench.zoo.layers import Branches, ConvNorm, L2Norm, ceil_pool, chain, norm_relu_conv

Prediction = Literal["dense", "plain"]

VOC = 20
"""Classes of Pascal VOC: networks with as many have its default boxes, all others those for COCO's
smaller objects.
"""
SIDES = {
    (300, "voc"): (30, 60, 111, 162, 213, 264, 315),
    (300, "coco"): (21, 45, 99, 153, 207, 261, 315),
    (512, "voc"): (35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.6),
    (512, "coco"): (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72),
}
"""Sides of the default boxes of each map, and of one more, in pixels of an image of 300 or 512
(weiliu89/caffe, branch ssd).
"""
RATIOS = {
    300: ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    512: ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
}
# DSOD's last map at 300 has 2x2 cells and SSD's step for one: three lie outside the image.
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}
"""Pixels between the boxes of a map."""
WIDTHS = (256, 128, 128, 128, 128)
"""Half the channels of the third map and of those after it."""
L2_SCALE = 20.0


def default_boxes(
    layers: int, *, size: tuple[int, int], classes: int, first: Sequence[float] = (2,)
) -> list[list[Shape]]:
    """SSD's default boxes for its set of maps for 300 or 512, in proportion to the image's shorter
    side.

    `first` are the ratios of the first map, which not all of its descendants share.
    """
    sides = SIDES[layers, "voc" if classes == VOC else "coco"]
    return ssd_shapes([side * min(size) / layers for side in sides], [first, *RATIOS[layers][1:]])


def printed_steps(layers: int, size: tuple[int, int]) -> Sequence[float] | None:
    """The steps of SSD's scripts at the size they are for; None elsewhere: the image is divided
    evenly.
    """
    return STEPS[layers] if size == (layers, layers) else None


def learnt(c_in: int, width: int, c_out: int) -> nn.Sequential:
    """Halve a map [B, c_in, H, W] by convolutions: a 1x1 to `width`, a 3x3 with stride 2 to
    `c_out`.
    """
    return chain(norm_relu_conv(c_in, width), norm_relu_conv(width, c_out, 3, stride=2))


def down_block(c_in: int, width: int) -> Branches:
    """Halve a map to 2 * `width` channels, half of them reused, behind a pool, and half learnt
    (section 3.1).
    """
    return Branches(chain(ceil_pool(2), norm_relu_conv(c_in, width)), learnt(c_in, width, width))


class Second(nn.Module):
    """DSOD's second map: the trunk's last map, behind a 1x1 where `reduced`, and the first map,
    pooled and behind a 1x1.
    """

    def __init__(self, first: int, last: int, *, reduced: bool) -> None:
        super().__init__()
        width = WIDTHS[0]
        self.top = norm_relu_conv(last, width) if reduced else nn.Identity()
        self.reused = chain(ceil_pool(2), norm_relu_conv(first, width))
        self.channels = width + (width if reduced else last)

    def forward(self, first: Tensor, last: Tensor) -> Tensor:
        # Backbones that round down, unlike DSOD's own, give a smaller map than the pooled one.
        rows, columns = last.shape[-2:]
        return torch.cat([self.top(last), self.reused(first)[..., :rows, :columns]], dim=1)


class Features(nn.Module):
    """The backbone's maps, with `second` in place of the second, and those of the `extras`, each
    read by the next.
    """

    def __init__(
        self, backbone: Backbone, extras: Sequence[nn.Module], *, second: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.second = second
        self.extras = nn.ModuleList(extras)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images)
        if self.second is not None:
            maps[1] = self.second(*maps)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps


def check_halves(backbone: Backbone) -> None:
    """Raise ValueError where a backbone's maps are not each half the size of the one before."""
    strides = [stage.stride for stage in backbone.tapped]
    if any(following != 2 * stride for stride, following in pairwise(strides)):
        raise ValueError(
            f"its maps have strides {' and '.join(map(str, strides))}: each must be twice the "
            "previous one"
        )


def predict(
    backbone: Backbone,
    shapes: Sequence[Sequence[Shape]],
    *,
    size: tuple[int, int],
    classes: int,
    prediction: Prediction,
    reduced: bool = False,
    steps: Sequence[float] | None = None,
    preparation: Preparation = CAFFE,
    clipped: bool = False,
) -> SingleStage:
    """Put DSOD's prediction layers on a backbone's maps, each half the size of the one before, for
    boxes of `shapes`.

    In the dense form two maps of a backbone are joined, the last `reduced` to 256 channels; three
    are taken as they are. Every map is L2-normalised for its head.
    """
    check_halves(backbone)
    channels = [stage.channels for stage in backbone.tapped]
    second = (
        Second(*channels, reduced=reduced) if prediction == "dense" and len(channels) == 2 else None
    )
    if second is not None:
        channels[1] = second.channels
    extras: list[nn.Module] = []
    for width in WIDTHS[len(channels) - 2 : len(shapes) - 2]:
        extras.append(
            down_block(channels[-1], width)
            if prediction == "dense"
            else learnt(channels[-1], width, 2 * width)
        )
        channels.append(2 * width)
    heads = [_head(c, len(level), 1 + classes) for c, level in zip(channels, shapes, strict=True)]
    return SingleStage(
        Features(backbone, extras, second=second),
        heads,
        shapes,
        size=size,
        classes=classes,
        preparation=preparation,
        steps=steps,
        clipped=clipped,
    )


def _head(c_in: int, boxes: int, outputs: int) -> Head:
    """DSOD's head: like SSD's, with batch norm in place of the bias."""
    # Both are szq0214/DSOD's.
    return Head(
        ConvNorm(c_in, 4 * boxes, 3), ConvNorm(c_in, outputs * boxes, 3), L2Norm(c_in, L2_SCALE)
    )


def dsod(
    backbone: Backbone,
    *,
    size: tuple[int, int],
    classes: int,
    layers: int,
    prediction: Prediction,
    steps: bool = False,
) -> SingleStage:
    """Build DSOD on the two maps of its own backbones or on three; with `steps` boxes have the
    steps of its scripts.
    """
    shapes = default_boxes(layers, size=size, classes=classes)
    printed = printed_steps(layers, size) if steps else None
    return predict(
        backbone, shapes, size=size, classes=classes, prediction=prediction, steps=printed
    )
