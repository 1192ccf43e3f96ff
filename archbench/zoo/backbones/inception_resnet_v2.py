"""Inception-ResNet v2 (Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning).

The paper's figures draw the modules. Their number, widths and scales, and the stem, which is
Inception v3's, are as released in tensorflow/models, research/slim. Its blocks are named for the
side of their map at 299x299.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.backbones.inception_v3 import STEM, Conv, Mixed, Padding, Pool, Row, trunk
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import ConvNorm, chain


class ScaledResidual(nn.Module):
    """Add `scale` times a branch's output to its input, with or without a ReLU."""

    def __init__(self, branch: nn.Module, *, scale: float, relu: bool) -> None:
        super().__init__()
        self.branch = branch
        self.scale = scale
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y = torch.add(x, self.branch(x), alpha=self.scale)
        return F.relu(y, inplace=True) if self.relu else y


@dataclass(frozen=True)
class Repeat:
    """A row of `times` residual blocks; a 1x1 brings each one's branches back to the input's
    channels.
    """

    times: int
    block: Mixed
    scale: float
    relu: bool = True
    stride: int = 1

    def make(self, c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
        blocks = []
        for _ in range(self.times):
            branches, width = self.block.make(c_in, padded=padded)
            # With bias, without norm or ReLU: slim.
            branch = chain(branches, ConvNorm(width, c_in, 1, norm=None))
            blocks.append(ScaledResidual(branch, scale=self.scale, relu=self.relu))
        return chain(*blocks), c_in


BLOCK35 = Mixed(
    [Conv(1, 32)],
    [Conv(1, 32), Conv(3, 32)],
    [Conv(1, 32), Conv(3, 48), Conv(3, 64)],
)
BLOCK8 = Mixed(
    [Conv(1, 192)],
    [Conv(1, 192), Conv((1, 3), 224), Conv((3, 1), 256)],
)


def block17(dilation: int) -> Mixed:
    """The block after Mixed_6a; its 1x7 and 7x1 may be dilated."""
    return Mixed(
        [Conv(1, 192)],
        [Conv(1, 128), Conv((1, 7), 160, dilation=dilation), Conv((7, 1), 192, dilation=dilation)],
    )


def table(stride: int, dilation: int) -> dict[str, Row]:
    """List the network's rows from the stride of Mixed_6a and the dilation of the blocks after
    it.
    """
    return {
        **STEM,
        # Not in the paper, which has the larger stem of Figure 3.
        "mixed_5b": Mixed(
            [Conv(1, 96)],
            [Conv(1, 48), Conv(5, 64)],
            [Conv(1, 64), Conv(3, 96), Conv(3, 96)],
            [Pool("avg"), Conv(1, 64)],
        ),
        # 10, 20 and 10 blocks here and below, where Figure 15 has 5, 10 and 5.
        "repeat": Repeat(10, BLOCK35, scale=0.17),
        "mixed_6a": Mixed(
            [Conv(3, 384, stride=stride, valid=True)],
            [Conv(1, 256), Conv(3, 256), Conv(3, 384, stride=stride, valid=True)],
            [Pool("max", stride=stride, valid=True)],
        ),
        "repeat_1": Repeat(20, block17(dilation), scale=0.1),
        "mixed_7a": Mixed(
            [Conv(1, 256), Conv(3, 384, stride=2, valid=True)],
            [Conv(1, 256), Conv(3, 288, stride=2, valid=True)],
            [Conv(1, 256), Conv(3, 288), Conv(3, 320, stride=2, valid=True)],
            [Pool("max", stride=2, valid=True)],
        ),
        "repeat_2": Repeat(9, BLOCK8, scale=0.2),
        # The tenth is not scaled and has no ReLU; the 1x1 after it is slim's too.
        "block8": Repeat(1, BLOCK8, scale=1.0, relu=False),
        "conv7b": Conv(1, 1536),
    }


def inception_resnet_v2(
    *, padding: Padding, output_stride: Literal[16, 8], taps: Sequence[str] | None = None
) -> Backbone:
    """Build Inception-ResNet v2 without its auxiliary classifier.

    `output_stride` is that of Mixed_6a: at 8 it has stride 1, the 20 blocks after it are dilated,
    and the last map has stride 16.
    """
    rows = table(stride=2, dilation=1) if output_stride == 16 else table(stride=1, dilation=2)
    return trunk(rows, padding, taps)
