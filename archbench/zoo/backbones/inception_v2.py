"""Inception v2: the network of Ioffe and Szegedy, Batch Normalization, as released in
tensorflow/models, research/slim.

Every convolution pads so that stride 1 keeps the size, and has batch norm and ReLU, but for the
depthwise part of the stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import Branches, ConvNormReLU, chain

MULTIPLIER = 8
"""Channels that the depthwise 7x7 makes of each colour."""

MIXED: dict[str, tuple[int, tuple[int, int], tuple[int, int, int], Literal["avg", "max"], int]] = {
    "mixed_3b": (64, (64, 64), (64, 96, 96), "avg", 32),
    "mixed_3c": (64, (64, 96), (64, 96, 96), "avg", 64),
    # The paper's 3c; from here on slim's names run ahead of Figure 5's.
    "mixed_4a": (0, (128, 160), (64, 96, 96), "max", 0),
    "mixed_4b": (224, (64, 96), (96, 128, 128), "avg", 128),
    "mixed_4c": (192, (96, 128), (96, 128, 128), "avg", 128),
    # 96 after the pool here and in the next, 576 channels: Figure 5 has 128 in its 4c and 4d, 608.
    "mixed_4d": (160, (128, 160), (128, 160, 160), "avg", 96),
    "mixed_4e": (96, (128, 192), (160, 192, 192), "avg", 96),
    "mixed_5a": (0, (128, 192), (192, 256, 256), "max", 0),
    "mixed_5b": (352, (192, 320), (160, 224, 224), "avg", 128),
    "mixed_5c": (352, (192, 320), (192, 224, 224), "max", 128),
}
"""Widths of a module's branches: 1x1; 1x1 and 3x3; 1x1, 3x3 and 3x3; the 3x3 pool's kind and its
1x1.

As in the paper's Figure 5, a module without the first and the last 1x1 halves the map; its pool has
the input's channels.
"""


class Inception(Branches):
    """A module from [B, c_in, H, W] to [B, `channels`, H/`stride`, W/`stride`], made of a row of
    `MIXED`.
    """

    def __init__(
        self,
        c_in: int,
        one: int,
        three: tuple[int, int],
        double: tuple[int, int, int],
        pool: Literal["avg", "max"],
        projection: int,
    ) -> None:
        self.stride = 1 if one else 2
        self.channels = one + three[-1] + double[-1] + (projection or c_in)
        # TensorFlow's means leave the padding out, torch's would count it.
        pooled = (
            nn.MaxPool2d(3, self.stride, 1)
            if pool == "max"
            else nn.AvgPool2d(3, self.stride, 1, count_include_pad=False)
        )
        branches = [
            chain(ConvNormReLU(c_in, three[0]), ConvNormReLU(*three, 3, stride=self.stride)),
            chain(
                ConvNormReLU(c_in, double[0]),
                ConvNormReLU(*double[:2], 3),
                ConvNormReLU(*double[1:], 3, stride=self.stride),
            ),
            chain(pooled, ConvNormReLU(c_in, projection)) if projection else pooled,
        ]
        super().__init__(*([ConvNormReLU(c_in, one)] if one else []), *branches)


def inception_v2(*, taps: Sequence[str] | None = None) -> Backbone:
    """Build Inception v2. Steps have the released code's names, conv1a for Conv2d_1a_7x7."""
    # Depthwise and 1x1 where Figure 5 has a plain 7x7. slim's classifier has a bias behind them;
    # the detectors of tensorflow/models have batch norm, and so has this.
    depthwise = nn.Conv2d(3, 3 * MULTIPLIER, 7, stride=2, padding=3, groups=3, bias=False)
    steps: dict[str, nn.Module] = {
        "conv1a": chain(depthwise, ConvNormReLU(3 * MULTIPLIER, 64)),
        "pool2a": nn.MaxPool2d(3, 2, 1),
        "conv2b": ConvNormReLU(64, 64),
        "conv2c": ConvNormReLU(64, 192, 3),
        "pool3a": nn.MaxPool2d(3, 2, 1),
    }
    deepest = {2: Stage("conv1a", 64, 2), 4: Stage("conv2c", 192, 4)}
    channels, stride = 192, 8
    for name, row in MIXED.items():
        steps[name] = module = Inception(channels, *row)
        channels, stride = module.channels, stride * module.stride
        deepest[stride] = Stage(name, channels, stride)
    # The single-shot detector of Huang et al. taps here.
    inner = Stage("mixed_4c", 576, 16)
    backbone = Backbone(steps, list(deepest.values()), taps=taps, inner=(inner,))
    backbone.preparation = Preparation(mean=(0.5,) * 3, std=(0.5,) * 3)
    return backbone
