"""DSNet (Zhang et al., ResNet or DenseNet? Introducing Dense Shortcuts to ResNet): ResNet's
convolutions, other shortcuts.

A block adds to its branch what all blocks before it in the stage gave, normalised without scale or
shift and weighted channel by channel (Eq. 12). A map is normalised once, whoever reads it (section
4.5). DS2Net has one such shortcut around the 3x3 too.

Inferred, since the paper does not say: only the first block reads the stage's input, projected as
in ResNet (`reading` r2; r1: all blocks do; r3: the first reads it without normalisation and
weight), N reads a map after its ReLU, and N has 32 groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Literal

import torch
from torch import Tensor, nn

from archbench.zoo.backbones.preact_resnet import preact_resnet
from archbench.zoo.backbones.res2net import block_parts, res2net
from archbench.zoo.backbones.resnet import (
    Residual,
    Shape,
    StrideOn,
    bottleneck,
    bottleneck_parts,
    bottleneck_resnet,
)
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import GROUPS, chain

Reading = Literal["r2", "r1", "r3"]
ShortcutNorm = Literal["gn", "ln", "bn", "in", "none"]
Source = Literal["y", "x"]


def groups_of(channels: int) -> int:
    """Groups of a normalisation: the most that divide the channels, at most 32, none of one
    channel.
    """
    return max(
        (n for n in range(1, min(GROUPS, channels // 2) + 1) if channels % n == 0), default=1
    )


@dataclass(frozen=True)
class Shortcuts:
    """How a network's shortcuts are made. `source` says whether they read sums (y, Eq. 12) or
    branches (x, Eq. 11).
    """

    reading: Reading = "r2"
    norm: ShortcutNorm = "gn"
    weight: bool = True
    source: Source = "y"

    def normalise(self, channels: int) -> nn.Module:
        """Make N for maps of so many channels."""
        if self.norm == "none":
            return nn.Identity()
        if self.norm == "bn":
            return nn.BatchNorm2d(channels, affine=False)
        # Layer and instance norm: group norms of one group and of one-channel groups (section 3.4).
        groups = {"gn": groups_of(channels), "ln": 1, "in": channels}[self.norm]
        return nn.GroupNorm(groups, channels, affine=False)


class WeightedSum(nn.Module):
    """Add other maps to a map [B, C, H, W], each times a weight per channel that begins at 1, or
    unweighted.
    """

    def __init__(self, channels: int, sources: int, *, weighted: bool) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.ones(1, channels, 1, 1) for _ in range(sources if weighted else 0)
        )

    def forward(self, x: Tensor, sources: Sequence[Tensor]) -> Tensor:
        if not self.weights:
            return reduce(torch.add, sources, x)
        # Products get no map of their own, and the sum grows in place.
        total = torch.addcmul(x, sources[0], self.weights[0])
        for source, weight in zip(sources[1:], self.weights[1:], strict=True):
            total.addcmul_(source, weight)
        return total


class DenseStage(nn.Module):
    """The blocks of a stage with dense shortcuts in place of their own: Y_l = X_l + sum of W_li *
    N(Y_i), then `activation`.

    A block's own shortcut stays where it changes a map's shape: the first block's projection, the
    stride of slim's last block.
    """

    def __init__(
        self, blocks: Sequence[Residual], shortcuts: Shortcuts, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        channels, reading = blocks[0].channels, shortcuts.reading
        # Of the readings r2 alone meets both the "less than 0.15%" of weights (section 4.2) and the
        # memory of Table 9.
        self.input_is_kept = reading == "r1"
        self.reads_branches = shortcuts.source == "x"
        self.branches = nn.ModuleList(block.branch for block in blocks)
        self.reshapes = nn.ModuleList(block.shortcut for block in blocks)
        # For the projected input and every block but the last, which nobody reads.
        self.norms = nn.ModuleList(shortcuts.normalise(channels) for _ in blocks)
        counts = [1, *(index + self.input_is_kept for index in range(1, len(blocks)))]
        self.sums = nn.ModuleList(
            WeightedSum(channels, count, weighted=shortcuts.weight) for count in counts
        )
        if reading == "r3":
            self.norms[0], self.sums[0] = nn.Identity(), WeightedSum(channels, 1, weighted=False)
        # Eq. 12 leaves the ReLU out; the blocks are ResNet's (section 3.3).
        self.activation = activation or nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        known: list[Tensor] = []
        for index, (branch, reshape, add) in enumerate(
            zip(self.branches, self.reshapes, self.sums, strict=True)
        ):
            sources = (
                [reshape(source) for source in known] if index else [self.norms[0](reshape(x))]
            )
            own = branch(x)
            x = self.activation(add(own, sources))
            if index == 0 and self.input_is_kept:
                known += sources
            if index + 1 < len(self.branches):
                known.append(self.norms[index + 1](own if self.reads_branches else x))
        return x


class InnerShortcut(nn.Module):
    """A layer and the weighted normalised shortcut around it: layer(a) + V * N(a); at stride 2, of
    every second pixel.
    """

    def __init__(self, layer: nn.Module, channels: int, stride: int, shortcuts: Shortcuts) -> None:
        super().__init__()
        # Added behind the layer's ReLU: the paper does not say; Table 9's memory fits this best.
        self.layer = layer
        self.norm = chain(
            nn.AvgPool2d(1, stride) if stride > 1 else nn.Identity(), shortcuts.normalise(channels)
        )
        self.sum = WeightedSum(channels, 1, weighted=shortcuts.weight)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.sum(self.layer(x), [self.norm(x)])
        return total


def with_inner(
    parts: tuple[nn.Module, nn.Module, nn.Module], shape: Shape, stride: int, shortcuts: Shortcuts
) -> Residual:
    """Join three parts to a bottleneck, with a shortcut around the second at its stride."""
    first, middle, last = parts
    inner = InnerShortcut(middle, shape.middle, stride, shortcuts)
    return Residual(chain(first, inner, last), shape, projected=shape.c_in != shape.c_out)


def dsnet(
    *,
    blocks: Sequence[int],
    reading: Reading,
    shortcut_norm: ShortcutNorm,
    shortcut_weight: bool,
    shortcut_source: Source,
    inner: bool = False,
    taps: Sequence[str] | None = None,
    **resnet: object,
) -> Backbone:
    """Build a DSNet or, with `inner` shortcuts, a DS2Net on the ResNet or ResNeXt that `resnet`
    says.
    """
    shortcuts = Shortcuts(reading, shortcut_norm, shortcut_weight, shortcut_source)

    def ds2(shape: Shape, *, stride_on: StrideOn) -> Residual:
        return with_inner(
            bottleneck_parts(shape, stride_on=stride_on),
            shape,
            1 if stride_on == "1x1" else shape.stride,
            shortcuts,
        )

    join = partial(DenseStage, shortcuts=shortcuts)
    return bottleneck_resnet(
        blocks=blocks,
        make=ds2 if inner else bottleneck,
        join=join,
        taps=taps,
        **resnet,  # type: ignore[arg-type]
    )


def ds2_res2net(
    *,
    blocks: Sequence[int],
    width: int,
    reading: Reading,
    shortcut_norm: ShortcutNorm,
    shortcut_weight: bool,
    shortcut_source: Source,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a DS2Net on a Res2Net: the shortcut within a block goes around all its scales."""
    shortcuts = Shortcuts(reading, shortcut_norm, shortcut_weight, shortcut_source)

    def make(shape: Shape) -> Residual:
        return with_inner(block_parts(shape), shape, shape.stride, shortcuts)

    return res2net(
        blocks=blocks,
        width=width,
        make=make,
        join=partial(DenseStage, shortcuts=shortcuts),
        taps=taps,
    )


def ds_wrn(
    *,
    reading: Reading,
    shortcut_norm: ShortcutNorm,
    shortcut_weight: bool,
    shortcut_source: Source,
    taps: Sequence[str] | None = None,
    **wrn: object,
) -> Backbone:
    """Build a DSNet on a pre-activation network: no ReLU after a sum, so that N reads the sum."""
    shortcuts = Shortcuts(reading, shortcut_norm, shortcut_weight, shortcut_source)
    join = partial(DenseStage, shortcuts=shortcuts, activation=nn.Identity())
    return preact_resnet(join=join, taps=taps, **wrn)  # type: ignore[arg-type]
