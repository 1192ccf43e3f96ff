"""MobileNet: Table 1's units, the width multiplier, and the two halves that a two-stage detector
runs.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.spec import UsageError
from archbench.zoo.backbones.mobilenet import separable

STEPS_AT = (2, 2, 2, 6, 2)
"""How many steps each resolution has, from the first convolution's on."""


def maps(side: int, **options: float) -> dict[str, tuple[int, int, int]]:
    """The shape of the map after each step."""
    network = archbench.build("mobilenet", classes=0, device="meta", **options)
    shapes: dict[str, tuple[int, int, int]] = {}
    for name, step in network.named_children():
        step.register_forward_hook(
            lambda _module, _inputs, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    archbench.count(network, (1, 3, side, side))
    return shapes


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (300, (150, 75, 38, 19, 10)),
        (600, (300, 150, 75, 38, 19)),
        (299, (150, 75, 38, 19, 10)),
        (224, (112, 56, 28, 14, 7)),
    ],
)
def test_map_sizes(side: int, sides: tuple[int, ...]) -> None:
    each = [side for side, steps in zip(sides, STEPS_AT, strict=True) for _ in range(steps)]
    assert [shape[1:] for shape in maps(side).values()] == [(side, side) for side in each]


def test_its_stages_are_the_deepest_units_of_each_resolution() -> None:
    stages = archbench.build("mobilenet", classes=0, device="meta").stages
    assert [(stage.name, stage.channels, stage.level) for stage in stages] == [
        ("conv1", 64, "c1"),
        ("conv3", 128, "c2"),
        ("conv5", 256, "c3"),
        ("conv11", 512, "c4"),
        ("conv13", 1024, "c5"),
    ]


def test_a_unit_is_depthwise_then_pointwise_with_relu6() -> None:
    layers = list(separable(8, 16, 2))
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6] * 2
    assert [(layer.kernel_size, layer.stride, layer.groups) for layer in layers[::3]] == [
        ((3, 3), (2, 2), 8),
        ((1, 1), (1, 1), 1),
    ]


def test_the_original_papers_count_has_one_scalar_for_each_channel_of_a_full_convolution() -> None:
    """Huang et al., Table 2."""
    report = archbench.cost("mobilenet", classes=0)
    kinds = report.param_kinds
    assert (kinds.conv_weights, kinds.norm_scalars, kinds.biases) == (3_185_088, 2 * 10_944, 0)
    full = sum(call.out_shape[1] for call in report.calls if call.groups == 1)
    assert kinds.conv_weights + full == 3_191_072


def test_the_classifier_counts_as_in_the_paper() -> None:
    """MobileNets, Table 4: 569 million multiply-adds and 4.2 million parameters."""
    report = archbench.cost("mobilenet")
    assert (round(report.macs / 1e6), round(report.params / 1e6, 1)) == (569, 4.2)


@pytest.mark.parametrize(
    ("width", "mega_macs", "mega_params"), [(0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)]
)
def test_the_width_multiplier_counts_as_in_the_paper(
    width: float, mega_macs: int, mega_params: float
) -> None:
    """MobileNets, Table 6."""
    report = archbench.cost("mobilenet-v1", width=width)
    assert report.macs / 1e6 == pytest.approx(mega_macs, rel=0.015)
    assert round(report.params / 1e6, 1) == mega_params


def test_a_width_rounds_channels() -> None:
    shapes = maps(64, width=0.3)
    assert [shapes[name][0] for name in ("conv0", "conv1", "conv3", "conv13")] == [10, 19, 38, 307]


def test_a_width_without_channels_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot be built"):
        archbench.cost("mobilenet", width=0.001)


def test_the_halves_of_a_two_stage_detector() -> None:
    split = archbench.build("mobilenet", classes=0, device="meta").split()
    first, second = (
        archbench.count(split.trunk, (1, 3, 300, 300)),
        archbench.count(split.tail, (1, 512, 14, 14)),
    )
    assert (first.macs, first.params) == (896_537_536, 1_613_120)
    assert (second.macs, second.params, second.calls[-1].out_shape) == (
        77_747_712,
        1_593_856,
        (1, 1024, 7, 7),
    )
    assert (split.channels, split.vectors) == (1024, False)


def test_it_takes_pixels_from_minus_one_to_one() -> None:
    network = archbench.build("mobilenet", device="meta")
    image = network.preparation(
        torch.tensor([0, 255, 255], dtype=torch.uint8).reshape(3, 1, 1), (1, 1)
    ).image
    assert image.flatten().tolist() == [-1, 1, 1]


def test_a_real_pass_is_finite_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("mobilenet", size=64, classes=0)
    with torch.inference_mode():
        (out,) = network(torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 1024, 2, 2)
    assert out.isfinite().all()
    assert out.std() > 0
    report = archbench.cost("mobilenet", size=64, classes=0)
    assert check_against_fvcore(network, report, (3, 64, 64)).agrees
