"""Pools of all ranks, reductions that are pools, and parametrised weights in their kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import archbench
from archbench.counting.inputs import Inputs
from archbench.counting.passes import count_module, whole


class Over(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


MAP, LINE, VOLUME = (2, 4, 8, 8), (2, 4, 8), (2, 4, 8, 8, 8)
# Name: module, shape, elements read and written for one image.
POOLS: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    "max 1d": (nn.MaxPool1d(2), LINE, 32 + 16),
    "average 1d": (nn.AvgPool1d(2), LINE, 32 + 16),
    "adaptive 1d": (nn.AdaptiveAvgPool1d(2), LINE, 32 + 8),
    "average 3d": (nn.AvgPool3d(2), VOLUME, 2048 + 256),
    "max 3d": (nn.MaxPool3d(2), VOLUME, 2048 + 256),
    "adaptive 3d": (nn.AdaptiveAvgPool3d(1), VOLUME, 2048 + 4),
    "fractional": (nn.FractionalMaxPool2d(2, output_size=4), MAP, 256 + 64),
    "maximum": (Over(lambda x: x.amax((2, 3))), MAP, 256 + 4),
    "flat mean": (Over(lambda x: x.flatten(2).mean(-1)), MAP, 256 + 4),
    "flat maximum": (Over(lambda x: x.flatten(2).max(-1)[0]), MAP, 256 + 4),
    "channels last": (Over(lambda x: x.permute(0, 2, 3, 1).mean((1, 2))), MAP, 256 + 4),
    "mean of a volume": (Over(lambda x: x.mean((2, 3, 4))), VOLUME, 2048 + 4),
}


@pytest.mark.parametrize(("pool", "shape", "elements"), POOLS.values(), ids=POOLS)
def test_pools(pool: nn.Module, shape: tuple[int, ...], elements: int) -> None:
    for spelling in (whole, torch.no_grad):
        report = count_module(pool, Inputs((torch.randn(shape),)), spelling=spelling)
        assert report.cio_pool == elements


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.amax(1),
        lambda x: x.flatten(2).mean(1),
        lambda x: x.flatten(2).relu().mean(-1),
        lambda x: torch.maximum(x, x),
        lambda x: x.max(),
    ],
)
def test_other_reductions_are_no_pools(function: Callable[[Tensor], Any]) -> None:
    assert archbench.count(Over(function), MAP).cio_pool == 0


def test_parametrised_weights_are_in_their_own_kind() -> None:
    conv = archbench.count(parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), (1, 3, 8, 8))
    kinds = conv.param_kinds
    assert (kinds.conv_weights, kinds.biases, kinds.other) == (216 + 8, 8, 0)
    assert kinds.dense_conv_channels == 8
    linear = parametrizations.spectral_norm(nn.Linear(4, 4))
    assert archbench.count(linear, (1, 4)).param_kinds.linear_weights == 16
    hooked = nn.utils.weight_norm(nn.Linear(4, 4))
    assert archbench.count(hooked, (1, 4)).param_kinds.linear_weights == 16 + 4
