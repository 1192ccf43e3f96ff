"""DenseNet-201 with elastic layers (Wang et al., Elastic: Improving CNNs with Dynamic Scaling
Policies), as in allenai/elastic.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNormReLU, norm_relu_conv

STEM = 64
GROWTH = 32
WIDTH = 64
"""Channels of the 1x1 of either path: half a bottleneck's."""


class ElasticLayer(nn.Module):
    """A dense layer of two paths that read one normalised map; the outputs of their 3x3 are added.

    In a `scaled` layer one path runs at half the resolution: it reads 2x2 means and is resized
    bilinearly.
    """

    def __init__(self, c_in: int, *, scaled: bool) -> None:
        super().__init__()
        self.normalised = nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(inplace=True))
        self.fine = nn.Sequential(
            *ConvNormReLU(c_in, WIDTH), nn.Conv2d(WIDTH, GROWTH, 3, padding=1, bias=False)
        )
        self.coarse = nn.Sequential(
            *ConvNormReLU(c_in, WIDTH), nn.Conv2d(WIDTH, GROWTH, 3, padding=1, bias=False)
        )
        self.pool = nn.AvgPool2d(2) if scaled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.normalised(x)
        fine, coarse = self.fine(x), self.coarse(self.pool(x))
        # Resized to the other path: allenai/elastic doubles, which fails at odd sides.
        if coarse.shape != fine.shape:
            coarse = F.interpolate(
                coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False
            )
        return fine + coarse


class ElasticBlock(nn.Module):
    """Elastic layers that each read the block's input and all maps before."""

    def __init__(self, c_in: int, layers: int, *, scaled: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ElasticLayer(c_in + i * GROWTH, scaled=scaled) for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, dim=1)))
        return torch.cat(maps, dim=1)


def elastic_densenet(*, layers: Sequence[int], taps: Sequence[str] | None = None) -> Backbone:
    """Build the network from the layers of its blocks; those of the last are not scaled.

    A stage's map is its transition's 1x1, which halves the channels, before the pool.
    """
    stem = nn.Sequential(
        nn.Conv2d(3, STEM, 7, 2, 3, bias=False), nn.BatchNorm2d(STEM), nn.ReLU(inplace=True)
    )
    steps: dict[str, nn.Module] = {"stem": stem, "pool0": nn.MaxPool2d(3, 2, 1)}
    stages = []
    channels = STEM
    for index, count in enumerate(layers, start=1):
        last = index == len(layers)
        # allenai/elastic asks whether the map is 7 high, which at 224 is the last block's.
        steps[f"block{index}"] = ElasticBlock(channels, count, scaled=not last)
        channels += count * GROWTH
        if last:
            steps["final"] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        else:
            steps[f"transition{index}"] = norm_relu_conv(channels, channels // 2)
            steps[f"pool{index}"] = nn.AvgPool2d(2)
            channels //= 2
        stages.append(Stage("final" if last else f"transition{index}", channels, stride=2 << index))
    return Backbone(steps, stages, taps=taps)
