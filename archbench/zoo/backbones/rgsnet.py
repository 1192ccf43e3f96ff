"""RGSNet (Zhang et al., Revisiting Residual Networks with Nonlinear Shortcuts): shortcuts of ReLU
and group norm.

Only what the abstract and DSNet's text say of it is public; where the shortcuts sit, and that they
have no scale and shift, is inferred.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archbench.zoo.backbones.dsnet import groups_of
from archbench.zoo.backbones.resnet import (
    Residual,
    Shape,
    StrideOn,
    bottleneck_parts,
    bottleneck_resnet,
)
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import chain


def rg_shortcut(channels: int, stride: int = 1) -> nn.Sequential:
    """A shortcut of every pixel, or of every second one, through ReLU and group norm."""
    subsample = [nn.MaxPool2d(1, stride)] if stride > 1 else []
    return nn.Sequential(
        *subsample, nn.ReLU(), nn.GroupNorm(groups_of(channels), channels, affine=False)
    )


class Shortened(nn.Module):
    """A layer and a shortcut around it, summed."""

    def __init__(self, layer: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.layer, self.shortcut = layer, shortcut

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.layer(x) + self.shortcut(x)
        return total


def rgsnet(
    *, blocks: Sequence[int], identity: bool, taps: Sequence[str] | None = None, **resnet: object
) -> Backbone:
    """Build a ResNet with the shortcut around every 3x3 and, without `identity`, in place of the
    identity too.
    """

    def make(shape: Shape, *, stride_on: StrideOn) -> Residual:
        first, middle, last = bottleneck_parts(shape, stride_on=stride_on)
        around = rg_shortcut(shape.middle, 1 if stride_on == "1x1" else shape.stride)
        block = Residual(
            chain(first, Shortened(middle, around), last),
            shape,
            projected=shape.c_in != shape.c_out,
        )
        if not identity and shape.c_in == shape.c_out:
            block.shortcut = rg_shortcut(shape.c_out, shape.stride)
        return block

    return bottleneck_resnet(blocks=blocks, make=make, taps=taps, **resnet)  # type: ignore[arg-type]
