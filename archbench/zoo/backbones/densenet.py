"""DenseNet (Huang et al., Densely Connected Convolutional Networks), for 224x224 and for 32x32
inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import chain, norm_relu_conv

BOTTLENECK = 4
"""Width of the 1x1 before a 3x3, in growth rates."""


class DenseBlock(nn.Module):
    """Layers that each read the block's input and all maps before, and add `growth` channels."""

    def __init__(self, c_in: int, growth: int, layers: int, *, bottleneck: bool) -> None:
        super().__init__()
        width = BOTTLENECK * growth
        self.layers = nn.ModuleList()
        for index in range(layers):
            c = c_in + index * growth
            narrow = norm_relu_conv(c, width) if bottleneck else nn.Sequential()
            self.layers.append(chain(narrow, norm_relu_conv(width if bottleneck else c, growth, 3)))
        self.channels = c_in + layers * growth

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, dim=1)))
        return torch.cat(maps, dim=1)


def _blocks(
    steps: dict[str, nn.Module],
    channels: int,
    growth: int,
    layers: Sequence[int],
    *,
    bottleneck: bool,
    compression: float,
    stride: int,
) -> list[Stage]:
    """Append dense blocks to `steps`, with a 1x1, whose output is the stage's map, and a pool
    between them; BN-ReLU at the end.
    """
    stages = []
    for index, count in enumerate(layers, start=1):
        block = DenseBlock(channels, growth, count, bottleneck=bottleneck)
        steps[f"block{index}"] = block
        channels = block.channels
        last = index == len(layers)
        if last:
            # Part of the trunk: without it DenseNet-161 misses the 66.76M of VoVNet's Table 4.
            steps["final"] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        else:
            narrowed = int(channels * compression)
            # Tapped here: under RefineDet the block's own output would miss VoVNet's Table 4 by 7 %
            # of the parameters.
            steps[f"transition{index}"] = norm_relu_conv(channels, narrowed)
            steps[f"pool{index}"] = nn.AvgPool2d(2)
            channels = narrowed
        stages.append(Stage("final" if last else f"transition{index}", channels, stride))
        stride *= 2
    return stages


def densenet(*, growth: int, layers: Sequence[int], taps: Sequence[str] | None = None) -> Backbone:
    """Build a DenseNet for large inputs: a 7x7 stem of two growth rates, bottlenecks, transitions
    that halve the channels.
    """
    stem = 2 * growth
    steps: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)
        ),
        "pool0": nn.MaxPool2d(3, 2, 1),
    }
    stages = _blocks(steps, stem, growth, layers, bottleneck=True, compression=0.5, stride=4)
    return Backbone(steps, stages, taps=taps)


def densenet_cifar(
    *,
    growth: int,
    layers: int,
    stem: int,
    bottleneck: bool = False,
    compression: float = 1.0,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a DenseNet for 32x32: 3x3 stem, three blocks of `layers` at strides 1, 2 and 4."""
    # Neither norm nor ReLU: every layer of the first block begins with its own.
    steps: dict[str, nn.Module] = {"stem": nn.Conv2d(3, stem, 3, padding=1, bias=False)}
    stages = _blocks(
        steps, stem, growth, [layers] * 3, bottleneck=bottleneck, compression=compression, stride=1
    )
    return Backbone(steps, stages, taps=taps)
