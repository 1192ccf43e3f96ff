"""The stacked hourglass network under CornerNet (Law and Deng, CornerNet, section 3.5), after
princeton-vl/CornerNet.

Residual blocks of stride 2 halve a map; nearest cells bring it back to exactly its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.backbones.resnet import Shape, basic
from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU, chain, upsample

STRIDE = 4


def residuals(c_in: int, c_out: int, count: int, *, stride: int = 1) -> nn.Sequential:
    """Chain residual blocks of two 3x3; the first has the stride and changes the width."""
    return nn.Sequential(
        *(
            basic(Shape(c_out if i else c_in, c_out, c_out, 1 if i else stride))
            for i in range(count)
        )
    )


class Hourglass(nn.Module):
    """Residual blocks on a map, summed with those on half of it, which hold the next hourglass.

    `channels` and `blocks` are those of this level and the ones below; the last number of blocks is
    the middle's.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        here, below = channels[:2]
        self.upper = residuals(here, here, blocks[0])
        self.down = residuals(here, below, blocks[0], stride=2)
        self.inner = (
            Hourglass(channels[1:], blocks[1:])
            if len(channels) > 2
            else residuals(below, below, blocks[1])
        )
        self.back = chain(residuals(below, below, blocks[0] - 1), residuals(below, here, 1))

    def forward(self, x: Tensor) -> Tensor:
        upper = self.upper(x)
        lower = self.back(self.inner(self.down(x)))
        return upper + upsample(lower, upper)


class Halfway(NamedTuple):
    """What a stack passes on: the map that it read, and its output."""

    read: Tensor
    made: Tensor


class Stack(nn.Module):
    """An hourglass that is not the last, and a 3x3."""

    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> Halfway:
        return Halfway(x, self.made(x))


class Join(nn.Module):
    """Sum what a stack read and gave, each behind a 1x1, for the next stack."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read, self.made = ConvNorm(width, width, 1), ConvNorm(width, width, 1)
        self.block = residuals(width, width, 1)

    def forward(self, halfway: Halfway) -> Tensor:
        x: Tensor = self.block(
            F.relu(self.read(halfway.read) + self.made(halfway.made), inplace=True)
        )
        return x


def hourglass(
    *,
    stem: int,
    channels: Sequence[int],
    blocks: Sequence[int],
    stacks: int,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build stacked hourglasses at stride 4 from the `channels` and `blocks` of each level; the
    last of `blocks` is the middle's.

    The steps stack1, stack2 ... may be tapped for predictions of their own; all but the last give a
    `Halfway`.
    """
    width = channels[0]
    first = basic(Shape(stem, width, width, 2))
    steps: dict[str, nn.Module] = {
        "stem": chain(ConvNormReLU(3, stem, 7, stride=2), nn.Sequential(first))
    }
    stages = [Stage("stem", width, STRIDE)]
    for number in range(1, stacks + 1):
        stack = chain(nn.Sequential(Hourglass(channels, blocks)), ConvNormReLU(width, width, 3))
        steps[f"stack{number}"] = stack if number == stacks else Stack(stack)
        if number < stacks:
            steps[f"join{number}"] = Join(width)
        stages.append(
            Stage(f"stack{number}" if number == stacks else f"join{number}", width, STRIDE)
        )
    return Backbone(steps, stages, taps=taps, tail=f"stack{stacks}")
