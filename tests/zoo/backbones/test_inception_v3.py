"""Inception v3: its modules, the three ways to pad it, and the two halves that a two-stage detector
runs.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.spec import UsageError
from archbench.zoo.backbones.inception_v3 import Conv, Mixed, Pool

STEPS = {
    "conv1a": 32,
    "conv2a": 32,
    "conv2b": 64,
    "pool3a": 64,
    "conv3b": 80,
    "conv4a": 192,
    "pool5a": 192,
    "mixed_5b": 256,
    "mixed_5c": 288,
    "mixed_5d": 288,
    "mixed_6a": 768,
    "mixed_6b": 768,
    "mixed_6c": 768,
    "mixed_6d": 768,
    "mixed_6e": 768,
    "mixed_7a": 1280,
    "mixed_7b": 2048,
    "mixed_7c": 2048,
}
"""Steps and their channels."""
SMALLEST = 75
"""The smallest side that the network takes unpadded."""


def build(**options: str) -> nn.Module:
    return archbench.build("inception-v3", classes=0, device="meta", **options)


def sides(side: int, padding: str) -> list[int]:
    """The side of the map after each step; the channels are what they should be."""
    network = build(padding=padding)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, step in network.named_children():
        step.register_forward_hook(
            lambda _module, _inputs, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    archbench.count(network, (1, 3, side, side))
    assert {name: shape[0] for name, shape in shapes.items()} == STEPS
    return [height for _, height, _ in shapes.values()]


@pytest.mark.parametrize(
    ("side", "padding", "expected"),
    [
        (299, "valid", [149, 147, 147, 73, 73, 71, *[35] * 4, *[17] * 5, *[8] * 3]),
        (300, "same", [150, 150, 150, 75, 75, 75, *[38] * 4, *[19] * 5, *[9] * 3]),
        (600, "same", [300, 300, 300, 150, 150, 150, *[75] * 4, *[38] * 5, *[18] * 3]),
        (299, "same-all", [150, 150, 150, 75, 75, 75, *[38] * 4, *[19] * 5, *[10] * 3]),
        (224, "same-all", [112, 112, 112, 56, 56, 56, *[28] * 4, *[14] * 5, *[7] * 3]),
    ],
)
def test_map_sizes(side: int, padding: str, expected: list[int]) -> None:
    assert sides(side, padding) == expected


@pytest.mark.parametrize(("side", "last_but_one"), [(300, 17), (600, 35)])
def test_unpadded_maps_at_a_detectors_input(side: int, last_but_one: int) -> None:
    assert sides(side, "valid")[-4] == last_but_one


def test_padding_changes_no_parameter() -> None:
    assert {
        archbench.cost("inception-v3", classes=0, padding=padding).params
        for padding in ("valid", "same", "same-all")
    } == {21_785_568}


def test_its_stages_are_the_deepest_modules_of_each_resolution() -> None:
    assert [(stage.name, stage.channels, stage.level) for stage in build().stages] == [
        ("conv2b", 64, "c1"),
        ("conv4a", 192, "c2"),
        ("mixed_5d", 288, "c3"),
        ("mixed_6e", 768, "c4"),
        ("mixed_7c", 2048, "c5"),
    ]


def test_a_block_is_its_branches_side_by_side() -> None:
    """A valid row has no padding, a fork inside a branch is concatenated, a mean leaves the padding
    out.
    """
    fork = Mixed([Conv((1, 3), 2)], [Conv((3, 1), 3)])
    block = Mixed([Conv(1, 4), fork], [Pool("avg")])
    made, channels = block.make(6, padded=False)
    out = made.eval()(torch.ones(1, 6, 5, 5))
    assert (channels, out.shape, block.stride) == (11, (1, 11, 5, 5), 1)
    assert torch.equal(out[:, 5:], torch.ones(1, 6, 5, 5))


@pytest.mark.parametrize(
    ("row", "padded", "side"),
    [
        (Conv(3, 2, stride=2, valid=True), False, 3),
        (Conv(3, 2, stride=2, valid=True), True, 4),
        (Pool("max", stride=2, valid=True), False, 3),
        (Pool("max", stride=2, valid=True), True, 4),
        (Conv(3, 2, stride=2), False, 4),
        (Conv((1, 7), 2, dilation=2), False, 7),
    ],
)
def test_a_row_is_padded_unless_it_is_valid(row: Conv | Pool, padded: bool, side: int) -> None:
    made, _ = row.make(2, padded=padded)
    out: Tensor = made.eval()(torch.zeros(1, 2, 7, 7))
    assert out.shape[-2:] == (side, side)


def test_the_original_papers_count_leaves_gamma_out() -> None:
    """Huang et al., Table 2."""
    kinds = archbench.cost("inception-v3", classes=0).param_kinds
    normalised = kinds.norm_scalars // 2
    assert (kinds.conv_weights, normalised, kinds.biases) == (21_751_136, 17_216, 0)
    assert kinds.conv_weights + 3 * normalised == 21_802_784


def test_the_halves_of_a_two_stage_detector() -> None:
    split = build(padding="same").split()
    first, second = (
        archbench.count(split.trunk, (1, 3, 300, 300)),
        archbench.count(split.tail, (1, 768, 17, 17)),
    )
    assert (first.macs, first.params) == (5_578_915_200, 8_965_856)
    assert (second.macs, second.params, second.calls[-1].out_shape[-2:]) == (
        1_001_938_944,
        12_819_712,
        (8, 8),
    )
    assert (split.channels, split.vectors) == (2048, False)


def test_it_takes_pixels_from_minus_one_to_one() -> None:
    image = (
        build()
        .preparation(torch.tensor([0, 255, 255], dtype=torch.uint8).reshape(3, 1, 1), (1, 1))
        .image
    )
    assert image.flatten().tolist() == [-1, 1, 1]


def test_the_smallest_input() -> None:
    assert sides(SMALLEST, "valid")[-1] == 1
    with pytest.raises(UsageError, match="cannot run"):
        archbench.cost("inception-v3", size=SMALLEST - 1)


def test_a_real_pass_is_finite_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("inception-v3", size=SMALLEST, classes=0)
    with torch.inference_mode():
        (out,) = network(torch.randn(2, 3, SMALLEST, SMALLEST))
    assert out.shape == (2, 2048, 1, 1)
    assert out.isfinite().all()
    assert out.std() > 0
    report = archbench.cost("inception-v3", size=SMALLEST, classes=0)
    assert check_against_fvcore(network, report, (3, SMALLEST, SMALLEST)).agrees
