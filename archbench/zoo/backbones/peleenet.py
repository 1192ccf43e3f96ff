"""PeleeNet (Wang et al., Pelee, Table 1), its sparse and grouped forms and CSPPeleeNet (Wang et
al., CSPNet, Tables 1 and 3).

CSPNet prints what its networks cost and draws how their stages fuse; their layers are chosen so
that the costs come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import DARKNET, Backbone, Stage
from archbench.zoo.layers import (
    ACTIVATIONS,
    Activation,
    Branches,
    ConvNormReLU,
    SqueezeExcite,
    ceil_pool,
    chain,
)

STEM = 32
GROWTH = 32
GROUP_WIDTH = 4
"""Input channels of a group, where the first 3x3 of a way is grouped."""
REDUCTION = 16
"""How many times fewer channels a squeeze-and-excitation has inside."""

Fusion = Literal["both", "first", "last"]
Block = Literal["dense", "sparse", "grouped"]


@dataclass(frozen=True)
class Style:
    """The activation of a network's convolutions; whether a layer's 1x1 are gated or its 3x3
    grouped.
    """

    activation: Activation = "relu"
    se: bool = False
    grouped: bool = False

    def conv(
        self, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
    ) -> ConvNormReLU:
        activation = ACTIVATIONS[self.activation]
        return ConvNormReLU(
            c_in, c_out, kernel, stride=stride, groups=groups, activation=activation
        )

    def way(self, c_in: int, width: int, c_out: int) -> nn.Sequential:
        """A 1x1 to `width` channels and a 3x3."""
        # Fitted: a gate at this place brings PeleeNet to the 2.81M of CSPNet's Table 3.
        gate = (
            [SqueezeExcite(width, width // REDUCTION, ACTIVATIONS[self.activation]())]
            if self.se
            else []
        )
        # Fitted: groups of four channels, and none in a way's second 3x3, give PeleeNeXt the 0.837
        # BFLOPs of CSPNet's Table 1.
        groups = width // GROUP_WIDTH if self.grouped else 1
        return chain(self.conv(c_in, width), *gate, self.conv(width, c_out, 3, groups=groups))


PELEE = Style()


def stem(style: Style = PELEE) -> nn.Sequential:
    """The stem block, images to 32 channels at stride 4: a strided 3x3 beside a pool, fused by a
    1x1.
    """
    strided = chain(style.conv(STEM, STEM // 2), style.conv(STEM // 2, STEM, 3, stride=2))
    return chain(
        style.conv(3, STEM, 3, stride=2),
        # Pools round up, these and the stages' alike: Robert-JunWang/Pelee, the Caffe network.
        Branches(ceil_pool(2), strided),
        style.conv(2 * STEM, STEM),
    )


def ways(
    c_in: int, width: int, style: Style = PELEE, *, growth: int = GROWTH
) -> tuple[nn.Module, nn.Module]:
    """Half the growth by a 3x3 and half by two, each behind a 1x1 to `width` channels."""
    # The authors narrow a 1x1 of more than half its input's channels; PeleeNet has none.
    half = growth // 2
    return style.way(c_in, width, half), chain(
        style.way(c_in, width, half), style.conv(half, half, 3)
    )


def two_way(c_in: int, width: int, style: Style = PELEE, *, growth: int = GROWTH) -> Branches:
    """A dense layer: its input and the outputs of two ways."""
    return Branches(nn.Identity(), *ways(c_in, width, style, growth=growth))


def dense(c_in: int, width: int, layers: int, style: Style) -> nn.Sequential:
    """A dense block: each layer reads all channels before it and adds 32."""
    return nn.Sequential(*(two_way(c_in + i * GROWTH, width, style) for i in range(layers)))


def sources(layer: int) -> list[int]:
    """What a layer of a sparse block reads, nearest first: the layers 1, 2, 4, ... before it.

    Layers are numbered from 1; 0 is the block's input, read only at such a distance.
    """
    return [layer - (1 << power) for power in range(layer.bit_length())]


class SparseBlock(nn.Module):
    """Layers that read some of those before (Zhu et al., Sparsely Aggregated Networks); its output
    concatenates its input and all of them.
    """

    def __init__(self, c_in: int, width: int, layers: int, style: Style) -> None:
        super().__init__()
        channels = [c_in] + [GROWTH] * layers
        read = (
            sum(channels[source] for source in sources(layer)) for layer in range(1, layers + 1)
        )
        self.layers = nn.ModuleList(Branches(*ways(c, width, style)) for c in read)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for number, layer in enumerate(self.layers, start=1):
            maps.append(layer(torch.cat([maps[source] for source in sources(number)], dim=1)))
        return torch.cat(maps, dim=1)


def peleenet(
    *,
    layers: Sequence[int],
    widths: Sequence[int],
    block: Block = "dense",
    activation: Activation,
    se: bool,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build PeleeNet from the number of dense layers of each stage and the width of their 1x1;
    `block` is the kind of layer.

    A stage's map is that of its transition, which keeps the channels, before the pool.
    """
    style = Style(activation, se, grouped=block == "grouped")
    steps: dict[str, nn.Module] = {"stem": stem(style)}
    stages = []
    channels = STEM
    for index, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
        if index > 1:
            steps[f"pool{index - 1}"] = nn.AvgPool2d(2, ceil_mode=True)
        make = SparseBlock if block == "sparse" else dense
        steps[f"stage{index}"] = make(channels, width, count, style)
        channels += count * GROWTH
        steps[f"transition{index}"] = style.conv(channels, channels)
        stages.append(Stage(f"transition{index}", channels, stride=2 << index))
    backbone = Backbone(steps, stages, taps=taps)
    if block != "dense":
        backbone.preparation = DARKNET
    return backbone


