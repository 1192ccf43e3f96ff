"""RFBNet (Liu et al., Receptive Field Block Net for Accurate and Fast Object Detection), after
ruinmessi/RFBNet.

SSD whose extra layers and first map are receptive field blocks: branches of different kernels and
dilations beside a shortcut.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import RFB_SELECTION, SingleStage, multibox
from archbench.zoo.detectors.dsod import default_boxes, printed_steps
from archbench.zoo.layers import Branches, ConvNorm, ConvNormReLU, Norm, chain

FIRST, SECOND = 512, 1024
"""Channels of the first two prediction levels, behind their blocks."""
# From ruinmessi/RFBNet.
SCALE = 0.1
"""Weight of the branches beside the shortcut."""
# SSD's first map has ratio 2 alone, four boxes a cell rather than six.
FIRST_RATIOS = (2, 3)

BLOCKS = {300: ((512, 2), (256, 2)), 512: ((512, 2), (256, 2), (256, 1), (256, 1))}
"""Channels and dilation of the blocks that halve a map, for each set of layers."""
NARROW, WIDE = 128, 256
TAILS = {300: ((3, 0), (3, 0)), 512: ((4, 1),)}
"""Kernel and padding of the convolutions that follow them, each behind a 1x1."""


class Receptive(nn.Module):
    """Branches, concatenated and brought to `c_out` channels by a 1x1, summed with a 1x1 of the
    input, then ReLU.
    """

    def __init__(
        self,
        branches: Sequence[nn.Module],
        widths: int,
        c_in: int,
        c_out: int,
        *,
        stride: int = 1,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.branches = chain(
            nn.Sequential(Branches(*branches)), ConvNorm(widths, c_out, 1, norm=norm)
        )
        self.shortcut = ConvNorm(c_in, c_out, 1, stride=stride, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branches(x) * SCALE + self.shortcut(x), inplace=True)


def rfb_s(c_in: int, c_out: int, *, norm: Norm) -> Receptive:
    """Build the block for the first map (RFB-s)."""
    q = c_in // 4
    conv, last = partial(ConvNormReLU, norm=norm), partial(ConvNorm, q, q, 3, norm=norm)
    branches = [
        chain(conv(c_in, q, 1), last()),
        chain(conv(c_in, q, 1), conv(q, q, (3, 1)), last(dilation=3)),
        chain(conv(c_in, q, 1), conv(q, q, (1, 3)), last(dilation=3)),
        chain(
            conv(c_in, q // 2, 1),
            conv(q // 2, q // 4 * 3, (1, 3)),
            conv(q // 4 * 3, q, (3, 1)),
            last(dilation=5),
        ),
    ]
    return Receptive(branches, 4 * q, c_in, c_out, norm=norm)


def rfb(c_in: int, c_out: int, *, stride: int, dilation: int, norm: Norm) -> Receptive:
    """Build the block for the other maps (RFB)."""
    q = c_in // 8
    conv, last = partial(ConvNormReLU, norm=norm), partial(ConvNorm, 2 * q, 2 * q, 3, norm=norm)
    # Rates from the code: Figure 4 has 1, 3 and 5 in every block.
    middle = q // 2 * 3
    branches = [
        chain(conv(c_in, 2 * q, 1, stride=stride), last(dilation=dilation)),
        chain(conv(c_in, q, 1), conv(q, 2 * q, 3, stride=stride), last(dilation=dilation + 1)),
        chain(
            conv(c_in, q, 1),
            conv(q, middle, 3),
            conv(middle, 2 * q, 3, stride=stride),
            last(dilation=2 * dilation + 1),
        ),
    ]
    return Receptive(branches, 6 * q, c_in, c_out, stride=stride, norm=norm)


class Features(nn.Module):
    """The backbone's maps, each behind a block, and the layers that follow the second one."""

    def __init__(self, backbone: Backbone, layers: int) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        first, second = (stage.channels for stage in backbone.tapped)
        self.backbone = backbone
        self.first = rfb_s(first, FIRST, norm=norm)
        self.others = nn.ModuleList([rfb(second, SECOND, stride=1, dilation=2, norm=norm)])
        self.channels = [FIRST, SECOND]
        for width, dilation in BLOCKS[layers]:
            self.others.append(
                rfb(self.channels[-1], width, stride=2, dilation=dilation, norm=norm)
            )
            self.channels.append(width)
        for kernel, padding in TAILS[layers]:
            narrow = ConvNormReLU(self.channels[-1], NARROW, 1, norm=norm)
            self.others.append(
                chain(narrow, ConvNormReLU(NARROW, WIDE, kernel, padding=padding, norm=norm))
            )
            self.channels.append(WIDE)

    def forward(self, images: Tensor) -> list[Tensor]:
        first, x = self.backbone(images)
        maps = [self.first(first)]
        for layer in self.others:
            x = layer(x)
            maps.append(x)
        return maps


def on_rfbnet_boxes(
    features: nn.Module,
    channels: Sequence[int],
    layers: int,
    *,
    size: tuple[int, int],
    classes: int,
) -> SingleStage:
    """Put a head with RFBNet's default boxes, clipped, on each map of the features."""
    shapes = default_boxes(layers, size=size, classes=classes, first=FIRST_RATIOS)
    heads = [
        multibox(c, len(level), 1 + classes) for c, level in zip(channels, shapes, strict=True)
    ]
    return SingleStage(
        features,
        heads,
        shapes,
        size=size,
        classes=classes,
        selection=RFB_SELECTION,
        steps=printed_steps(layers, size),
        clipped=True,
    )


def rfbnet(backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int) -> SingleStage:
    """Build RFBNet on maps at strides 8 and 16."""
    features = Features(backbone, layers)
    return on_rfbnet_boxes(features, features.channels, layers, size=size, classes=classes)
