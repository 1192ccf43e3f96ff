"""Cross-stage partial ResNet, ResNeXt and DarkNet53 (Wang et al., CSPNet, Figure 5), after the
authors' cfg files.

WongKinYiu/CrossStagePartialNetworks, cfg: csresnet50.cfg, csresnext50.cfg, csdarknet53.cfg.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archbench.zoo.backbones import darknet, darknet_resnet
from archbench.zoo.contracts import DARKNET, Backbone, Stage
from archbench.zoo.layers import ConvNorm, chain, conv_leaky


@dataclass(frozen=True)
class Row:
    """One stage: the channels of its strided 3x3 (0: none), of each part, inside a block and of the
    merged map; the number of its blocks.

    The part with the blocks begins with `entry` channels, if given. `linear` parts begin without an
    activation.
    """

    down: int
    part: int
    middle: int
    blocks: int
    merged: int
    entry: int = 0
    linear: bool = False


Block = Callable[[int, Row], nn.Module]
"""Makes a block from its input's channels."""


class CrossStage(nn.Module):
    """Two 1x1 on the same map: blocks follow one, the other bypasses them; both are concatenated
    and merged.
    """

    def __init__(self, c_in: int, row: Row, block: Block) -> None:
        super().__init__()
        # The cfg files begin the first stage of the ResNets with 64 channels, the stem's: its first
        # shortcut adds no more than these.
        entry = row.entry or row.part
        begin = ConvNorm if row.linear else conv_leaky
        # The paper splits the channels of the map (section 3.1); the cfg files read all of them
        # twice.
        self.bypass = begin(c_in, row.part, 1)
        blocks = (block(entry if index == 0 else row.part, row) for index in range(row.blocks))
        self.branch = chain(begin(c_in, entry, 1), *blocks, conv_leaky(row.part, row.part, 1))
        self.merge = conv_leaky(2 * row.part, row.merged, 1)

    def forward(self, x: Tensor) -> Tensor:
        bypass = self.bypass(x)
        out: Tensor = self.merge(torch.cat([self.branch(x), bypass], dim=1))
        return out


def _build(
    steps: dict[str, nn.Module],
    channels: int,
    rows: Sequence[Row],
    block: Block,
    *,
    groups: int = 1,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Append a stage for each row to the stem's `steps`; the last one is at stride 32."""
    stages = []
    for index, row in enumerate(rows, start=1):
        # Grouped like the blocks' 3x3: csresnext50.cfg.
        down = (
            conv_leaky(channels, row.down, 3, stride=2, groups=groups)
            if row.down
            else nn.Sequential()
        )
        cross = CrossStage(row.down or channels, row, block)
        name = f"stage{index}"
        steps[name] = chain(down, cross)
        channels = row.merged
        stages.append(Stage(name, channels, stride=32 >> (len(rows) - index)))
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = DARKNET
    return backbone


def csp_resnet(
    *, stages: Sequence[Mapping[str, Any]], groups: int = 1, taps: Sequence[str] | None = None
) -> Backbone:
    """Build CSPResNet-50 or, in `groups`, CSPResNeXt-50: bottlenecks behind a 7x7 and a pool."""

    def block(c_in: int, row: Row) -> nn.Module:
        return darknet_resnet.bottleneck(c_in, row.middle, row.part, groups=groups)

    rows = [Row(**stage) for stage in stages]
    return _build(darknet_resnet.stem(), darknet_resnet.STEM, rows, block, groups=groups, taps=taps)


def csp_darknet(
    *, stages: Sequence[Mapping[str, Any]], taps: Sequence[str] | None = None
) -> Backbone:
    """Build CSPDarkNet53: DarkNet53's blocks behind one 3x3."""

    def block(c_in: int, row: Row) -> nn.Module:
        return darknet.residual(c_in, row.middle)

    rows = [Row(**stage) for stage in stages]
    return _build({"stem": conv_leaky(3, darknet.STEM, 3)}, darknet.STEM, rows, block, taps=taps)
