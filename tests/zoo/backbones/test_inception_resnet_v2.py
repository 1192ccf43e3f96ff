"""Inception-ResNet v2: scaled residuals, padding and output stride, and the two halves that a
two-stage detector runs.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.spec import OptionValue
from archbench.zoo.backbones.inception_resnet_v2 import ScaledResidual

STEPS = {
    "conv1a": 32,
    "conv2a": 32,
    "conv2b": 64,
    "pool3a": 64,
    "conv3b": 80,
    "conv4a": 192,
    "pool5a": 192,
    "mixed_5b": 320,
    "repeat": 320,
    "mixed_6a": 1088,
    "repeat_1": 1088,
    "mixed_7a": 2080,
    "repeat_2": 2080,
    "block8": 2080,
    "conv7b": 1536,
}
"""Steps and their channels."""
PARAMS = {
    "stem": 172_672,
    "mixed_5b": 268_320,
    "repeat": 1_231_680,
    "mixed_6a": 2_664_960,
    "repeat_1": 22_535_680,
    "mixed_7a": 3_880_960,
    "repeat_2": 20_354_240,
    "conv7b": 3_197_952,
}
SMALLEST = 75
"""The smallest side that the network takes unpadded."""


def build(**options: OptionValue) -> nn.Module:
    return archbench.build("inception-resnet-v2", classes=0, device="meta", **options)


def test_params_of_each_part() -> None:
    parts = dict.fromkeys(PARAMS, 0)
    for name, step in build().named_children():
        part = "repeat_2" if name == "block8" else name if name in parts else "stem"
        parts[part] += sum(p.numel() for p in step.parameters())
    assert parts == PARAMS


@pytest.mark.parametrize(
    ("side", "options", "expected"),
    [
        (299, {"padding": "valid"}, [149, 147, 147, 73, 73, 71, 35, 35, 35, 17, 17, 8, 8, 8, 8]),
        (300, {"padding": "same"}, [150, 150, 150, 75, 75, 75, 38, 38, 38, 19, 19, 9, 9, 9, 9]),
        (
            600,
            {"padding": "same"},
            [300, 300, 300, 150, 150, 150, 75, 75, 75, 38, 38, 18, 18, 18, 18],
        ),
        (
            300,
            {"padding": "same-all"},
            [150, 150, 150, 75, 75, 75, 38, 38, 38, 19, 19, 10, 10, 10, 10],
        ),
        (224, {"padding": "same-all"}, [112, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 7, 7, 7, 7]),
        (
            300,
            {"padding": "same", "output_stride": 8},
            [150, 150, 150, 75, 75, 75, 38, 38, 38, 38, 38, 18, 18, 18, 18],
        ),
        (
            600,
            {"padding": "same", "output_stride": 8},
            [300, 300, 300, 150, 150, 150, 75, 75, 75, 75, 75, 37, 37, 37, 37],
        ),
    ],
    ids=str,
)
def test_map_sizes(side: int, options: dict[str, OptionValue], expected: list[int]) -> None:
    network = build(**options)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, step in network.named_children():
        step.register_forward_hook(
            lambda _module, _inputs, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    archbench.count(network, (1, 3, side, side))
    assert shapes == {
        name: (channels, height, height)
        for (name, channels), height in zip(STEPS.items(), expected, strict=True)
    }


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [
        (16, [("conv2b", 2), ("conv4a", 4), ("repeat", 8), ("repeat_1", 16), ("conv7b", 32)]),
        (8, [("conv2b", 2), ("conv4a", 4), ("repeat_1", 8), ("conv7b", 16)]),
    ],
)
def test_its_stages_are_the_deepest_steps_of_each_resolution(
    output_stride: int, expected: list[tuple[str, int]]
) -> None:
    stages = build(output_stride=output_stride).stages
    assert [(stage.name, stage.stride) for stage in stages] == expected
    assert all(stage.channels == STEPS[stage.name] for stage in stages)


def test_at_output_stride_8_the_blocks_that_lose_their_stride_are_dilated() -> None:
    dilated = {
        (name.split(".")[0], layer.kernel_size, layer.dilation)
        for name, layer in build(output_stride=8).named_modules()
        if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1)
    }
    assert dilated == {("repeat_1", (1, 7), (2, 2)), ("repeat_1", (7, 1), (2, 2))}
    plain, wide = (
        archbench.cost("inception-resnet-v2", classes=0, output_stride=stride) for stride in (16, 8)
    )
    assert plain.params == wide.params


def test_residuals_are_scaled_and_the_last_is_not_rectified() -> None:
    network = build()
    residuals = {
        name: list(network.get_submodule(name))
        for name in ("repeat", "repeat_1", "repeat_2", "block8")
    }
    assert {name: len(blocks) for name, blocks in residuals.items()} == {
        "repeat": 10,
        "repeat_1": 20,
        "repeat_2": 9,
        "block8": 1,
    }
    assert {
        name: {(block.scale, block.relu) for block in blocks} for name, blocks in residuals.items()
    } == {
        "repeat": {(0.17, True)},
        "repeat_1": {(0.1, True)},
        "repeat_2": {(0.2, True)},
        "block8": {(1.0, False)},
    }
    assert all(
        block.branch[-1].bias is not None for blocks in residuals.values() for block in blocks
    )


@pytest.mark.parametrize(("relu", "expected"), [(True, [0.0, 2.5]), (False, [-3.5, 2.5])])
def test_a_residual_adds_its_branch_times_the_scale(relu: bool, expected: list[float]) -> None:
    block = ScaledResidual(nn.Threshold(10, 1), scale=0.5, relu=relu)
    x = torch.tensor([-4.0, 2.0])
    assert block(x).tolist() == expected
    assert x.tolist() == [-4.0, 2.0]


def test_the_original_papers_count_leaves_gamma_out() -> None:
    """Huang et al., Table 2."""
    kinds = archbench.cost("inception-resnet-v2", classes=0).param_kinds
    normalised = kinds.norm_scalars // 2
    assert (kinds.conv_weights, normalised, kinds.biases) == (54_200_160, 30_272, 45_760)
    assert kinds.conv_weights + kinds.biases + 3 * normalised == 54_336_736


@pytest.mark.parametrize(("output_stride", "macs"), [(16, 13_407_289_728), (8, 39_916_634_496)])
def test_the_halves_of_a_two_stage_detector(output_stride: int, macs: int) -> None:
    split = build(padding="same", output_stride=output_stride).split()
    first, second = (
        archbench.count(split.trunk, (1, 3, 300, 300)),
        archbench.count(split.tail, (1, 1088, 17, 17)),
    )
    assert (first.macs, first.params) == (macs, 26_873_312)
    assert (second.macs, second.params, second.calls[-1].out_shape) == (
        2_090_131_456,
        27_433_152,
        (1, 1536, 8, 8),
    )
    assert (split.channels, split.vectors) == (1536, False)


def test_it_takes_pixels_from_minus_one_to_one() -> None:
    image = (
        build()
        .preparation(torch.tensor([0, 255, 255], dtype=torch.uint8).reshape(3, 1, 1), (1, 1))
        .image
    )
    assert image.flatten().tolist() == [-1, 1, 1]


def test_a_real_pass_is_finite_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("inception-resnet-v2", size=SMALLEST, classes=0)
    with torch.inference_mode():
        (out,) = network(torch.randn(2, 3, SMALLEST, SMALLEST))
    assert out.shape == (2, 1536, 1, 1)
    assert out.isfinite().all()
    assert out.std() > 0
    report = archbench.cost("inception-resnet-v2", size=SMALLEST, classes=0)
    assert check_against_fvcore(network, report, (3, SMALLEST, SMALLEST)).agrees
