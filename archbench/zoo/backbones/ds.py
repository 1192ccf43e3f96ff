"""DSOD's backbones DS/A-B-k-theta (Shen et al., DSOD, Tables 1 and 3), after the public code
szq0214/DSOD.

A is the width of the first convolution, B that of the 1x1 of a dense layer, k the growth rate,
theta the share of a block's channels that its transition keeps. The stem normalises after its
convolutions, everything else before them. Pools round up, as in Caffe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import ConvNormReLU, ceil_pool, chain, norm_relu_conv

LAYERS = (6, 8, 8, 8)
"""Layers of the dense blocks."""
POOLED = 2
"""How many transitions, from the first on, have a pool after them."""


class DenseLayer(nn.Module):
    """Append `growth` channels to [B, c_in, H, W]: a 1x1 to `bottleneck` channels and a 3x3."""

    def __init__(self, c_in: int, bottleneck: int, growth: int) -> None:
        super().__init__()
        self.layer = chain(norm_relu_conv(c_in, bottleneck), norm_relu_conv(bottleneck, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layer(x)], dim=1)


def _stem(first: int, form: Literal["block", "conv7"]) -> tuple[dict[str, nn.Module], int]:
    """Make the steps to stride 4, with their channels: the paper's stem block, or a 7x7 for the
    rows of Table 3 without it.
    """
    # The paper does not say how wide the 7x7 is; A is assumed.
    if form == "conv7":
        return {"stem": ConvNormReLU(3, first, 7, stride=2), "pool0": nn.MaxPool2d(3, 2, 1)}, first
    block = chain(
        ConvNormReLU(3, first, 3, stride=2),
        ConvNormReLU(first, first, 3),
        ConvNormReLU(first, 2 * first, 3),
    )
    return {"stem": block, "pool0": ceil_pool(2)}, 2 * first


def ds(
    *,
    first: int,
    bottleneck: int,
    growth: int,
    theta: float,
    stem: Literal["block", "conv7"],
    blocks: int,
    widths: Literal["table1", "from-a"],
    final_width: int | Literal["full"],
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build DS/`first`-`bottleneck`-`growth`-`theta`.

    A stage's map is its last transition's 1x1 output, before the pool; the paper's prediction reads
    c3 first.
    """
    steps, channels = _stem(first, stem)
    stages = [Stage("stem", channels, 2)]
    # Counted from A the plain detector has the 18.2M of section 4.1; Table 1's widths give 19.1M.
    width = first if widths == "from-a" else channels
    stride = 4
    for index, layers in enumerate(LAYERS[:blocks], start=1):
        steps[f"block{index}"] = nn.Sequential(
            *(DenseLayer(channels + i * growth, bottleneck, growth) for i in range(layers))
        )
        width = int(theta * (width + layers * growth))
        # Table 1 has 1568 channels at the end; szq0214/DSOD has 256 under the dense prediction.
        narrowed = width if index < blocks or final_width == "full" else final_width
        steps[f"transition{index}"] = norm_relu_conv(channels + layers * growth, narrowed)
        channels = narrowed
        if index <= POOLED or index == blocks:
            stages.append(Stage(f"transition{index}", channels, stride))
        if index <= POOLED:
            steps[f"pool{index}"] = ceil_pool(2)
            stride *= 2
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = Preparation(order="bgr", scale=255, mean=(104, 117, 123), std=(1, 1, 1))
    return backbone
