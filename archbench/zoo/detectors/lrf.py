"""LRF (Wang et al., Learning Rich Features at High-Speed for Single-Shot Object Detection), after
vaesl/LRF-Net.

SSD whose maps are multiplied by those of a light network that is fed with the shrunken image (LSN),
then fused from the finer to the coarser ones and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import SingleStage
from archbench.zoo.detectors.rfbnet import NARROW, TAILS, WIDE, on_rfbnet_boxes
from archbench.zoo.layers import ConvNorm, ConvNormReLU, Norm, chain, normalisation

EXTRAS = {300: (512, 256), 512: (512, 256, 256, 256)}
"""Channels of the extra maps, each half as large as the one before; at 512 the last is predicted
from as it is.
"""
FUSED_EXTRAS = {300: 2, 512: 3}
"""How many of them are fused with the backbone's two."""
LIGHT = {300: (128, 256, 128), 512: (128, 256, 128, 64)}
"""Channels of the light network's maps, from stride 8 on."""
SHARED = 128
"""Channels in which a map comes to the finer ones."""


class Light(nn.Module):
    """The light network: the image, shrunk to an eighth by max pools, and its own maps, each
    brought to a width of its level.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int], *, norm: Norm) -> None:
        super().__init__()
        first = channels[0]
        steps: list[nn.Module] = [
            chain(
                ConvNormReLU(3, first, 3, norm=norm),
                ConvNormReLU(first, first, 1, norm=norm),
                ConvNormReLU(first, first, 3, norm=norm),
            )
        ]
        steps += [
            ConvNormReLU(before, c, 3, stride=2, norm=norm) for before, c in pairwise(channels)
        ]
        self.steps = nn.ModuleList(steps)
        self.sides = nn.ModuleList(
            ConvNorm(c, width, 1, norm=norm) for c, width in zip(channels, widths, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        for _ in range(3):
            # An odd side is padded, so that the maps have the size of those of pools that round up.
            x = F.max_pool2d(x, 2, 2, (x.shape[2] % 2, x.shape[3] % 2))
        maps = []
        for step, side in zip(self.steps, self.sides, strict=True):
            x = step(x)
            maps.append(side(x))
        return maps


class Extras(nn.Module):
    """SSD's extra maps, before their ReLU, and the ends: the last extra map at 512, and those of
    the final pairs.
    """

    def __init__(self, c_in: int, layers: int, *, norm: Norm) -> None:
        super().__init__()
        self.fused = FUSED_EXTRAS[layers]
        self.extras, self.tail = nn.ModuleList(), nn.ModuleList()
        for width in EXTRAS[layers]:
            self.extras.append(
                chain(
                    ConvNormReLU(c_in, c_in // 4, 1, norm=norm),
                    ConvNorm(c_in // 4, width, 3, stride=2, norm=norm),
                )
            )
            c_in = width
        for kernel, padding in TAILS[layers]:
            wide = ConvNormReLU(NARROW, WIDE, kernel, padding=padding, norm=norm)
            self.tail.append(chain(ConvNormReLU(c_in, NARROW, 1, norm=norm), wide))
            c_in = WIDE

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Give the maps to be fused and those to be predicted from as they are."""
        fused: list[Tensor] = []
        ends: list[Tensor] = []
        for extra in self.extras:
            linear = extra(x)
            x = F.relu(linear)
            if len(fused) < self.fused:
                fused.append(linear)
            else:
                ends.append(x)
        for pair in self.tail:
            x = pair(x)
            ends.append(x)
        return fused, ends


class BottomUp(nn.Module):
    """Multiply maps by the light network's and add to each the finer one, halved."""

    def __init__(self, widths: Sequence[int], *, norm: Norm) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            ConvNorm(before, w, 3, stride=2, norm=norm) for before, w in pairwise(widths)
        )
        self.fuse = nn.ModuleList(ConvNormReLU(w, w, 3, norm=norm) for w in widths)

    def forward(self, maps: Sequence[Tensor], light: Sequence[Tensor]) -> list[Tensor]:
        fused: list[Tensor] = []
        for level, m in enumerate(maps):
            x = m * light[level] if level < len(light) else m
            if level:
                x = self.down[level - 1](fused[-1]) + x
            fused.append(self.fuse[level](F.relu(x)))
        return fused


class TopDown(nn.Module):
    """Concatenate to each map but the last what all coarser ones share with it."""

    def __init__(self, widths: Sequence[int], *, norm: Norm) -> None:
        super().__init__()
        self.share = nn.ModuleList(ConvNormReLU(w, SHARED, 1, norm=norm) for w in widths[1:])
        coarser = range(len(widths) - 1, 0, -1)
        self.own = nn.ModuleList(ConvNormReLU(w, w // 2, 1, norm=norm) for w in widths[:-1])
        self.others = nn.ModuleList(
            ConvNormReLU(n * SHARED, w // 2, 1, norm=norm)
            for n, w in zip(coarser, widths, strict=False)
        )
        self.merge = nn.ModuleList(ConvNormReLU(w, w, 3, norm=norm) for w in widths[:-1])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        shared = [share(m) for share, m in zip(self.share, maps[1:], strict=True)]
        merged = []
        for level, m in enumerate(maps[:-1]):
            coarser = [
                F.interpolate(s, size=m.shape[-2:], mode="bilinear", align_corners=False)
                for s in shared[level:]
            ]
            both = torch.cat(
                [self.own[level](m), self.others[level](torch.cat(coarser, dim=1))], dim=1
            )
            merged.append(self.merge[level](both))
        return [*merged, maps[-1]]


class Features(nn.Module):
    """LRF's maps. Of three taps of a backbone the first two are maps before their ReLU, and the
    third is the second after it.
    """

    def __init__(self, backbone: Backbone, layers: int) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        base = [stage.channels for stage in backbone.tapped[:2]]
        widths = [*base, *EXTRAS[layers][: FUSED_EXTRAS[layers]]]
        self.backbone = backbone
        self.norms = nn.ModuleList(normalisation(norm, c) for c in base)
        self.light = Light(LIGHT[layers], widths, norm=norm)
        self.extras = Extras(base[1], layers, norm=norm)
        self.up, self.down = BottomUp(widths, norm=norm), TopDown(widths, norm=norm)
        self.channels = [
            *widths,
            *EXTRAS[layers][FUSED_EXTRAS[layers] :],
            *[WIDE] * len(TAILS[layers]),
        ]

    def forward(self, images: Tensor) -> list[Tensor]:
        first, second, *after = self.backbone(images)
        base = [norm(m) for norm, m in zip(self.norms, (first, second), strict=True)]
        fused, ends = self.extras(after[0] if after else second)
        return [*self.down(self.up([*base, *fused], self.light(images))), *ends]


def lrf(backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int) -> SingleStage:
    """Build LRF on maps at strides 8 and 16."""
    features = Features(backbone, layers)
    return on_rfbnet_boxes(features, features.channels, layers, size=size, classes=classes)
