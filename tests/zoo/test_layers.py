"""Layers that several networks share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.zoo.layers import (
    FPN,
    SPP,
    Branches,
    ConvNorm,
    ConvNormReLU,
    Kernel,
    L2Norm,
    ResidualBottleneck,
    Shortcut,
    SpatialAttention,
    SqueezeExcite,
    add_common,
    ceil_pool,
    chain,
    conv_leaky,
    flatten_predictions,
    maxout,
)


@pytest.mark.parametrize("kernel", [1, 3, 5, (1, 7), (7, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_stride_1_keeps_the_size(kernel: Kernel, dilation: int) -> None:
    assert ConvNorm(3, 4, kernel, dilation=dilation)(torch.randn(1, 3, 9, 7)).shape == (1, 4, 9, 7)


@pytest.mark.parametrize(
    ("norm", "kind"), [("bn", nn.BatchNorm2d), ("gn", nn.GroupNorm), (None, None)]
)
def test_a_convolution_has_a_bias_where_it_has_no_normalisation(
    norm: str | None, kind: type | None
) -> None:
    layers = list(ConvNormReLU(3, 32, norm=norm))  # type: ignore[arg-type]
    assert [type(layer) for layer in layers] == [nn.Conv2d, *([kind] if kind else []), nn.ReLU]
    assert (layers[0].bias is None) is (norm is not None)


def test_a_chain_is_flat() -> None:
    assert [type(layer) for layer in chain(ConvNormReLU(3, 4), nn.MaxPool2d(2))] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.ReLU,
        nn.MaxPool2d,
    ]


def test_l2_norm_scales_unit_vectors() -> None:
    out = L2Norm(4, 10.0)(torch.randn(2, 4, 3, 5))
    torch.testing.assert_close(out.norm(dim=1), torch.full((2, 3, 5), 10.0))


@pytest.mark.parametrize(
    ("side", "pooled"), [(160, 80), (161, 80), (112, 56), (150, 75), (75, 37), (4, 2), (3, 1)]
)
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


def test_branches_read_the_same_map_and_are_concatenated() -> None:
    x = torch.randn(2, 3, 5, 5)
    first, second = nn.Conv2d(3, 2, 1), nn.MaxPool2d(3, 1, 1)
    torch.testing.assert_close(Branches(first, second)(x), torch.cat([first(x), second(x)], dim=1))


def test_another_activation_takes_relu_s_place() -> None:
    layer = ConvNormReLU(3, 4, activation=nn.ReLU6)
    assert [type(part) for part in layer] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]
    assert (
        ConvNormReLU(3, 4, norm=None, activation=nn.ReLU6)(1e3 * torch.randn(1, 3, 4, 4)) <= 6
    ).all()


@pytest.mark.parametrize("norm", ["gn", None])
def test_a_pyramid_adds_what_coarser_maps_know(norm: str | None) -> None:
    """A change in the coarsest map reaches every level, one in the finest its own alone."""
    torch.manual_seed(0)
    pyramid = FPN([8, 16, 32], 32, norm=norm).eval()  # type: ignore[arg-type]
    maps = [torch.randn(1, 8, 16, 12), torch.randn(1, 16, 8, 6), torch.randn(1, 32, 4, 3)]
    before = pyramid(maps)
    assert [tuple(m.shape) for m in before] == [(1, 32, 16, 12), (1, 32, 8, 6), (1, 32, 4, 3)]
    for level, reached in ((2, [True, True, True]), (0, [True, False, False])):
        changed = [m + (index == level) for index, m in enumerate(maps)]
        after = pyramid(changed)
        assert [
            not torch.equal(old, new) for old, new in zip(before, after, strict=True)
        ] == reached
    assert any(isinstance(layer, nn.GroupNorm) for layer in pyramid.modules()) is (norm == "gn")


def test_a_pyramid_of_plain_sums_is_worked_by_hand() -> None:
    pyramid = FPN([1, 1], 1, norm=None)
    for conv in pyramid.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    fine, coarse = pyramid([torch.ones(1, 1, 3, 4), torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]])])
    assert coarse[0, 0].tolist() == [[10, 20], [30, 40]]
    assert fine[0, 0].tolist() == [[11, 11, 21, 21], [11, 11, 21, 21], [31, 31, 41, 41]]


def test_a_level_of_a_pyramid_adds_the_sum_of_the_next_coarser_one() -> None:
    pyramid = FPN([1, 1, 1, 1], 1, norm=None)
    for conv in pyramid.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    levels = [torch.full((1, 1, 8 >> n, 8 >> n), 10.0**n) for n in range(4)]
    assert [m.unique().tolist() for m in pyramid(levels)] == [[1111], [1110], [1100], [1000]]


def test_darknet_s_convolution_is_leaky() -> None:
    layers = list(conv_leaky(3, 4, 3, stride=2, groups=1))
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert (layers[0].padding, layers[0].stride, layers[2].negative_slope) == ((1, 1), (2, 2), 0.1)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ((6, 4, 4), (3, 4, 4)),
        ((3, 4, 4), (6, 4, 4)),
        ((4, 2, 3), (4, 4, 6)),
        ((2, 3, 2), (5, 5, 3)),
    ],
)
def test_a_darknet_shortcut_adds_the_channels_and_cells_in_common(
    own: tuple[int, ...], other: tuple[int, ...]
) -> None:
    x, y = torch.randn(2, *own), torch.randn(2, *other)
    out = add_common(x, y)
    down = -(-other[2] // own[2])
    common = min(own[0], other[0])
    assert out.shape == x.shape
    torch.testing.assert_close(out[:, :common], x[:, :common] + y[:, :common, ::down, ::down])
    assert torch.equal(out[:, common:], x[:, common:])


def test_a_darknet_shortcut_repeats_the_cells_of_a_smaller_map() -> None:
    out = add_common(torch.zeros(1, 1, 2, 4), torch.tensor([[[[1.0, 2.0]]]]))
    assert out[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


@pytest.mark.parametrize(("rows", "columns"), [(1, 8), (8, 1), (3, 2)])
def test_a_darknet_shortcut_subsamples_rows_and_columns_apart(rows: int, columns: int) -> None:
    """A past bug: the step of the columns was that of the rows too."""
    x, y = torch.randn(1, 4, 2, 4), torch.randn(1, 4, 2 * rows, 4 * columns)
    assert torch.equal(add_common(x, y), x + y[..., ::rows, ::columns])


def test_a_shortcut_activates_the_sum() -> None:
    x = torch.tensor([-3.0, 5.0]).reshape(1, 2, 1, 1)
    assert Shortcut(nn.Identity())(x).flatten().tolist() == [-6, 10]
    assert Shortcut(nn.Identity(), nn.ReLU(inplace=True))(x).flatten().tolist() == [0, 10]


def test_squeeze_and_excitation_scales_each_channel_by_what_all_hold() -> None:
    gate = SqueezeExcite(32, 2, nn.ReLU())
    x = torch.randn(2, 32, 5, 3)
    out = gate(x)
    ratio = out / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(x), rtol=1e-3, atol=1e-4)
    assert ((ratio > 0) & (ratio < 1)).all()
    assert not torch.allclose(
        gate(torch.cat([x[:, :16], x[:, 16:] + 1], dim=1))[:, :16], out[:, :16]
    )
    assert sum(parameter.numel() for parameter in gate.parameters()) == 2 * 32 * 2 + 32 + 2


def test_spatial_attention_multiplies_by_a_number_in_0_to_1() -> None:
    x = torch.randn(2, 8, 5, 4)
    ratio = SpatialAttention(8, 3).eval()(x) / x
    assert ((ratio > 0) & (ratio < 1)).all()
    assert ratio.std() > 0


def test_spp_puts_the_widest_maxima_first_and_the_map_last() -> None:
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 7, 7] = 1
    out = SPP()(x)
    assert out.sum(dim=(2, 3)).tolist() == [[169, 81, 25, 1]]
    assert torch.equal(out[:, 3:], x)


def test_maxout_takes_channels_that_lie_a_width_apart() -> None:
    x = torch.tensor([1.0, 8, 3, 4, 5, 6]).reshape(1, 6, 1, 1)
    assert maxout(x, 2).flatten().tolist() == [5, 8]
    assert maxout(x, 3).flatten().tolist() == [4, 8, 6]
    assert torch.equal(maxout(x, 6), x)
