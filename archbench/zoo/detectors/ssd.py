"""SSD (Liu et al., SSD: Single Shot MultiBox Detector, section 2), as published on VGG-16, HarDNet
and MobileNet.

The extra layers for 300 or for 512 run at any size that leaves their last map a cell.
`prediction="dense"` replaces SSD's layers behind the same maps of the backbone by DSOD's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from archbench.zoo.contracts import Backbone, Preparation
from archbench.zoo.detectors.base.single_stage import (
    CAFFE,
    RFB_SELECTION,
    SingleStage,
    multibox,
    ssd_shapes,
)
from archbench.zoo.detectors.dsod import (
    L2_SCALE,
    Features,
    Prediction,
    check_halves,
    default_boxes,
    predict,
    printed_steps,
)
from archbench.zoo.detectors.dssd import ResNetSSD
from archbench.zoo.detectors.rfbnet import FIRST_RATIOS
from archbench.zoo.layers import ConvNormReLU, L2Norm, Norm, chain


class Extra(NamedTuple):
    """An extra layer: a 1x1 to `narrow` channels and a convolution to `wide`."""

    narrow: int
    wide: int
    kernel: int = 3
    stride: int = 2
    padding: int = 1


EXTRAS = {
    300: (
        Extra(256, 512),
        Extra(128, 256),
        Extra(128, 256, stride=1, padding=0),
        Extra(128, 256, stride=1, padding=0),
    ),
    # The last one is a padded 4x4, from 2x2 cells to one: weiliu89/caffe, branch ssd.
    512: (Extra(256, 512), *[Extra(128, 256)] * 3, Extra(128, 256, kernel=4, stride=1)),
}

MOBILENET_EXTRAS = (Extra(256, 512), Extra(128, 256), Extra(128, 256), Extra(64, 128))
MOBILENET_SIZE = 300
MOBILENET_SIDES = (60, 105, 150, 195, 240, 285, 300)
"""Sides of the default boxes of each map, and of one more, in pixels of an image of 300."""
MOBILENET_RATIOS = ((2,), *[(2, 3)] * 5)
CENTRED = Preparation(order="bgr", scale=255, mean=(127.5,) * 3, std=(1 / 0.007843,) * 3)
"""What MobileNet-SSD does to pictures."""

RESNET_LAYERS = {321: 300, 513: 512}
"""SSD's set with as many maps, for each of the ResNets'."""


def check_layers(layers: int, sets: Sequence[int]) -> None:
    """Raise ValueError where a backbone's form has no such set of layers."""
    if layers not in sets:
        raise ValueError(
            f"its layers on this backbone are those of {' or '.join(map(str, sets))}, not of "
            f"{layers}"
        )


def _extras(c_in: int, extras: Sequence[Extra], norm: Norm) -> list[nn.Module]:
    """Chain extra layers behind a map of `c_in` channels."""
    layers: list[nn.Module] = []
    for extra in extras:
        wide = ConvNormReLU(
            extra.narrow,
            extra.wide,
            extra.kernel,
            stride=extra.stride,
            padding=extra.padding,
            norm=norm,
        )
        layers.append(chain(ConvNormReLU(c_in, extra.narrow, 1, norm=norm), wide))
        c_in = extra.wide
    return layers


def ssd_vgg(
    backbone: Backbone,
    *,
    size: tuple[int, int],
    classes: int,
    layers: int,
    prediction: Prediction,
    first: Sequence[float] = (2,),
    clipped: bool = False,
) -> SingleStage:
    """Build SSD as on VGG-16: maps at strides 8 and 16, the first L2-normalised for its head; extra
    layers with bias.

    `first` are the ratios of the first map's boxes; `clipped` cuts all boxes at the image's border.
    """
    check_layers(layers, tuple(EXTRAS))
    shapes = default_boxes(layers, size=size, classes=classes, first=first)
    steps = printed_steps(layers, size)
    if prediction == "dense":
        return predict(
            backbone,
            shapes,
            size=size,
            classes=classes,
            prediction=prediction,
            reduced=True,
            steps=steps,
            clipped=clipped,
        )
    check_halves(backbone)
    channels = [
        *(stage.channels for stage in backbone.tapped),
        *(extra.wide for extra in EXTRAS[layers]),
    ]
    features = Features(backbone, _extras(channels[1], EXTRAS[layers], None))
    before = [L2Norm(channels[0], L2_SCALE), *[None] * len(EXTRAS[layers]), None]
    heads = [
        multibox(c, len(level), 1 + classes, before=b)
        for c, level, b in zip(channels, shapes, before, strict=True)
    ]
    return SingleStage(
        features, heads, shapes, size=size, classes=classes, steps=steps, clipped=clipped
    )


def ssd_hardnet(
    backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int, prediction: Prediction
) -> SingleStage:
    """Build SSD as on HarDNet: with six boxes a cell on the first map, all cut at the border, and
    RFBNet's selection.
    """
    detector = ssd_vgg(
        backbone,
        size=size,
        classes=classes,
        layers=layers,
        prediction=prediction,
        first=FIRST_RATIOS,
        clipped=True,
    )
    detector.selection = RFB_SELECTION
    return detector


def ssd_mobilenet(
    backbone: Backbone,
    *,
    size: tuple[int, int],
    classes: int,
    layers: int,
    prediction: Prediction,
    kernel: int = 3,
    centred: bool = False,
) -> SingleStage:
    """Build SSD as on MobileNet: maps at strides 16 and 32, normalised extra layers, no L2
    normalisation.

    `kernel` is the side of the heads' kernels; `centred` prepares pictures as MobileNet-SSD does.
    """
    check_layers(layers, (MOBILENET_SIZE,))
    preparation = CENTRED if centred else CAFFE
    sides = [side * min(size) / MOBILENET_SIZE for side in MOBILENET_SIDES]
    shapes = ssd_shapes(
        sides, MOBILENET_RATIOS, between=[level > 0 for level in range(len(MOBILENET_RATIOS))]
    )
    if prediction == "dense":
        return predict(
            backbone,
            shapes,
            size=size,
            classes=classes,
            prediction=prediction,
            reduced=True,
            preparation=preparation,
        )
    channels = [
        *(stage.channels for stage in backbone.tapped),
        *(extra.wide for extra in MOBILENET_EXTRAS),
    ]
    features = Features(backbone, _extras(channels[1], MOBILENET_EXTRAS, backbone.norm or "bn"))
    heads = [
        multibox(c, len(level), 1 + classes, kernel=kernel)
        for c, level in zip(channels, shapes, strict=True)
    ]
    return SingleStage(features, heads, shapes, size=size, classes=classes, preparation=preparation)


def ssd_resnet(
    backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int, prediction: Prediction
) -> SingleStage:
    """Build SSD on a ResNet: Fu et al.'s, or with DSOD's layers and SSD's boxes behind its maps at
    strides 8 and 16.
    """
    check_layers(layers, tuple(RESNET_LAYERS))
    if prediction == "plain":
        return ResNetSSD(backbone, size=size, classes=classes, layers=layers)
    shapes = default_boxes(RESNET_LAYERS[layers], size=size, classes=classes)
    return predict(
        backbone, shapes, size=size, classes=classes, prediction=prediction, reduced=True
    )
