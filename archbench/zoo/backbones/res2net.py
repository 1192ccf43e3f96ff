"""Res2Net-50 and Res2NeXt-50 (Gao et al., Res2Net), as in huggingface/pytorch-image-models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from archbench.zoo.backbones.resnet import (
    EXPANSION,
    STEM,
    Join,
    Residual,
    Shape,
    Trunk,
    in_sequence,
)
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import ConvNorm, ConvNormReLU, chain

SCALES = 4


class Scales(nn.Module):
    """A 3x3 on each quarter of the channels but the last; each but the first also reads the output
    of the one before.

    In the first block of a stage they do not: there they have the block's stride, and the last
    quarter is pooled.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        # The paper's Eq. 1 knows no such blocks; in the code every stage begins with one, the first
        # stage too.
        self.first = shape.c_in != shape.c_out
        width = shape.middle // SCALES
        self.convs = nn.ModuleList(
            ConvNormReLU(width, width, 3, stride=shape.stride, groups=shape.groups)
            for _ in range(SCALES - 1)
        )
        self.rest = nn.AvgPool2d(3, shape.stride, 1) if self.first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        # Eq. 1 leaves the first quarter as it is, the code the last.
        *parts, last = x.chunk(SCALES, dim=1)
        maps: list[Tensor] = []
        for conv, part in zip(self.convs, parts, strict=True):
            maps.append(conv(part + maps[-1] if maps and not self.first else part))
        return torch.cat([*maps, self.rest(last)], dim=1)


def block_parts(shape: Shape) -> tuple[nn.Sequential, Scales, nn.Sequential]:
    """The 1x1, the scales and the 1x1 of a block."""
    return (
        ConvNormReLU(shape.c_in, shape.middle, 1),
        Scales(shape),
        ConvNorm(shape.middle, shape.c_out, 1),
    )


def block(shape: Shape) -> Residual:
    """A bottleneck with scales in place of its 3x3."""
    return Residual(chain(*block_parts(shape)), shape, projected=shape.c_in != shape.c_out)


def res2net(
    *,
    blocks: Sequence[int],
    width: int,
    groups: int = 1,
    make: Callable[[Shape], nn.Module] = block,
    join: Join = in_sequence,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a Res2Net: stage s has `width` * 2^s channels a scale in the middle and 256 * 2^s out.

    `make` builds a block, `join` a stage of its blocks.
    """

    def shape(index: int) -> tuple[int, int]:
        return SCALES * width << index, STEM * EXPANSION << index

    return Trunk().build(make, blocks, shape, groups=groups, join=join, taps=taps)
