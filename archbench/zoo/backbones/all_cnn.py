"""All-CNN-C (Springenberg et al., Striving for Simplicity, Tables 1 and 2): convolutions with
biases and ReLU, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNormReLU


def all_cnn(*, widths: Sequence[int], taps: Sequence[str] | None = None) -> Backbone:
    """Build three 3x3 of each width, the third at stride 2, then a 3x3 that is not padded and a
    1x1.

    The classifier is a 1x1 convolution before the global pool.
    """
    steps: dict[str, nn.Module] = {}
    stages = []
    channels = 3
    for index, width in enumerate(widths):
        for i in (1, 2, 3):
            steps[f"conv{3 * index + i}"] = ConvNormReLU(
                channels, width, 3, stride=2 if i == 3 else 1, norm=None
            )
            channels = width
        stages.append(Stage(f"conv{3 * index + 2}", width, 1 << index))
    count = len(steps)
    stages.append(Stage(f"conv{count}", channels, 1 << len(widths)))
    steps[f"conv{count + 1}"] = ConvNormReLU(channels, channels, 3, padding=0, norm=None)
    steps[f"conv{count + 2}"] = ConvNormReLU(channels, channels, 1, norm=None)
    backbone = Backbone(steps, stages, taps=taps, norm=None)
    backbone.pools_scores = True
    return backbone
