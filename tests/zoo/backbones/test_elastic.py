"""DenseNet-201-Elastic: layers of two paths, one at half the resolution."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import archbench
from archbench.zoo.backbones.elastic import ElasticBlock, ElasticLayer


@pytest.mark.parametrize("side", [6, 7])
def test_a_scaled_layer_adds_a_path_at_half_the_resolution(side: int) -> None:
    layer = ElasticLayer(8, scaled=True).eval()
    x = torch.randn(2, 8, side, side)
    normalised = layer.normalised(x.clone())
    coarse = layer.coarse(F.avg_pool2d(normalised, 2))
    assert coarse.shape[-1] == side // 2
    expected = layer.fine(normalised) + F.interpolate(
        coarse, size=(side, side), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(layer(x), expected)


def test_a_layer_that_is_not_scaled_adds_two_alike() -> None:
    layer = ElasticLayer(8, scaled=False).eval()
    x = torch.randn(2, 8, 7, 7)
    normalised = layer.normalised(x.clone())
    torch.testing.assert_close(layer(x), layer.fine(normalised) + layer.coarse(normalised))


def test_the_layers_of_the_last_block_are_not_scaled() -> None:
    network = archbench.build("densenet201-elastic", classes=0, device="meta")
    blocks = [layer for layer in network.modules() if isinstance(layer, ElasticBlock)]
    assert [len(block.layers) for block in blocks] == [10, 20, 40, 30]
    assert [isinstance(block.layers[-1].pool, nn.AvgPool2d) for block in blocks] == [
        True,
        True,
        True,
        False,
    ]


def test_it_runs_for_real_and_images_do_not_see_each_other(runs: Callable[..., None]) -> None:
    runs("densenet201-elastic")
