"""A network of one's own: an SSD whose extra layers and heads are depthwise separable.

archbench profile mobilenet --detector ssd-slim --plugin examples/ssd_slim.py
"""

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.single_stage import Head, SingleStage, ssd_shapes
from archbench.zoo.layers import ConvNormReLU, chain

ENTRY = """
source = "an example"
builder = "SSDSlim"
input = "320x320"
classes = 20
taps = ["c4", "c5"]
form = "the maps at strides 16 and 32, and one a further halving"
[options.extras]
values = [2, 1, 3]
help = "extra maps"
[networks.ssd-slim]
"""
SIDES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
WIDTH = 256


def separable(c_in: int, c_out: int, *, stride: int = 1) -> nn.Sequential:
    return chain(ConvNormReLU(c_in, c_in, 3, stride=stride, groups=c_in), ConvNormReLU(c_in, c_out))


class Features(nn.Module):
    def __init__(self, backbone: Backbone, extras: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = [*(stage.channels for stage in backbone.tapped), *[WIDTH] * extras]
        self.extras = nn.ModuleList(
            separable(c, WIDTH, stride=2) for c in self.channels[1 : 1 + extras]
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps


class SSDSlim(SingleStage):
    def __init__(
        self, backbone: Backbone, *, size: tuple[int, int], classes: int, extras: int
    ) -> None:
        features = Features(backbone, extras)
        maps = len(features.channels)
        shapes = ssd_shapes([min(size) * side for side in SIDES[: maps + 1]], [(2.0, 3.0)] * maps)
        heads = [
            Head(
                nn.Conv2d(WIDTH, 4 * len(level), 1),
                nn.Conv2d(WIDTH, (1 + classes) * len(level), 1),
                before=separable(c, WIDTH),
            )
            for c, level in zip(features.channels, shapes, strict=True)
        ]
        super().__init__(
            features, heads, shapes, size=size, classes=classes, preparation=backbone.preparation
        )
