"""RefineDet (Zhang et al., Single-Shot Refinement Neural Network for Object Detection), as VoVNet's
Table 4 uses it.

Anchors are refined (ARM) and then classified and refined again (ODM); transfer connection blocks
(TCB) bring the maps of the first to the second, from the top down. What the paper leaves open is as
in sfzhang15/RefineDet.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.refinement import RATIOS, STRIDES, Predictions, Refinement
from archbench.zoo.layers import (
    ConvNorm,
    ConvNormReLU,
    L2Norm,
    Norm,
    ResidualBottleneck,
    chain,
    normalisation,
)

L2_SCALES = (10.0, 8.0)
TOP = 512
"""Channels of the map at stride 64."""
WIDTH = 256
"""Channels of the transfer connection blocks."""
HEAD = 1024
"""Channels that a head reads behind its residual block."""


class Transfer(nn.Module):
    """A transfer connection block: two 3x3, the upsampled block above added between them and a last
    3x3.
    """

    def __init__(self, c_in: int, *, top: bool, norm: Norm) -> None:
        super().__init__()
        self.first = ConvNormReLU(c_in, WIDTH, 3, norm=norm)
        self.second = ConvNorm(WIDTH, WIDTH, 3, norm=norm)
        self.last = ConvNormReLU(WIDTH, WIDTH, 3, norm=norm)
        if not top:
            # 2x2, and normalised like the convolutions: sfzhang15/RefineDet.
            doubled = nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2, bias=norm is None)
            self.up = nn.Sequential(doubled, *([normalisation(norm, WIDTH)] if norm else []))

    def forward(self, x: Tensor, above: Tensor | None) -> Tensor:
        x = self.second(self.first(x))
        if above is not None:
            x = x + self.up(above)
        return self.last(F.relu(x, inplace=True))


class Head(nn.Module):
    """Offsets and class logits of one level's priors: 3x3 convolutions with bias, behind a residual
    block on backbones with normalisation.
    """

    def __init__(self, c_in: int, logits: int, *, norm: Norm) -> None:
        super().__init__()
        # Not in the paper: the ResNet-101 script has a block before each head, and without them
        # VoVNet's Table 4 is missed by 25 to 40 %.
        self.block = ResidualBottleneck(c_in, WIDTH, HEAD, norm=norm) if norm else nn.Identity()
        channels = HEAD if norm else c_in
        self.offsets = nn.Conv2d(channels, 4 * len(RATIOS), 3, padding=1)
        self.logits = nn.Conv2d(channels, logits * len(RATIOS), 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.block(x)
        return self.offsets(x), self.logits(x)


class RefineDet(Refinement):
    """RefineDet on any backbone that is tapped at strides 8, 16 and 32; sides are multiples of
    64.
    """

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        super().__init__(
            [(size[0] // stride, size[1] // stride) for stride in STRIDES],
            size=size,
            classes=classes,
        )
        if tuple(stage.stride for stage in backbone.tapped) != STRIDES[:3]:
            raise UsageError("it reads maps at strides 8, 16 and 32")
        norm = backbone.norm
        channels = [*(stage.channels for stage in backbone.tapped), TOP]
        self.backbone = backbone
        # conv4_3 and conv5_3 of VGG-16 alone: maps behind batch norm are not L2-normalised.
        scaled = [] if norm else list(zip(channels, L2_SCALES, strict=False))
        self.scales = nn.ModuleList(L2Norm(c, scale) for c, scale in scaled)
        self.top: nn.Module
        if norm:
            self.top = ResidualBottleneck(channels[2], TOP // 4, TOP, stride=2, norm=norm)
        else:
            self.top = chain(
                ConvNormReLU(channels[2], TOP // 2, 1, norm=None),
                ConvNormReLU(TOP // 2, TOP, 3, stride=2, norm=None),
            )
        self.arm = nn.ModuleList(Head(c, 2, norm=norm) for c in channels)
        self.transfers = nn.ModuleList(
            Transfer(c, top=level == len(channels) - 1, norm=norm)
            for level, c in enumerate(channels)
        )
        self.odm = nn.ModuleList(Head(WIDTH, classes + 1, norm=norm) for _ in channels)

    def forward(self, images: Tensor) -> Predictions:
        maps = self.backbone(images)
        top = self.top(maps[-1])
        maps = (
            [scale(m) for scale, m in zip(self.scales, maps, strict=False)]
            + maps[len(self.scales) :]
            + [top]
        )
        arm = [head(m) for head, m in zip(self.arm, maps, strict=True)]
        transferred: list[Tensor] = []
        for transfer, m in zip(reversed(self.transfers), reversed(maps), strict=True):
            transferred.insert(0, transfer(m, transferred[0] if transferred else None))
        odm = [head(m) for head, m in zip(self.odm, transferred, strict=True)]
        return self.predictions(arm, odm)
