"""SSD on ResNets and DSSD (Fu et al., DSSD: Deconvolutional Single Shot Detector), and SSD on
ResNets as Liu et al. have it.

What the paper leaves open, and where it differs from its code, is as in the code:
chengyangfu/caffe, branch dssd, and for the last weiliu89/caffe, branch ssd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import Head, SingleStage, multibox, ssd_shapes
from archbench.zoo.layers import ConvNorm, ConvNormReLU, Norm, ResidualBottleneck, chain

STRIDES = (8, 16)
EXTRA = 1024
"""Channels of the extra maps."""
WIDTH = 256
"""Inner width of extra blocks and, except SSD513's, of prediction modules."""
DECODER = 512
"""Channels of the maps of DSSD's decoder, and of the convolutions before DSSD513's heads."""
RATIOS = (1.6, 2.0, 3.0)
# From chengyangfu/caffe: all of SSD's heads are 3x3.
LARGE_KERNELS = 2
"""How many of the maps, the finest, have heads of 5x5; those of the others are 3x3."""


@dataclass(frozen=True)
class Layers:
    """What SSD and DSSD have of their own at one of the two published sizes.

    `extras` are kernel and stride of the extra blocks; `steps` the pixels that a cell of each map
    spans at the published size; `shares` the sides of the maps' boxes, and of one map more, as
    shares of the image's shorter side; `modules` the inner widths of SSD's prediction modules.
    With `separate`, DSSD's offsets and logits have a convolution each behind the prediction module.
    """

    extras: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]
    shares: tuple[float, ...]
    modules: tuple[int, ...]
    separate: bool


LAYERS = {
    321: Layers(
        extras=((2, 2), (2, 2), (3, 1), (3, 1)),
        # 64 twice: the fifth map comes of an unpadded 3x3 at stride 1.
        steps=(8, 16, 32, 64, 64, 321),
        shares=(0.1, 0.2, 0.38, 0.56, 0.74, 0.92, 1.1),
        modules=(WIDTH,) * 6,
        separate=False,
    ),
    513: Layers(
        extras=((2, 2),) * 5,
        steps=(8, 16, 32, 64, 128, 256, 513),
        shares=(0.04, 0.1, 0.27, 0.44, 0.61, 0.78, 0.95, 1.12),
        # These widths and the separate convolutions are those of the code's COCO scripts alone.
        modules=(128, 512, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH),
        separate=True,
    ),
}


class ExtraBlock(nn.Module):
    """A bottleneck beside a projection; both shrink the map by convolutions without padding."""

    def __init__(self, c_in: int, kernel: int, stride: int, *, norm: Norm) -> None:
        super().__init__()
        self.branch = chain(
            ConvNormReLU(c_in, WIDTH, kernel, stride=stride, padding=0, norm=norm),
            ConvNormReLU(WIDTH, WIDTH, 3, norm=norm),
            ConvNorm(WIDTH, EXTRA, 1, norm=norm),
        )
        self.projection = ConvNorm(c_in, EXTRA, kernel, stride=stride, padding=0, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.projection(x), inplace=True)


class Encoder(nn.Module):
    """The backbone's maps at strides 8 and 16 and those of extra layers, each read by the next.

    `channels` has those of every map; `norm`, the layers', is the backbone's or batch norm.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        if tuple(stage.stride for stage in backbone.tapped) != STRIDES:
            raise UsageError("it reads maps at strides 8 and 16")
        self.backbone = backbone
        self.norm: Norm = backbone.norm or "bn"
        self.channels = [stage.channels for stage in backbone.tapped]
        self.extras = nn.ModuleList()

    def add(self, extra: nn.Module, channels: int) -> None:
        """Add the map that `extra` makes of the last one, with its channels."""
        self.extras.append(extra)
        self.channels.append(channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.backbone(images)
        for extra in self.extras:
            maps = [*maps, extra(maps[-1])]
        return maps


def fu_encoder(backbone: Backbone, layers: Layers) -> Encoder:
    """The maps of Fu et al.'s SSD, which DSSD decodes."""
    encoder = Encoder(backbone)
    for kernel, stride in layers.extras:
        encoder.add(ExtraBlock(encoder.channels[-1], kernel, stride, norm=encoder.norm), EXTRA)
    return encoder


class Deconvolution(nn.Module):
    """A deconvolution module: bring the map above [B, C, h, w] to the size of an encoder's map [B,
    C', H, W] and multiply both: [B, 512, H, W].

    `kernel` and `stride` are those of the layer that made the map above. Where it left out a last
    row or column, so that H = h * stride + 1, the transposed convolution gives one more; where it
    was padded, one is cut off.
    """

    def __init__(self, above: int, own: int, kernel: int, stride: int, *, norm: Norm) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.up = nn.ConvTranspose2d(above, DECODER, kernel, stride)
        self.above = ConvNorm(DECODER, DECODER, 3, norm=norm)
        self.own = chain(
            ConvNormReLU(own, DECODER, 3, norm=norm), ConvNorm(DECODER, DECODER, 3, norm=norm)
        )

    def forward(self, above: Tensor, own: Tensor) -> Tensor:
        rows, columns = own.shape[-2:]
        least = [(side - 1) * self.stride + self.kernel for side in above.shape[-2:]]
        grown = self.up(above, output_size=[max(least[0], rows), max(least[1], columns)])
        return F.relu(self.above(grown[..., :rows, :columns]) * self.own(own), inplace=True)


