"""VoVNet (Lee et al., An Energy and GPU-Computation Efficient Backbone Network, section 3).

Deviations from the text come from the authors' code: `stem="conv"` and `identity` from
stigma0617/VoVNet.pytorch, the pooling and the absence of an identity under RefineDet from
youngwanLEE/VoVNet-RefineDet.
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
    """One-shot aggregation: a chain of 3x3 of `width`, its input and every output concatenated, one
    1x1 to `c_out`.
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
        return chain(
            ConvNormReLU(c_in, width // 2, 1, norm=norm),
            ConvNormReLU(width // 2, width, 3, norm=norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        y = self.aggregate(torch.cat(maps, dim=1))
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

    Maps are tapped at the end of a stage, before the pool that leads to the next.
    """
    first, second, third = STEM
    steps: dict[str, nn.Module] = {
        "stem": chain(
            ConvNormReLU(3, first, 3, stride=2, norm=norm),
            ConvNormReLU(first, second, 3, norm=norm),
            ConvNormReLU(second, third, 3, stride=2 if stem == "conv" else 1, norm=norm),
        )
    }
    stages = []
    channels = third
    for index, (count, width, c_out) in enumerate(zip(modules, widths, outputs, strict=True)):
        if index or stem == "pool":
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
