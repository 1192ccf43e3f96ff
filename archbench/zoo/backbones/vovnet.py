"""VoVNet (Lee et al., An Energy and GPU-Computation Efficient Backbone Network, section 3).

What the text leaves open follows the authors' code: stigma0617/VoVNet.pytorch and, under RefineDet
and DSOD, youngwanLEE/VoVNet-RefineDet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNormReLU, Norm, ceil_pool, chain

STEM = (64, 64, 128)
LAYERS = 5


class OSA(nn.Module):
    """One-shot aggregation: a chain of 3x3 to `width` channels; a 1x1 to `c_out` of its input and
    all outputs.
    """

    def __init__(
        self,
        c_in: int,
        width: int,
        c_out: int,
        *,
        layers: int = LAYERS,
        bottleneck: bool = False,
        identity: bool = False,
        norm: Norm = "bn",
    ) -> None:
        super().__init__()
        inputs = [c_in, *[width] * (layers - 1)]
        self.layers = nn.ModuleList(
            self._layer(c, width, bottleneck=bottleneck, norm=norm) for c in inputs
        )
        self.aggregate = ConvNormReLU(c_in + layers * width, c_out, 1, norm=norm)
        self.identity = identity

    @staticmethod
    def _layer(c_in: int, width: int, *, bottleneck: bool, norm: Norm) -> nn.Module:
        if not bottleneck:
            return ConvNormReLU(c_in, width, 3, norm=norm)
        # Half the module's width, also before the first 3x3: the text says half the input (section
        # 4.2), which misses Table 3.
        return chain(
            ConvNormReLU(c_in, width // 2, 1, norm=norm),
            ConvNormReLU(width // 2, width, 3, norm=norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        y = self.aggregate(torch.cat(maps, dim=1))
        # Not in the paper: VoVNet.pytorch adds the input of a stage's later modules.
        return y + x if self.identity else y


def vovnet(
    *,
    modules: Sequence[int],
    widths: Sequence[int],
    outputs: Sequence[int],
    stem: Literal["conv", "pool"],
    identity: bool,
    bottleneck: bool,
    norm: Norm = "bn",
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a VoVNet from its row of Table 1: modules, 3x3 widths and output channels of stages 2
    to 5.

    A stage's map is tapped before the pool that leads to the next stage.
    """
    first, second, third = STEM
    steps: dict[str, nn.Module] = {
        "stem": chain(
            ConvNormReLU(3, first, 3, stride=2, norm=norm),
            ConvNormReLU(first, second, 3, norm=norm),
            # Table 1 has stride 1, which alone meets Table 4; VoVNet.pytorch has 2 and no pool.
            ConvNormReLU(second, third, 3, stride=2 if stem == "conv" else 1, norm=norm),
        )
    }
    stages = []
    channels = third
    for index, (count, width, c_out) in enumerate(zip(modules, widths, outputs, strict=True)):
        if index or stem == "pool":
            # Without padding, rounded up: VoVNet-RefineDet, and ceil_mode in VoVNet.pytorch.
            steps[f"pool{index + 1}"] = ceil_pool()
        steps[f"stage{index + 2}"] = nn.Sequential(
            *(
                OSA(
                    c_out if i else channels,
                    width,
                    c_out,
                    bottleneck=bottleneck,
                    identity=identity and i > 0,
                    norm=norm,
                )
                for i in range(count)
            )
        )
        channels = c_out
        stages.append(Stage(f"stage{index + 2}", channels, stride=4 << index))
    return Backbone(steps, stages, taps=taps, norm=norm)
