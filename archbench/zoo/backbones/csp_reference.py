"""Stand-ins for the Reference networks of CSPNet's Tables 3 to 5, of which the paper prints totals
alone.

Stages of partial dense blocks behind a 3x3, chosen so that the totals and the sizes of the
detectors on them come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from archbench.zoo.backbones.peleenet import Partial, Style, two_way
from archbench.zoo.contracts import DARKNET, Backbone, Stage
from archbench.zoo.layers import Branches, chain, conv_leaky

STEM = 32
# 512 at the end: the parameters of the classifier and of PRN's head (Tables 3 and 4) fit no other.
OUTPUTS = (64, 128, 256, 512)
"""Channels of the stages, at strides 4 to 32."""
# The plain networks have 2.1M weights more than "b", and these on the last map alone (Tables 3, 4).
WIDE = 2048
"""Channels between the two 1x1 that may follow the last stage."""

Layer = Callable[[int], nn.Module]


def stage(c_in: int, c_out: int, layers: int, growth: int, layer: Layer) -> nn.Sequential:
    """Half the channels bypass a dense block and its 1x1, the others go through them; a 1x1 merges
    both.

    `layer` makes a dense layer, which keeps its input, from its channels.
    """
    half = c_in // 2
    channels = half + layers * growth
    block = nn.Sequential(
        *(layer(half + i * growth) for i in range(layers)), *conv_leaky(channels, channels, 1)
    )
    return nn.Sequential(Partial(half, block), *conv_leaky(half + channels, c_out, 1))


def _build(
    stages: Sequence[tuple[int, int, Layer]], *, wide: bool, taps: Sequence[str] | None
) -> Backbone:
    """Chain the stem and the stages, each given as its layers, growth rate and maker of a layer.

    `wide` adds two 1x1 to the last stage.
    """
    steps: dict[str, nn.Module] = {"stem": conv_leaky(3, STEM, 3, stride=2)}
    ends = []
    channels = STEM
    for index, ((layers, growth, layer), c_out) in enumerate(
        zip(stages, OUTPUTS, strict=True), start=1
    ):
        steps[f"pool{index}"] = nn.MaxPool2d(2, 2, ceil_mode=True)
        last = index == len(stages)
        more = (
            chain(conv_leaky(c_out, WIDE, 1), conv_leaky(WIDE, c_out, 1))
            if last and wide
            else nn.Sequential()
        )
        steps[f"stage{index}"] = chain(stage(channels, c_out, layers, growth, layer), more)
        ends.append(Stage(f"stage{index}", c_out, stride=2 << index))
        channels = c_out
    backbone = Backbone(steps, ends, taps=taps)
    backbone.preparation = DARKNET
    return backbone


def csp_densenet(
    *, layers: Sequence[int], growth: int, wide: bool = False, taps: Sequence[str] | None = None
) -> Backbone:
    """Build stages of one-way dense layers: a 1x1 and a 3x3, both to `growth` channels."""

    def layer(c_in: int) -> nn.Module:
        return Branches(
            nn.Identity(), chain(conv_leaky(c_in, growth, 1), conv_leaky(growth, growth, 3))
        )

    return _build([(count, growth, layer) for count in layers], wide=wide, taps=taps)


def csp_peleenet(
    *,
    layers: Sequence[int],
    growths: Sequence[int],
    widths: Sequence[int],
    wide: bool = False,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build stages of PeleeNet's two-way layers: their number, growth rate and the width of their
    1x1, a stage each.
    """
    style = Style("leaky")

    def way(width: int, growth: int) -> Layer:
        return lambda c_in: two_way(c_in, width, style, growth=growth)

    rows = zip(layers, growths, widths, strict=True)
    return _build(
        [(count, growth, way(width, growth)) for count, growth, width in rows], wide=wide, taps=taps
    )
