"""ResNets whose branches are scaled before the sum: SE (Hu et al., Squeeze-and-Excitation) and CBAM
(Woo et al., CBAM).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.backbones.resnet import (
    Residual,
    Shape,
    StrideOn,
    bottleneck_parts,
    bottleneck_resnet,
)
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import Norm, chain

REDUCTION = 16
"""How much narrower than its input the hidden layer of a channel gate is."""
SPATIAL_KERNEL = 7


class ChannelGate(nn.Module):
    """Scale each channel of [B, C, H, W] by a gate in 0..1: two linear layers on the channels'
    means.

    With `maxima` the same layers run on the channels' maxima too, and both results are summed.
    """

    def __init__(self, channels: int, *, maxima: bool = False) -> None:
        super().__init__()
        hidden = channels // REDUCTION
        # Linear, as in both papers: timm's seresnet50 has 1x1 convolutions here, which would count
        # in MAC (Eq. 1) and CIO.
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )
        self.maxima = maxima

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.gate(F.adaptive_avg_pool2d(x, 1).flatten(1))
        if self.maxima:
            logits = logits + self.gate(F.adaptive_max_pool2d(x, 1).flatten(1))
        return x * logits.sigmoid()[:, :, None, None]


class SpatialGate(nn.Module):
    """Scale each cell of [B, C, H, W] by a gate in 0..1: a normalised convolution of the mean and
    the maximum over its channels.
    """

    def __init__(self, norm: Norm = "bn") -> None:
        super().__init__()
        conv = nn.Conv2d(2, 1, SPATIAL_KERNEL, padding=SPATIAL_KERNEL // 2, bias=False)
        # CBAM's Eq. 3 has no normalisation; Jongchan/attention-module does.
        normalise = nn.GroupNorm(1, 1) if norm == "gn" else nn.BatchNorm2d(1)
        self.gate = nn.Sequential(conv, normalise, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x * self.gate(
            torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        )
        return scaled


def squeeze_excite(shape: Shape) -> nn.Sequential:
    """SE's gate."""
    return nn.Sequential(ChannelGate(shape.c_out))


def cbam(shape: Shape) -> nn.Sequential:
    """CBAM's two gates, channels first."""
    return nn.Sequential(ChannelGate(shape.c_out, maxima=True), SpatialGate(shape.norm))


GATES: dict[str, Callable[[Shape], nn.Sequential]] = {"se": squeeze_excite, "cbam": cbam}


def attention_resnet(
    *,
    blocks: Sequence[int],
    gate: Literal["se", "cbam"],
    taps: Sequence[str] | None = None,
    **resnet: object,
) -> Backbone:
    """Build a ResNet of bottlenecks with a gate at the end of every branch."""

    def make(shape: Shape, *, stride_on: StrideOn) -> Residual:
        branch = chain(*bottleneck_parts(shape, stride_on=stride_on), GATES[gate](shape))
        return Residual(branch, shape, projected=shape.c_in != shape.c_out)

    return bottleneck_resnet(blocks=blocks, make=make, taps=taps, **resnet)  # type: ignore[arg-type]
