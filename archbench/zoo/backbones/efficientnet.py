"""EfficientNet-B0 (Tan and Le, EfficientNet, Table 1), the official one and darknet's.

The official one is as in huggingface/pytorch-image-models, the other as in
WongKinYiu/CrossStagePartialNetworks, enetb0.cfg, whose table is another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from archbench.zoo.contracts import DARKNET, Backbone, Preparation, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU, Shortcut, SqueezeExcite, chain

STEM = 32
HEAD = 1280


def swish(
    c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> ConvNormReLU:
    """A normalised convolution with a swish."""
    return ConvNormReLU(c_in, c_out, kernel, stride=stride, groups=groups, activation=nn.SiLU)


def depthwise(expanded: int, kernel: int, stride: int, hidden: int, c_out: int) -> nn.Sequential:
    """What follows a block's expansion: a depthwise convolution, a gate, and a 1x1 without
    activation.
    """
    gate = SqueezeExcite(expanded, hidden, nn.SiLU())
    return chain(
        swish(expanded, expanded, kernel, stride=stride, groups=expanded),
        gate,
        ConvNorm(expanded, c_out, 1),
    )


def efficientnet(
    *,
    blocks: Sequence[tuple[int, int, int, int, int]],
    expands_first: bool,
    preparation: str,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build the network of a table: expanded channels, kernel, stride, hidden channels of the gate
    and output channels of each block.

    The expansion of a strided block is a step of its own (expand_c3 at stride 8): the last map of
    its resolution and the widest. The deepest map is the 1x1 of 1280 channels behind the last
    block.
    """
    channels, stride = STEM, 2
    steps: dict[str, nn.Module] = {"stem": swish(3, STEM, 3, stride=stride)}
    deepest: dict[int, Stage] = {}
    inner = []
    for index, (expanded, kernel, step, hidden, c_out) in enumerate(blocks, start=1):
        # enetb0.cfg expands 32 channels to 32 in the first block; Table 1's has nothing to expand.
        expand = swish(channels, expanded) if index > 1 or expands_first else nn.Sequential()
        rest = depthwise(expanded, kernel, step, hidden, c_out)
        if step > 1:
            wide = Stage(f"expand_c{stride.bit_length() - 1}", expanded, stride)
            inner.append(wide)
            steps[wide.name] = expand
            steps[f"block{index}"] = rest
        else:
            block = chain(expand, rest)
            steps[f"block{index}"] = Shortcut(block) if c_out == channels else block
        channels, stride = c_out, stride * step
        deepest[stride] = Stage(f"block{index}", channels, stride)
    steps["head"] = swish(channels, HEAD)
    deepest[stride] = Stage("head", HEAD, stride)
    backbone = Backbone(steps, list(deepest.values()), taps=taps, inner=inner)
    backbone.preparation = DARKNET if preparation == "darknet" else Preparation()
    return backbone
