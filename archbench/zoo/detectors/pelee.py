"""Pelee (Wang et al., Pelee: A Real-Time Object Detection System on Mobile Devices, section 3.1).

An SSD on five maps, each behind a residual block. The first map has two pairs of heads, for boxes
of two sizes. What the paper leaves open is as in Robert-JunWang/Pelee.
"""

from __future__ import annotations

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Preparation
from archbench.zoo.detectors.base.single_stage import SingleStage, multibox, ssd_shapes
from archbench.zoo.layers import ConvNormReLU, ResidualBottleneck, chain

EXTRAS = ((256, 2, 1), (128, 1, 0), (128, 1, 0))
"""Channels of an extra layer's 1x1, stride and padding of its 3x3."""
BLOCK, WIDTH = 128, 256
"""Channels inside the residual blocks, and behind them and the extra layers."""
VOC = 20
SHARES = {"voc": (10, 20, 37, 54, 71, 88, 105), "coco": (7, 15, 33, 51, 69, 87, 105)}
"""Sides of the default boxes of each pair of heads, and of one more, in hundredths of the image's
shorter side.
"""
RATIOS = (2, 3)
PREPARATION = Preparation(
    order="bgr", scale=255, mean=(103.94, 116.78, 123.68), std=(1 / 0.017,) * 3
)


class Features(nn.Module):
    """The backbone's two maps and three more, each behind a residual block; the first comes
    twice.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        norm = backbone.norm or "bn"
        channels = [stage.channels for stage in backbone.tapped]
        self.backbone = backbone
        self.extras = nn.ModuleList()
        for narrow, stride, padding in EXTRAS:
            # Bias and no batch norm, unlike the blocks below: the authors' Caffe network.
            wide = ConvNormReLU(narrow, WIDTH, 3, stride=stride, padding=padding, norm=None)
            self.extras.append(chain(ConvNormReLU(channels[-1], narrow, 1, norm=None), wide))
            channels.append(WIDTH)
        self.blocks = nn.ModuleList(
            ResidualBottleneck(c, BLOCK, WIDTH, norm=norm) for c in channels
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        first, *others = (block(m) for block, m in zip(self.blocks, maps, strict=True))
        # The block runs once for its two pairs of heads.
        return [first, first, *others]


def pelee(backbone: Backbone, *, size: tuple[int, int], classes: int) -> SingleStage:
    """Build Pelee on maps at strides 16 and 32; heads are 1x1 with bias."""
    shares = SHARES["voc" if classes == VOC else "coco"]
    shapes = ssd_shapes([share * min(size) / 100 for share in shares], [RATIOS] * (len(shares) - 1))
    heads = [multibox(WIDTH, len(level), 1 + classes, kernel=1) for level in shapes]
    return SingleStage(
        Features(backbone), heads, shapes, size=size, classes=classes, preparation=PREPARATION
    )
