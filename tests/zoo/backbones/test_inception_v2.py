"""Inception v2: the released network's modules, its depthwise stem, and the two halves that a
two-stage detector runs.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.zoo.backbones.inception_v2 import inception_v2

PARAMS = {
    "conv1a": 2_840,
    "pool2a": 0,
    "conv2b": 4_224,
    "conv2c": 110_976,
    "pool3a": 0,
    "mixed_3b": 219_072,
    "mixed_3c": 260_160,
    "mixed_4a": 385_088,
    "mixed_4b": 609_984,
    "mixed_4c": 665_344,
    "mixed_4d": 895_936,
    "mixed_4e": 1_108_032,
    "mixed_5a": 1_439_744,
    "mixed_5b": 2_182_272,
    "mixed_5c": 2_279_616,
}
CHANNELS = (64, 64, 64, 192, 192, 256, 320, 576, 576, 576, 576, 576, 1024, 1024, 1024)
STEPS_AT = (1, 3, 3, 5, 3)
"""How many steps each resolution has, from the first convolution's on."""


def build() -> nn.Module:
    return archbench.build("inception-v2", classes=0, device="meta")


def test_params_of_each_step() -> None:
    assert {
        name: sum(p.numel() for p in step.parameters()) for name, step in build().named_children()
    } == PARAMS


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
    network = build()
    shapes: list[tuple[int, ...]] = []
    for step in network.children():
        step.register_forward_hook(
            lambda _module, _inputs, out: shapes.append(tuple(out.shape[1:]))
        )
    archbench.count(network, (1, 3, side, side))
    each = [side for side, steps in zip(sides, STEPS_AT, strict=True) for _ in range(steps)]
    assert shapes == [(channels, side, side) for channels, side in zip(CHANNELS, each, strict=True)]


def test_its_stages_are_the_deepest_modules_of_each_resolution() -> None:
    stages = build().stages
    assert [(stage.name, stage.channels, stage.level) for stage in stages] == [
        ("conv1a", 64, "c1"),
        ("conv2c", 192, "c2"),
        ("mixed_3c", 320, "c3"),
        ("mixed_4e", 576, "c4"),
        ("mixed_5c", 1024, "c5"),
    ]


def test_the_single_shot_detector_taps_an_inner_point() -> None:
    with torch.device("meta"):
        network = inception_v2(taps=("mixed_4c", "c5"))
    assert [(stage.name, stage.channels, stage.stride) for stage in network.tapped] == [
        ("mixed_4c", 576, 16),
        ("mixed_5c", 1024, 32),
    ]
    assert "mixed_4c" not in [stage.name for stage in network.stages]


def test_the_stem_is_separable_without_a_norm_between() -> None:
    depthwise, pointwise, *rest = build().conv1a
    assert (depthwise.weight.numel(), depthwise.groups, depthwise.bias, pointwise.kernel_size) == (
        1_176,
        3,
        None,
        (1, 1),
    )
    assert [type(layer) for layer in rest] == [nn.BatchNorm2d, nn.ReLU]


def test_only_the_last_module_and_the_strided_ones_take_a_maximum() -> None:
    network = build()
    pools = {
        name: pool
        for name, step in network.named_children()
        for pool in step.modules()
        if isinstance(pool, nn.MaxPool2d)
    }
    assert list(pools) == ["pool2a", "pool3a", "mixed_4a", "mixed_5a", "mixed_5c"]
    averages = [pool for pool in network.modules() if isinstance(pool, nn.AvgPool2d)]
    assert len(averages) == 7
    assert all(
        torch.equal(pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4)) for pool in averages
    )


def test_the_original_papers_count_leaves_gamma_out_and_has_a_bias_in_the_stem() -> None:
    """Huang et al., Table 2."""
    kinds = archbench.cost("inception-v2", classes=0).param_kinds
    normalised = kinds.norm_scalars // 2
    assert (kinds.conv_weights, normalised, kinds.biases) == (10_143_384, 9_952, 0)
    assert kinds.conv_weights + 64 + 3 * (normalised - 64) == 10_173_112


def test_the_halves_of_a_two_stage_detector() -> None:
    split = build().split()
    first, second = (
        archbench.count(split.trunk, (1, 3, 300, 300)),
        archbench.count(split.tail, (1, 576, 14, 14)),
    )
    assert (first.macs, first.params) == (2_841_319_264, 4_261_656)
    assert (second.macs, second.params, second.calls[-1].out_shape[-2:]) == (
        380_886_016,
        5_901_632,
        (7, 7),
    )
    assert (split.channels, split.vectors) == (1024, False)


def test_it_takes_pixels_from_minus_one_to_one() -> None:
    image = (
        build()
        .preparation(torch.tensor([0, 255, 255], dtype=torch.uint8).reshape(3, 1, 1), (1, 1))
        .image
    )
    assert image.flatten().tolist() == [-1, 1, 1]


def test_a_real_pass_is_finite_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("inception-v2", size=64, classes=0)
    with torch.inference_mode():
        (out,) = network(torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 1024, 2, 2)
    assert out.isfinite().all()
    assert out.std() > 0
    report = archbench.cost("inception-v2", size=64, classes=0)
    assert check_against_fvcore(network, report, (3, 64, 64)).agrees
