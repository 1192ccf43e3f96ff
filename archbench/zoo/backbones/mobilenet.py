"""MobileNet v1 (Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile
Vision Applications, Table 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import ConvNormReLU, chain

STEM = 32
UNITS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    # Table 1 prints stride 2 for this one too, but 7x7 before and after it.
    (1024, 1),
)
"""Output channels and stride of the depthwise separable units, a line a resolution."""


def separable(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """A depthwise 3x3, which has the stride, and a pointwise 1x1, each with batch norm and
    ReLU6.
    """
    # The paper says ReLU (section 3.2, Figure 3); tensorflow/models, research/slim, has ReLU6.
    return chain(
        ConvNormReLU(c_in, c_in, 3, stride=stride, groups=c_in, activation=nn.ReLU6),
        ConvNormReLU(c_in, c_out, 1, activation=nn.ReLU6),
    )


def mobilenet(*, width: float, taps: Sequence[str] | None = None) -> Backbone:
    """Build MobileNet with all channels times `width`, the paper's width multiplier.

    The steps conv0 to conv13 are the released code's Conv2d_0 to Conv2d_13; a unit is one step.
    """
    channels, stride = round(STEM * width), 2
    steps: dict[str, nn.Module] = {
        "conv0": ConvNormReLU(3, channels, 3, stride=stride, activation=nn.ReLU6)
    }
    deepest: dict[int, Stage] = {}
    for index, (base, step) in enumerate(UNITS, start=1):
        c_out = round(base * width)
        steps[f"conv{index}"] = separable(channels, c_out, step)
        channels, stride = c_out, stride * step
        deepest[stride] = Stage(f"conv{index}", channels, stride)
    backbone = Backbone(steps, list(deepest.values()), taps=taps)
    backbone.preparation = Preparation(mean=(0.5,) * 3, std=(0.5,) * 3)
    return backbone
