"""ResNets and ResNeXt as darknet has them (WongKinYiu/CrossStagePartialNetworks, cfg): without
projections.

A shortcut between maps of different shapes adds what they have in common: the first channels, every
second cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from archbench.zoo.contracts import DARKNET, Backbone, Stage
from archbench.zoo.layers import ConvNorm, Leaky, Shortcut, chain, conv_leaky

STEM = 64


def basic(c_in: int, c_out: int, *, stride: int = 1) -> Shortcut:
    """Two 3x3, added to their input."""
    return Shortcut(
        chain(conv_leaky(c_in, c_out, 3, stride=stride), ConvNorm(c_out, c_out, 3)),
        Leaky(inplace=True),
    )


def bottleneck(c_in: int, middle: int, c_out: int, *, stride: int = 1, groups: int = 1) -> Shortcut:
    """1x1, 3x3 with the stride and the groups, 1x1, added to their input."""
    branch = chain(
        conv_leaky(c_in, middle, 1),
        conv_leaky(middle, middle, 3, stride=stride, groups=groups),
        ConvNorm(middle, c_out, 1),
    )
    return Shortcut(branch, Leaky(inplace=True))


def stem() -> dict[str, nn.Module]:
    """A 7x7 and a pool, each at stride 2."""
    # The pool is 2x2 where He et al. have 3x3 (resnet50.cfg).
    return {"stem": conv_leaky(3, STEM, 7, stride=2), "pool": nn.MaxPool2d(2, 2, ceil_mode=True)}


def basic_resnet(*, blocks: Sequence[int], taps: Sequence[str] | None = None) -> Backbone:
    """Build a ResNet of basic blocks: the first stage has 64 channels, every further one twice as
    many.
    """
    steps, stages, channels = stem(), [], STEM
    for index, count in enumerate(blocks):
        width = STEM << index
        first = basic(channels, width, stride=2 if index else 1)
        steps[f"stage{index + 2}"] = nn.Sequential(
            first, *(basic(width, width) for _ in range(1, count))
        )
        stages.append(Stage(f"stage{index + 2}", width, stride=4 << index))
        channels = width
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = DARKNET
    return backbone


def bottleneck_resnet(
    *,
    blocks: Sequence[int],
    middle: int,
    groups: int = 1,
    pools_scores: bool = False,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a ResNet of bottlenecks or a ResNeXt: stage s has `middle` * 2^s channels in the middle
    and 256 * 2^s out.
    """
    steps, stages, channels = stem(), [], STEM
    for index, count in enumerate(blocks):
        width, c_out = middle << index, 4 * STEM << index
        first = bottleneck(channels, width, c_out, stride=2 if index else 1, groups=groups)
        others = (bottleneck(c_out, width, c_out, groups=groups) for _ in range(1, count))
        steps[f"stage{index + 2}"] = nn.Sequential(first, *others)
        stages.append(Stage(f"stage{index + 2}", c_out, stride=4 << index))
        channels = c_out
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = DARKNET
    backbone.pools_scores = pools_scores
    return backbone
