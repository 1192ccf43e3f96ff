"""Layers that several networks share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.zoo.layers import ConvNorm, ConvNormReLU, L2Norm, ResidualBottleneck, ceil_pool, chain, flatten_predictions


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_stride_1_keeps_the_size(kernel: int, dilation: int) -> None:
    assert ConvNorm(3, 4, kernel, dilation=dilation)(torch.randn(1, 3, 9, 7)).shape == (1, 4, 9, 7)


@pytest.mark.parametrize(("norm", "kind"), [("bn", nn.BatchNorm2d), ("gn", nn.GroupNorm), (None, None)])
def test_a_convolution_has_a_bias_where_it_has_no_normalisation(norm: str | None, kind: type | None) -> None:
    layers = list(ConvNormReLU(3, 32, norm=norm))  # type: ignore[arg-type]
    assert [type(layer) for layer in layers] == [nn.Conv2d, *([kind] if kind else []), nn.ReLU]
    assert (layers[0].bias is None) is (norm is not None)


def test_a_chain_is_flat() -> None:
    assert [type(layer) for layer in chain(ConvNormReLU(3, 4), nn.MaxPool2d(2))] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]


def test_l2_norm_scales_unit_vectors() -> None:
    out = L2Norm(4, 10.0)(torch.randn(2, 4, 3, 5))
    torch.testing.assert_close(out.norm(dim=1), torch.full((2, 3, 5), 10.0))


@pytest.mark.parametrize(("side", "pooled"), [(160, 80), (161, 80), (112, 56), (150, 75), (75, 37), (4, 2), (3, 1)])
def test_ceil_pool_is_caffes(side: int, pooled: int) -> None:
    """ceil((n - 3) / 2) + 1 (vovnet-refinedet.md 1.1)."""
    assert ceil_pool()(torch.empty(1, 1, side, side)).shape[-1] == pooled == -(-(side - 3) // 2) + 1


def test_a_residual_bottleneck_halves_with_its_stride() -> None:
    block = ResidualBottleneck(8, 4, 16, stride=2).eval()
    out = block(torch.randn(1, 8, 10, 6))
    assert out.shape == (1, 16, 5, 3)
    assert out.min() >= 0


def test_predictions_lie_level_row_column_prior() -> None:
    """Value v of prior a at row y, column x is channel a * values + v there."""
    values, priors = 4, 3
    maps = [torch.randn(2, priors * values, height, width) for height, width in ((2, 3), (1, 2))]
    flat = flatten_predictions(maps, values)
    assert flat.shape == (2, (6 + 2) * priors, values)
    index = (1 * 3 + 0) * priors + 1
    assert flat[1, index].tolist() == maps[0][1, 4:8, 1, 0].tolist()
    assert flat[0, -1].tolist() == maps[1][0, 8:12, 0, 1].tolist()