class Partial(nn.Module):
    """A branch that the first `bypass` channels go round: its output, then these channels."""

    def __init__(self, bypass: int, branch: nn.Module) -> None:
        super().__init__()
        self.bypass = bypass
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch(x[:, self.bypass :]), x[:, : self.bypass]], dim=1)


class Added(nn.Module):
    """What a dense block adds to the `c_in` channels of its input."""

    def __init__(self, block: nn.Module, c_in: int) -> None:
        super().__init__()
        self.block = block
        self.c_in = c_in

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out[:, self.c_in :]


def first_stage(width: int, layers: int, fusion: Fusion, style: Style) -> nn.Module:
    """The stage behind the stem, whose dense block reads all of the stem's channels; they bypass it
    whole.
    """
    # Split like the others, this stage would miss the 44 % of CSPNet's section 4.5.
    block = dense(STEM, width, layers, style)
    if fusion == "first":
        return block
    added = layers * GROWTH
    bypass = style.conv(STEM, STEM) if fusion == "both" else nn.Identity()
    return Branches(nn.Sequential(Added(block, STEM), style.conv(added, added)), bypass)


def partial_stage(
    channels: int, bypass: int, width: int, layers: int, fusion: Fusion, style: Style
) -> Partial:
    """A partial dense block and, unless `fusion` is "first", the transition of its output."""
    c_in = channels - bypass
    block = dense(c_in, width, layers, style)
    c_out = c_in + layers * GROWTH
    return Partial(
        bypass, block if fusion == "first" else nn.Sequential(block, style.conv(c_out, c_out))
    )


def down(channels: int, bypass: int, fusion: Fusion, style: Style) -> nn.Module:
    """Halve a map between two stages, with the transition of a fused map, if any; the next stage's
    bypass comes first.
    """
    pool = nn.AvgPool2d(2, ceil_mode=True)
    if fusion == "last":
        return pool
    # Behind the pool: at the higher resolution the 1x1 would be the costliest convolution, against
    # the 44 % of CSPNet's section 4.5.
    if fusion == "both":
        return chain(pool, style.conv(channels, channels))
    # One 1x1 before its pool and one behind: only so the BFLOPs of Table 1 come out.
    return Branches(
        chain(pool, style.conv(channels, bypass)),
        chain(style.conv(channels, channels - bypass), pool),
    )


def csp_peleenet(
    *,
    layers: Sequence[int],
    widths: Sequence[int],
    gamma: float,
    fusion: Fusion,
    activation: Activation,
    se: bool,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build CSPPeleeNet: a share `gamma` of a stage's channels bypasses its dense block (CSPNet,
    section 3.1 and Figure 3).

    `fusion` says where the 1x1 transitions are: before the concatenation ("last"), after it
    ("first") or both. A stage's map is its concatenation; the last stage's is the transition after
    it, if any.
    """
    style = Style(activation, se)
    steps: dict[str, nn.Module] = {"stem": stem(style)}
    stages = []
    channels = STEM
    for index, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
        if index == 1:
            steps["stage1"] = first_stage(width, count, fusion, style)
        else:
            bypass = round(gamma * channels)
            steps[f"down{index - 1}"] = down(channels, bypass, fusion, style)
            steps[f"stage{index}"] = partial_stage(channels, bypass, width, count, fusion, style)
        channels += count * GROWTH
        stages.append(Stage(f"stage{index}", channels, stride=2 << index))
    if fusion != "first":
        steps["transition"] = style.conv(channels, channels)
        stages[-1] = Stage("transition", channels, stages[-1].stride)
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = DARKNET
    return backbone
