"""Pre-activation ResNets for 32x32: ResNet-1001 (He et al., Identity Mappings) and WRN (Zagoruyko
and Komodakis, Wide ResNets).

Normalisation and ReLU precede a convolution. The first block of a stage projects its activated
input by a 1x1 without normalisation; the others add their input as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archbench.zoo.backbones.resnet import EXPANSION, Join, in_sequence
from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import chain, norm_relu_conv

STEM = 16


def norm_relu(channels: int) -> nn.Sequential:
    """Batch norm and ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class PreactResidual(nn.Module):
    """A branch and a shortcut, summed. In the first block of a stage both read an activated
    input.
    """

    def __init__(
        self, c_in: int, c_out: int, stride: int, *, bottleneck: bool, first: bool
    ) -> None:
        super().__init__()
        self.channels = c_out
        self.shortcut: nn.Module = (
            nn.Conv2d(c_in, c_out, 1, stride, bias=False) if first else nn.Identity()
        )
        if bottleneck:
            # Stride on the 1x1, as in the authors' network; pytorchcv's has it on the 3x3.
            middle = c_out // EXPANSION
            parts = [
                norm_relu_conv(c_in, middle, stride=stride),
                norm_relu_conv(middle, middle, 3),
                norm_relu_conv(middle, c_out),
            ]
        else:
            parts = [norm_relu_conv(c_in, c_out, 3, stride=stride), norm_relu_conv(c_out, c_out, 3)]
        branch = chain(*parts)
        self.branch = nn.Sequential(*list(branch)[2:]) if first else branch

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.branch(x) + self.shortcut(x)
        return total


def preact_resnet(
    *,
    blocks: int,
    widths: Sequence[int],
    bottleneck: bool = False,
    join: Join = in_sequence,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a stage of so many `blocks` for each width at strides 1, 2, 4; the last map is
    normalised and activated.
    """
    steps: dict[str, nn.Module] = {"stem": nn.Conv2d(3, STEM, 3, padding=1, bias=False)}
    stages = []
    channels = STEM
    for index, width in enumerate(widths):
        layers = []
        for i in range(blocks):
            stride = 2 if index and i == 0 else 1
            layers.append(
                PreactResidual(
                    width if i else channels, width, stride, bottleneck=bottleneck, first=i == 0
                )
            )
        steps[f"entry{index + 1}"] = norm_relu(channels)
        steps[f"stage{index + 1}"] = join(layers)
        channels = width
        last = index == len(widths) - 1
        stages.append(Stage("final" if last else f"stage{index + 1}", width, 1 << index))
    steps["final"] = norm_relu(channels)
    return Backbone(steps, stages, taps=taps)
