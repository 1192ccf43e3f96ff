"""SNet (Qin et al., ThunderNet, section 3.1): ShuffleNet v2 with 5x5 depthwise convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU, chain

BLOCKS = (4, 8, 4)
KERNEL = 5


def shuffle(x: Tensor) -> Tensor:
    """Take the channels of two halves in turns."""
    batch, channels, height, width = x.shape
    return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)


def separable(c_in: int, middle: int, *, stride: int = 1) -> nn.Sequential:
    """1x1, depthwise 5x5 and 1x1; no ReLU follows the depthwise one."""
    return chain(
        ConvNormReLU(c_in, middle, 1),
        depthwise(middle, stride=stride),
        ConvNormReLU(middle, middle, 1),
    )


def depthwise(channels: int, *, stride: int = 1) -> ConvNorm:
    """A depthwise 5x5."""
    return ConvNorm(channels, channels, KERNEL, stride=stride, groups=channels)


class Unit(nn.Module):
    """ShuffleNet v2's unit: half the channels pass, the others are convolved; both are
    shuffled.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = separable(width // 2, width // 2)

    def forward(self, x: Tensor) -> Tensor:
        passed, convolved = x.chunk(2, dim=1)
        return shuffle(torch.cat([passed, self.branch(convolved)], dim=1))


class Down(nn.Module):
    """ShuffleNet v2's unit of stride 2: both halves of the output come from the whole input."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        # Halves: qinzheng93/ThunderNet keeps c_in channels here, which misses the 535M of SNet535.
        self.left = chain(depthwise(c_in, stride=2), ConvNormReLU(c_in, c_out // 2, 1))
        self.right = separable(c_in, c_out // 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return shuffle(torch.cat([self.left(x), self.right(x)], dim=1))


def snet(
    *, stem: int, widths: Sequence[int], last: int = 0, taps: Sequence[str] | None = None
) -> Backbone:
    """Build an SNet from the `widths` of its stages and of a `last` 1x1 after them, if any."""
    steps: dict[str, nn.Module] = {
        "conv1": ConvNormReLU(3, stem, 3, stride=2),
        "pool": nn.MaxPool2d(3, 2, 1),
    }
    stages = [Stage("conv1", stem, 2), Stage("pool", stem, 4)]
    channels = stem
    for index, (count, width) in enumerate(zip(BLOCKS, widths, strict=True)):
        steps[f"stage{index + 2}"] = nn.Sequential(
            Down(channels, width), *(Unit(width) for _ in range(count - 1))
        )
        stages.append(Stage(f"stage{index + 2}", width, 8 << index))
        channels = width
    if last:
        steps["conv5"] = ConvNormReLU(channels, last, 1)
        stages.append(Stage("conv5", last, stages[-1].stride))
    return Backbone(steps, stages, taps=taps)
