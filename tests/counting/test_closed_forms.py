"""The counter against closed forms, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.counting.closed_forms import dense_block_cio, partial_dense_block_cio

BATCH = 2


class Function(nn.Module):
    """A function of a module's parameter `weight` and its inputs."""

    def __init__(self, function: Callable[..., Any], *shape: int) -> None:
        super().__init__()
        self.function = function
        if shape:
            self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


class Twice(nn.Module):
    """One head on two levels."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.head(x), self.head(x[..., ::2, ::2])]


# Name: layer, input shape without the batch, output shape without the batch.
CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...], tuple[int, ...]]] = {
    "dense": (nn.Conv2d(6, 8, 3, padding=1), (6, 9, 7), (8, 9, 7)),
    "without bias": (nn.Conv2d(6, 8, 3, bias=False), (6, 9, 7), (8, 7, 5)),
    "strided": (nn.Conv2d(6, 8, 3, stride=2, padding=1), (6, 9, 7), (8, 5, 4)),
    "stride by side": (nn.Conv2d(6, 8, 3, stride=(2, 1), padding=1), (6, 9, 7), (8, 5, 7)),
    "dilated": (nn.Conv2d(6, 8, 3, dilation=2), (6, 9, 7), (8, 5, 3)),
    "1x1": (nn.Conv2d(6, 8, 1), (6, 9, 7), (8, 9, 7)),
    "1x7": (nn.Conv2d(6, 8, (1, 7), padding=(0, 3)), (6, 9, 7), (8, 9, 7)),
    "padding same": (nn.Conv2d(6, 8, 5, padding="same"), (6, 9, 7), (8, 9, 7)),
    "padding valid": (nn.Conv2d(6, 8, 5, padding="valid"), (6, 9, 7), (8, 5, 3)),
    "grouped": (nn.Conv2d(6, 8, 3, groups=2, padding=1), (6, 9, 7), (8, 9, 7)),
    "depthwise": (nn.Conv2d(6, 6, 3, groups=6, padding=1), (6, 9, 7), (6, 9, 7)),
    "depthwise with multiplier": (nn.Conv2d(6, 12, 3, groups=6, padding=1), (6, 9, 7), (12, 9, 7)),
    "transposed": (nn.ConvTranspose2d(6, 8, 2, 2), (6, 9, 7), (8, 18, 14)),
    "transposed, overlapping": (
        nn.ConvTranspose2d(6, 8, 4, 2, padding=1, bias=False),
        (6, 9, 7),
        (8, 18, 14),
    ),
    "transposed, grouped": (
        nn.ConvTranspose2d(6, 8, 3, 2, padding=1, output_padding=1, groups=2),
        (6, 9, 7),
        (8, 18, 14),
    ),
    "1d": (nn.Conv1d(6, 8, 3, groups=2, padding=1), (6, 9), (8, 9)),
    "3d": (nn.Conv3d(6, 8, (1, 3, 3), padding=(0, 1, 1)), (6, 5, 9, 7), (8, 5, 9, 7)),
    "transposed 1d": (nn.ConvTranspose1d(6, 8, 2, 2), (6, 9), (8, 18)),
    "transposed 3d": (nn.ConvTranspose3d(6, 8, 2, 2), (6, 5, 4, 3), (8, 10, 8, 6)),
}
ALL_CONVOLUTIONS = pytest.mark.parametrize(
    ("layer", "source", "out"), CONVOLUTIONS.values(), ids=CONVOLUTIONS
)


def is_transposed(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.conv._ConvTransposeNd)


@ALL_CONVOLUTIONS
def test_convolution(layer: Any, source: tuple[int, ...], out: tuple[int, ...]) -> None:
    """Against the definitions in DESIGN.md, written out."""
    report = archbench.count(layer, (BATCH, *source))
    positions = prod((source if is_transposed(layer) else out)[1:])
    kernel = prod(layer.kernel_size)
    weights = kernel * layer.in_channels * layer.out_channels // layer.groups
    macs = positions * weights
    assert report.macs == macs
    assert report.flops == 2 * macs
    assert report.params == weights + (layer.out_channels if layer.bias is not None else 0)
    assert report.cio == report.cio_pool == prod(source) + prod(out)
    assert report.mac_eq1 == prod(source) + prod(out) + weights
    assert report.mac_bound == pytest.approx(2 * sqrt(positions * macs / kernel) + macs / positions)
    (call,) = report.calls
    assert (call.in_shape, call.out_shape) == ((BATCH, *source), (BATCH, *out))
    assert (call.kernel, call.stride, call.groups, call.params) == (
        layer.kernel_size,
        layer.stride,
        layer.groups,
        report.params,
    )
    assert call.op == f"conv{'_transpose' if is_transposed(layer) else ''}{len(layer.kernel_size)}d"


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_depthwise_convolution_has_a_group_for_each_input_channel(name: str) -> None:
    layer, source, _ = CONVOLUTIONS[name]
    report = archbench.count(layer, (BATCH, *source))
    assert report.macs_depthwise == (report.macs if name.startswith("depthwise") else 0)
    assert report.call_count == 1


@ALL_CONVOLUTIONS
def test_the_bound_is_below_without_groups(
    layer: Any, source: tuple[int, ...], out: tuple[int, ...]
) -> None:
    """Eq. 1 is smallest for as many channels in as out (VoVNet, section 3.1); strides and paddings
    move hw apart.
    """
    report = archbench.count(layer, (BATCH, *source))
    if layer.groups == 1 and prod(source[1:]) >= prod(out[1:]) and not is_transposed(layer):
        assert report.mac_bound <= report.mac_eq1 * (1 + 1e-12)


def test_the_bound_is_reached_by_equal_widths() -> None:
    report = archbench.count(nn.Conv2d(16, 16, 3, padding=1, bias=False), (1, 16, 8, 8))
    assert report.mac_bound == pytest.approx(report.mac_eq1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 7)], ids=["2-D", "3-D", "4-D"])
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    report = archbench.count(nn.Linear(7, 4, bias=bias), (BATCH, *shape))
    assert report.macs == prod(shape) * 4
    assert report.params == 28 + 4 * bias
    assert (report.mac_eq1, report.mac_bound, report.cio, report.cio_pool) == (0, 0, 0, 0)
    (call,) = report.calls
    assert (call.op, call.params, call.mac_eq1, call.mac_bound, call.cio) == (
        "linear",
        report.params,
        None,
        None,
        None,
    )


def test_a_module_called_twice_counts_its_work_twice_and_its_parameters_once() -> None:
    head = nn.Conv2d(6, 8, 3, padding=1)
    twice, large, small = (
        archbench.count(Twice(head), (BATCH, 6, 8, 8)),
        *(archbench.count(head, (BATCH, 6, n, n)) for n in (8, 4)),
    )
    assert twice.params == large.params
    for count in ("macs", "mac_eq1", "mac_bound", "cio"):
        assert getattr(twice, count) == getattr(large, count) + getattr(small, count)
    assert [call.path for call in twice.calls] == ["head", "head"]


def test_a_functional_convolution_counts() -> None:
    report = archbench.count(
        Function(lambda self, x: F.conv2d(x, self.weight, padding=1), 8, 6, 3, 3), (BATCH, 6, 9, 7)
    )
    layer = archbench.count(nn.Conv2d(6, 8, 3, padding=1, bias=False), (BATCH, 6, 9, 7))
    assert report.totals() | {"param_kinds": None} == layer.totals() | {"param_kinds": None}
    assert (report.param_kinds.other, layer.param_kinds.conv_weights) == (432, 432)


@pytest.mark.parametrize("crops", [1, 5, 300])
@pytest.mark.parametrize("batch", [1, 4])
def test_crops_count_their_activations_each_and_their_weights_once(crops: int, batch: int) -> None:
    tail = nn.Conv2d(6, 8, 3, padding=1, bias=False)
    crop = Function(lambda _, x: tail(x[..., :4, :4].repeat(crops, 1, 1, 1)))
    report = archbench.count(crop, (batch, 6, 9, 9))
    one = archbench.count(tail, (1, 6, 4, 4))
    assert (report.macs, report.cio) == (crops * one.macs, crops * one.cio)
    assert report.mac_eq1 == crops * one.cio + 9 * 48
    hw, macs = 16 * crops, 16 * 9 * 48 * crops
    assert report.mac_bound == pytest.approx(2 * sqrt(hw * macs / 9) + macs / hw)


@pytest.mark.parametrize("name", ["resnet18", "densenet40", "vovnet27-slim"])
def test_a_batch_of_four_counts_as_one_image(name: str) -> None:
    def counted(batch: int) -> dict[str, Any]:
        totals = archbench.cost(name, batch=batch).totals()
        return {
            key: value
            for key, value in totals.items()
            if not key.startswith(("activation", "bytes"))
        }

    assert counted(4) == counted(1)


def test_an_image_without_a_batch_counts_whole() -> None:
    conv = nn.Conv2d(3, 8, 3, padding=1)
    alone, batched = archbench.count(conv, (3, 9, 7)), archbench.count(conv, (1, 3, 9, 7))
    for count in ("macs", "mac_eq1", "mac_bound", "cio"):
        assert getattr(alone, count) == getattr(batched, count) > 0


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 8])
def test_a_map_that_is_no_image_counts_whole_at_any_batch(batch: int) -> None:
    """A constant [1, 3, 8, 8] beside the images, whatever else of its shape equals the batch."""
    constant = Function(
        lambda self, x: [
            x.relu(),
            F.conv2d(self.constant, self.weight),
            F.max_pool2d(self.constant, 2),
        ],
        8,
        3,
        1,
        1,
    )
    constant.constant = nn.Buffer(torch.zeros(1, 3, 8, 8))
    report = archbench.count(constant, (batch, 5, 6, 6))
    assert (report.macs, report.cio) == (64 * 24, 64 * 11)
    assert report.cio_pool == report.cio + 3 * 64 + 3 * 16


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_sequences_may_run_before_images(batch: int) -> None:
    """Some layers turn [batch, length, depth] to [length, batch, depth]."""
    turned = Function(lambda self, x: F.linear(x.transpose(0, 1), self.weight), 4, 7)
    assert archbench.count(turned, (batch, 11, 7)).macs == 11 * 4 * 7


MAP = (BATCH, 3, 8, 8)
POOLS: dict[str, tuple[nn.Module, int]] = {
    "max": (nn.MaxPool2d(2), 3 * 16),
    "max with indices": (nn.MaxPool2d(2, return_indices=True), 3 * 16),
    "max ceil": (nn.MaxPool2d(3, 2, ceil_mode=True), 3 * 16),
    "average": (nn.AvgPool2d(2), 3 * 16),
    "adaptive average": (nn.AdaptiveAvgPool2d(3), 3 * 9),
    "adaptive max": (nn.AdaptiveMaxPool2d(2), 3 * 4),
    "global": (nn.AdaptiveAvgPool2d(1), 3),
    "mean": (Function(lambda _, x: x.mean((2, 3))), 3),
    "mean from the end": (Function(lambda _, x: x.mean((-1, -2), keepdim=True)), 3),
}


@pytest.mark.parametrize(("pool", "out"), POOLS.values(), ids=POOLS)
def test_pools_enter_cio_pool_alone(pool: nn.Module, out: int) -> None:
    report = archbench.count(nn.Sequential(nn.Conv2d(3, 3, 1), pool), MAP)
    conv = archbench.count(nn.Conv2d(3, 3, 1), MAP)
    assert report.cio == conv.cio
    assert report.cio_pool == conv.cio + 3 * 64 + out
    assert report.macs == conv.macs


@pytest.mark.parametrize(
    "function",
    [
        lambda _, x: x.mean(1),
        lambda _, x: x.mean(),
        lambda _, x: x.mean(2),
        lambda _, x: x.mean((1, 2)),
    ],
)
def test_another_mean_is_no_pool(function: Callable[..., Any]) -> None:
    assert archbench.count(Function(function), MAP).cio_pool == 0


@pytest.mark.parametrize(
    ("norm", "shape", "elements"),
    [
        (nn.BatchNorm2d(3), (BATCH, 3, 8, 8), 3 * 64),
        (nn.BatchNorm1d(3), (BATCH, 3, 8), 24),
        (nn.BatchNorm3d(3), (BATCH, 3, 2, 2, 2), 24),
        (nn.GroupNorm(3, 3), (BATCH, 3, 8, 8), 0),
        (nn.LayerNorm(8), (BATCH, 3, 8, 8), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_batch_normalisations_are_what_a_paper_adds(
    norm: nn.Module, shape: tuple[int, ...], elements: int
) -> None:
    report = archbench.count(norm, shape)
    assert report.bn_elements == report.paper_flops == elements
    assert report.macs == 0


@pytest.mark.parametrize("source", [(2, 7), (2, 5, 7), (2, 3, 5, 7)])
def test_a_product_with_a_parameter_is_a_linear_layer(source: tuple[int, ...]) -> None:
    report = archbench.count(Function(lambda self, x: x.relu() @ self.weight.t(), 4, 7), source)
    (call,) = report.calls
    assert report.uncounted == ()
    assert call.kind == "linear"
    assert report.macs == prod(source[1:]) * 4
    assert call.params == 28


def test_a_product_of_an_input_reads_only_the_parameters() -> None:
    (call,) = archbench.count(Function(lambda self, x: x @ self.weight, 7, 4), (2, 5, 7)).calls
    assert call.params == 28


def test_a_parameter_on_the_left_counts_for_one_image() -> None:
    """[3, 5] times [batch, 5, 7]: 3 x 5 x 7 for each image, though 3 is no multiple of the
    batch.
    """
    assert (
        archbench.count(Function(lambda self, x: self.weight @ x.relu(), 3, 5), (2, 5, 7)).macs
        == 3 * 5 * 7
    )


KINDS = nn.Sequential(
    nn.Conv2d(3, 8, 3),
    nn.BatchNorm2d(8),
    nn.PReLU(8),
    nn.ConvTranspose2d(8, 4, 2, bias=False),
    nn.GroupNorm(2, 4),
    nn.Flatten(),
    nn.Linear(4 * 49, 5),
    nn.LayerNorm(5),
)


def test_parameters_are_sorted_by_kind() -> None:
    kinds = archbench.count(KINDS, (1, 3, 8, 8)).param_kinds
    assert (kinds.conv_weights, kinds.linear_weights, kinds.biases) == (
        3 * 8 * 9 + 8 * 4 * 4,
        4 * 49 * 5,
        8 + 5,
    )
    assert (kinds.norm_scalars, kinds.other, kinds.norm_buffers) == (2 * (8 + 4 + 5), 8, 16)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.free = nn.Parameter(torch.empty(3))

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x))


@pytest.mark.parametrize(
    "module",
    [KINDS, Tied(), nn.MultiheadAttention(8, 2), nn.LSTM(4, 6)],
    ids=lambda module: type(module).__name__,
)
def test_the_kinds_sum_to_the_parameters(module: nn.Module) -> None:
    from archbench.counting.params import param_kinds

    kinds = param_kinds([*module.modules()])
    total = (
        kinds.conv_weights + kinds.linear_weights + kinds.biases + kinds.norm_scalars + kinds.other
    )
    assert total == sum(parameter.numel() for parameter in module.parameters())


def test_shared_weights_count_once() -> None:
    report = archbench.count(Tied(), (2, 4))
    assert (report.params, report.macs) == (16 + 8 + 3, 32)


class Dense(nn.Module):
    """A dense block of one convolution a layer, the first `bypass` channels passing by it."""

    def __init__(self, channels: int, layers: int, growth: int, *, bypass: int = 0) -> None:
        super().__init__()
        self.bypass = bypass
        self.layers = nn.ModuleList(
            nn.Conv2d(channels - bypass + i * growth, growth, 3, padding=1) for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        passed, y = x[:, : self.bypass], x[:, self.bypass :]
        for layer in self.layers:
            y = torch.cat([y, layer(y)], dim=1)
        return torch.cat([passed, y], dim=1)


@pytest.mark.parametrize(("channels", "layers", "growth"), [(64, 6, 32), (256, 4, 12), (8, 1, 3)])
def test_cspnet_s_formulas_of_dense_blocks(channels: int, layers: int, growth: int) -> None:
    whole = archbench.count(Dense(channels, layers, growth), (1, channels, 5, 7)).cio
    half = archbench.count(
        Dense(channels, layers, growth, bypass=channels // 2), (1, channels, 5, 7)
    ).cio
    assert whole == 35 * dense_block_cio(channels, layers, growth)
    assert half == 35 * partial_dense_block_cio(channels, layers, growth)


def test_cspnet_s_formulas_as_printed() -> None:
    """c = 256, m = 4, d = 32: 256 * 4 + (16 + 4) * 32 / 2, and half of 256 * 4 + (16 + 4) * 32."""
    assert dense_block_cio(256, 4, 32) == 1024 + 320
    assert partial_dense_block_cio(256, 4, 32) == (1024 + 640) // 2
