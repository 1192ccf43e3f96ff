"""A backbone of one's own: any module that gives its maps, under any detector that taps them.

archbench profile examples/tiny_backbone.py:tiny_backbone --detector ssd300 --option width=48
"""

from torch import Tensor, nn


def block(c_in: int, c_out: int) -> nn.Sequential:
    """A depthwise separable convolution that halves the map."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, stride=2, padding=1, groups=c_in, bias=False),
        nn.BatchNorm2d(c_in),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class Pyramid(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(map(block, [3, *widths], widths))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [images]
        for step in self.blocks:
            maps.append(step(maps[-1]))
        return maps[1:]


def tiny_backbone(width: int = 32) -> nn.Module:
    """Maps at strides 2, 4, 8, 16 and 32."""
    return Pyramid([width, width, 2 * width, 4 * width, 8 * width])