class Decoder(nn.Module):
    """The encoder's last map and, from there to the first, the outputs of deconvolution
    modules.
    """

    def __init__(self, encoder: Encoder, layers: Layers) -> None:
        super().__init__()
        self.encoder = encoder
        # The code has stride 1 above a single cell, which is the same.
        shrunk = ((2, 2), *layers.extras)
        above = [DECODER] * (len(shrunk) - 1) + [encoder.channels[-1]]
        self.steps = nn.ModuleList(
            Deconvolution(a, own, kernel, stride, norm=encoder.norm)
            for a, own, (kernel, stride) in zip(above, encoder.channels, shrunk, strict=False)
        )
        self.channels = [DECODER] * len(shrunk) + encoder.channels[-1:]

    def forward(self, images: Tensor) -> list[Tensor]:
        *encoded, last = self.encoder(images)
        maps = [last]
        for step, own in zip(reversed(self.steps), reversed(encoded), strict=True):
            maps.insert(0, step(maps[0], own))
        return maps


class FuSSD(SingleStage):
    """Prediction modules of inner widths `modules` and heads for eight boxes a cell on every map of
    SSD or DSSD.

    Boxes have the code's steps at the published sizes; elsewhere the image is divided evenly.
    """

    def __init__(
        self,
        features: Encoder | Decoder,
        modules: Sequence[int],
        layers: int,
        *,
        size: tuple[int, int],
        classes: int,
        separate: bool,
    ) -> None:
        table = LAYERS[layers]
        norm = features.norm if isinstance(features, Encoder) else features.encoder.norm
        shapes = ssd_shapes(
            [share * min(size) for share in table.shares], [RATIOS] * len(features.channels)
        )
        heads = []
        for level, (c, width) in enumerate(zip(features.channels, modules, strict=True)):
            kernel = 5 if level < LARGE_KERNELS else 3
            # Its middle convolution is 3x3 in the code, 1x1 in the paper's Figure 2.
            module = ResidualBottleneck(c, width, 4 * width, norm=norm)
            c_in = DECODER if separate else 4 * width
            head = multibox(c_in, len(shapes[level]), 1 + classes, kernel=kernel, before=module)
            if separate:
                own = (ConvNormReLU(4 * width, DECODER, 3, norm=norm) for _ in range(2))
                head = Head(chain(next(own), head.offsets), chain(next(own), head.logits), module)
            heads.append(head)
        try:
            steps = table.steps if size == (layers, layers) else None
            super().__init__(features, heads, shapes, size=size, classes=classes, steps=steps)
        except ValueError:
            smaller = "; layers=321 has fewer" if layers > min(LAYERS) else ""
            raise UsageError(
                f"{size[0]}x{size[1]} does not fit the extra layers of {layers}{smaller}"
            ) from None


class ResNetSSD(FuSSD):
    """SSD on the maps of a backbone at strides 8 and 16, ResNets' in Fu et al.'s form."""

    def __init__(
        self, backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int
    ) -> None:
        table = LAYERS[layers]
        super().__init__(
            fu_encoder(backbone, table),
            table.modules,
            layers,
            size=size,
            classes=classes,
            separate=False,
        )


class DSSD(FuSSD):
    """SSD whose heads read a decoder's maps in place of the encoder's."""

    def __init__(
        self, backbone: Backbone, *, size: tuple[int, int], classes: int, layers: int
    ) -> None:
        table = LAYERS[layers]
        decoder = Decoder(fu_encoder(backbone, table), table)
        super().__init__(
            decoder,
            [WIDTH] * len(table.modules),
            layers,
            size=size,
            classes=classes,
            separate=table.separate,
        )


LIU_EXTRAS = 3
LIU_SHARES = (0.1, 0.2, 0.38, 0.56, 0.74, 0.92, 1.1)


class LiuSSD(SingleStage):
    """SSD on the maps of a backbone at strides 8 and 16, ResNets' in Liu et al.'s form: plain extra
    layers, the last map pooled, boxes cut at the image's border.
    """

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        encoder = Encoder(backbone)
        norm = encoder.norm
        for _ in range(LIU_EXTRAS):
            narrow = ConvNormReLU(encoder.channels[-1], 256, 1, norm=norm)
            encoder.add(chain(narrow, ConvNormReLU(256, 512, 3, stride=2, norm=norm)), 512)
        encoder.add(nn.AdaptiveAvgPool2d(1), 512)
        maps = len(encoder.channels)
        ratios = [(2.0,), *[(2.0, 3.0)] * (maps - 1)]
        # The first map has no second square.
        shapes = ssd_shapes(
            [share * min(size) for share in LIU_SHARES],
            ratios,
            between=[level > 0 for level in range(maps)],
        )
        heads = [
            multibox(c, len(level), 1 + classes)
            for c, level in zip(encoder.channels, shapes, strict=True)
        ]
        super().__init__(encoder, heads, shapes, size=size, classes=classes, clipped=True)
