"""PFPNet (Kim et al., Parallel Feature Pyramid Network for Object Detection), after
chosj95/PFPNet.pytorch.

One wide map is pooled to the sizes of four levels; every level reads its own pooled map and the
bottlenecks of the others (MSCA). All convolutions of its neck follow a batch norm and a ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.shapes import map_sizes
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.refinement import RATIOS, Predictions, Refinement
from archbench.zoo.detectors.base.single_stage import SingleStage, multibox
from archbench.zoo.detectors.dsod import default_boxes, printed_steps
from archbench.zoo.layers import chain

LEVELS = 4
PART = 256
POOL = 3 * PART
"""Channels of the pooled maps."""
NARROW = 128
LAYERS = 300
"""SSD's set of maps whose default boxes PFPNet-S has."""


def normalised(channels: int) -> nn.Sequential:
    """Batch norm without parameters, and ReLU."""
    # Without scale and shift, as in the authors' code.
    return nn.Sequential(nn.BatchNorm2d(channels, affine=False), nn.ReLU(inplace=True))


def conv(c_in: int, c_out: int, kernel: int = 1) -> nn.Sequential:
    """Batch norm, ReLU and a convolution without bias."""
    return chain(normalised(c_in), nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False))


def resize(x: Tensor, rows: int, columns: int) -> Tensor:
    """Bring a map to a size: a larger one by means, a smaller one bilinearly."""
    if x.shape[2] > rows or x.shape[3] > columns:
        return F.adaptive_avg_pool2d(x, (rows, columns))
    return F.interpolate(x, size=(rows, columns), mode="bilinear", align_corners=False)


def level_sizes(first: int, second: int) -> list[tuple[int, int]]:
    """Halve the sides of the first map, rounded up, for each further level."""
    return [(-(-first >> level), -(-second >> level)) for level in range(LEVELS)]


class Pyramid(nn.Module):
    """Three maps of a backbone to a pool of four levels and the maps aggregated of it, 256 channels
    each.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.parts = nn.ModuleList(conv(stage.channels, PART) for stage in backbone.tapped)
        self.joint = conv(POOL, POOL)
        self.bottlenecks = nn.ModuleList(
            chain(conv(POOL, NARROW), conv(NARROW, PART, 3)) for _ in range(LEVELS)
        )
        context = POOL + (LEVELS - 1) * PART
        self.aggregate = nn.ModuleList(
            chain(conv(context, PART, 3), conv(PART, PART, 3), normalised(PART))
            for _ in range(LEVELS)
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Give the bottlenecks' maps and the aggregated ones, each at strides 8, 16, 32 and 64."""
        maps = self.backbone(images)
        rows, columns = maps[0].shape[-2:]
        parts = [part(m) for part, m in zip(self.parts, maps, strict=True)]
        pooled = self.joint(
            torch.cat([parts[0], *(resize(part, rows, columns) for part in parts[1:])], dim=1)
        )
        high = [
            resize(pooled, *sides) if level else pooled
            for level, sides in enumerate(level_sizes(rows, columns))
        ]
        low = [bottleneck(m) for bottleneck, m in zip(self.bottlenecks, high, strict=True)]
        aggregated = []
        for level, (aggregate, own) in enumerate(zip(self.aggregate, high, strict=True)):
            others = [resize(m, *own.shape[-2:]) for i, m in enumerate(low) if i != level]
            aggregated.append(aggregate(torch.cat([own, *others], dim=1)))
        return low, aggregated


class Aggregated(Pyramid):
    """The aggregated maps alone."""

    def forward(self, images: Tensor) -> list[Tensor]:  # type: ignore[override]
        return super().forward(images)[1]


class PFPNetR(Refinement):
    """PFPNet with RefineDet's two steps: anchors are refined on the bottlenecks' maps and
    classified on the aggregated ones.
    """

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        columns, rows = map_sizes(backbone, size)[0]
        super().__init__(level_sizes(columns, rows), size=size, classes=classes)
        self.pyramid = Pyramid(backbone)
        self.arm = nn.ModuleList(multibox(PART, len(RATIOS), 2) for _ in range(LEVELS))
        self.odm = nn.ModuleList(multibox(PART, len(RATIOS), 1 + classes) for _ in range(LEVELS))

    def forward(self, images: Tensor) -> Predictions:
        low, aggregated = self.pyramid(images)
        arm = [head(F.relu(m)) for head, m in zip(self.arm, low, strict=True)]
        return self.predictions(
            arm, [head(m) for head, m in zip(self.odm, aggregated, strict=True)]
        )


def pfpnet_s(backbone: Backbone, *, size: tuple[int, int], classes: int) -> SingleStage:
    """Build PFPNet with SSD's heads and the default boxes of its first four maps."""
    shapes = default_boxes(LAYERS, size=size, classes=classes)[:LEVELS]
    steps = printed_steps(LAYERS, size)
    heads = [multibox(PART, len(level), 1 + classes) for level in shapes]
    return SingleStage(
        Aggregated(backbone),
        heads,
        shapes,
        size=size,
        classes=classes,
        steps=steps[:LEVELS] if steps else None,
    )
