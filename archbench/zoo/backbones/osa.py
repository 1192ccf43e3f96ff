"""The OSA network that VoVNet's section 3.2 sets beside DenseNet-40.

The text gives layers and channels of a module. Inferred: a stem of 16 channels, and an aggregation
that keeps the width of the concatenation and is the transition.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from archbench.zoo.backbones.vovnet import OSA
from archbench.zoo.contracts import Backbone, Stage

STEM = 16
BLOCKS = 3


def osa(*, layers: int, channels: int, taps: Sequence[str] | None = None) -> Backbone:
    """Build three OSA modules of `layers` 3x3 with `channels` each, at strides 1, 2 and 4."""
    width = STEM
    steps: dict[str, nn.Module] = {"stem": nn.Conv2d(3, STEM, 3, padding=1, bias=False)}
    stages = []
    for index in range(BLOCKS):
        if index:
            steps[f"pool{index}"] = nn.AvgPool2d(2)
        # With 5 layers of 43 channels this width has DenseNet-40's multiply-adds, as the text says,
        # and a MAC (Eq. 1) of 2.57M, which it prints as 2.5M.
        concatenated = width + layers * channels
        steps[f"block{index + 1}"] = OSA(width, channels, concatenated, layers=layers)
        width = concatenated
        stages.append(Stage(f"block{index + 1}", width, stride=1 << index))
    return Backbone(steps, stages, taps=taps)
