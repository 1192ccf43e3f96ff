"""DAFS (Li et al., Dynamic Anchor Feature Selection for Single-Shot Object Detection), as far as
public text describes it.

RefineDet in which every refined anchor chooses the cells that its second prediction reads, and
whose maps are fused with the finer and the coarser ones (BFF). No code or layer list is public.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.refinement import RATIOS, STRIDES, Predictions, Refinement
from archbench.zoo.detectors.base.single_stage import multibox
from archbench.zoo.detectors.refinedet import L2_SCALES, TOP, WIDTH
from archbench.zoo.layers import ConvNormReLU, L2Norm, chain, flatten_predictions
from archbench.zoo.ops.boxes import decode, to_centres
from archbench.zoo.ops.deform import KERNEL, deform_conv2d

ANCHORS = len(RATIOS)


def conv3x3(c_in: int, c_out: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3x3 with bias."""
    return nn.Conv2d(c_in, c_out, 3, stride, 1)


class Trunk(nn.Module):
    """The backbone's maps at strides 8, 16 and 32 and one more; without normalisation in the
    backbone two are L2-normalised.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.channels = [*(stage.channels for stage in backbone.tapped), TOP]
        self.backbone = backbone
        scaled = [] if backbone.norm else list(zip(self.channels, L2_SCALES, strict=False))
        self.scales = nn.ModuleList(L2Norm(c, scale) for c, scale in scaled)
        self.top = chain(
            ConvNormReLU(self.channels[2], TOP // 2, 1, norm=None),
            ConvNormReLU(TOP // 2, TOP, 3, stride=2, norm=None),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images)
        scaled = [scale(m) for scale, m in zip(self.scales, maps, strict=False)]
        return [*scaled, *maps[len(scaled) :], self.top(maps[-1])]


class Fusion(nn.Module):
    """Bring maps to 256 channels and add to each the finer one, halved, and the fused coarser one,
    doubled.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        joints = len(channels) - 1
        self.lateral = nn.ModuleList(
            chain(ConvNormReLU(c, WIDTH, 3, norm=None), conv3x3(WIDTH, WIDTH)) for c in channels
        )
        # Inferred: RefineDet's transfer block with a strided 3x3 from the finer map.
        self.down = nn.ModuleList(conv3x3(WIDTH, WIDTH, stride=2) for _ in range(joints))
        self.up = nn.ModuleList(nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2) for _ in range(joints))
        self.last = nn.ModuleList(ConvNormReLU(WIDTH, WIDTH, 3, norm=None) for _ in channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        own = [lateral(m) for lateral, m in zip(self.lateral, maps, strict=True)]
        sums = [
            own[0],
            *(
                after + down(before)
                for down, (before, after) in zip(self.down, pairwise(own), strict=True)
            ),
        ]
        fused: list[Tensor] = []
        for level in reversed(range(len(sums))):
            x = sums[level] + self.up[level](fused[0]) if fused else sums[level]
            fused.insert(0, self.last[level](F.relu(x)))
        return fused


class AnchorConv(nn.Conv2d):
    """A 3x3 that reads cells of its own for each anchor, with `values` outputs an anchor."""

    def __init__(self, c_in: int, values: int) -> None:
        super().__init__(c_in, ANCHORS * values, KERNEL, padding=KERNEL // 2)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[override]
        return deform_conv2d(x, self.weight, self.bias, 1, KERNEL // 2, offsets, None)


class SelectingHead(nn.Module):
    """The second prediction of one level."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.offsets, self.logits = AnchorConv(WIDTH, 4), AnchorConv(WIDTH, classes + 1)

    def forward(self, x: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        return self.offsets(x, offsets), self.logits(x, offsets)


class DAFS(Refinement):
    """DAFS on any backbone that is tapped at strides 8, 16 and 32; sides are multiples of 64."""

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        trunk = Trunk(backbone)
        sizes = map_sizes(trunk, size)
        if any(fine != (2 * coarse[0], 2 * coarse[1]) for fine, coarse in pairwise(sizes)):
            raise UsageError("it needs maps that halve in width and height from one to the next")
        super().__init__(sizes, size=size, classes=classes)
        self.trunk = trunk
        self.arm = nn.ModuleList(multibox(c, ANCHORS, 2) for c in trunk.channels)
        self.fusion = Fusion(trunk.channels)
        self.odm = nn.ModuleList(SelectingHead(classes) for _ in trunk.channels)
        # Moves with the network: a list that is brought to a card has the host wait for it.
        self.taps = nn.Buffer(taps(), persistent=False)

    def forward(self, images: Tensor) -> Predictions:
        maps = self.trunk(images)
        arm = [head(m) for head, m in zip(self.arm, maps, strict=True)]
        priors = self.priors.boxes.split(self.levels)
        points = [
            select(m, p, self.taps, stride)
            for (m, _), p, stride in zip(arm, priors, STRIDES, strict=True)
        ]
        odm = [head(m, p) for head, m, p in zip(self.odm, self.fusion(maps), points, strict=True)]
        return self.predictions(arm, odm)


def taps() -> Tensor:
    """Give the places of a 3x3's taps relative to its middle, [9, 2], across and down."""
    reach = KERNEL // 2
    steps = range(-reach, reach + 1)
    return torch.tensor([(float(x), float(y)) for y in steps for x in steps])


def select(moves: Tensor, priors: Tensor, taps: Tensor, stride: int) -> Tensor:
    """Say where the taps of each anchor's 3x3 read: anchors' own offsets [B, A * 4, H, W] to taps'
    [B, A * 9 * 2, H, W], in cells, down and across.
    """
    # Inferred: taps lie at the centres of a 3x3 grid on the refined anchor.
    batch, _, rows, columns = moves.shape
    refined = to_centres(decode(flatten_predictions([moves], 4).float(), priors))
    centre, side = (refined / stride).split(2, dim=-1)
    shift = centre - to_centres(priors)[:, :2] / stride
    moved = shift[..., None, :] + taps * (side[..., None, :] / KERNEL - 1)
    return moved.flip(-1).view(batch, rows, columns, -1).permute(0, 3, 1, 2)
