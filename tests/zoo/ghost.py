"""A plug-in of the tests: GhostNet (Han et al., GhostNet, Table 1) in small.

Two of its five stages have stride 32, and its classifier has a 1x1 behind the pool.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Head, Stage
from archbench.zoo.layers import ConvNormReLU

ENTRY = """
kind = "backbone"
builder = "ghostnet"
source = "Han et al., GhostNet, Table 1, in small"
input = "224x224"
classes = 1000
levels = ["c2", "c3", "c4", "c5"]
[networks.ghostnet-small]
"""
STEM = 8
WIDTHS = (8, 12, 20, 32)
LAST = 96
HEAD = 136


class Ghost(nn.Module):
    """Half of the channels by a 1x1, half by a cheap depthwise 3x3 of those."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        half = c_out // 2
        self.primary = ConvNormReLU(c_in, half, 1)
        self.cheap = ConvNormReLU(half, half, 3, groups=half)

    def forward(self, x: Tensor) -> Tensor:
        own = self.primary(x)
        return torch.cat([own, self.cheap(own)], dim=1)


def ghostnet(*, taps: Sequence[str] | None = None) -> Backbone:
    """Build it: a stage is a depthwise 3x3 of stride 2 and a ghost module."""
    steps: dict[str, nn.Module] = {"stem": ConvNormReLU(3, STEM, 3, stride=2)}
    stages = []
    channels = STEM
    for index, width in enumerate(WIDTHS):
        down = ConvNormReLU(channels, channels, 3, stride=2, groups=channels)
        steps[f"stage{index + 1}"] = nn.Sequential(down, Ghost(channels, width))
        stages.append(Stage(f"stage{index + 1}", width, 4 << index))
        channels = width
    steps["stage5"] = ConvNormReLU(channels, LAST, 1)
    stages.append(Stage("stage5", LAST, stages[-1].stride))
    layers = nn.Sequential(nn.Conv2d(LAST, HEAD, 1), nn.ReLU(inplace=True))
    return Backbone(steps, stages, taps=taps, head=Head(layers, HEAD))
