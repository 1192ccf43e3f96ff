"""EfficientNet-B0, the official one and darknet's: blocks, gates, residuals, and the widest map
that PRN taps.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

import archbench
from archbench.zoo.layers import Shortcut, SqueezeExcite

NAMES = ("efficientnet-b0", "efficientnet-b0-darknet")


def build(name: str) -> nn.Module:
    return archbench.build(name, classes=0, device="meta")


@pytest.mark.parametrize(
    ("name", "channels", "gated"),
    [
        (
            "efficientnet-b0",
            [16, 24, 40, 112, 1280],
            [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48],
        ),
        (
            "efficientnet-b0-darknet",
            [16, 24, 80, 112, 1280],
            [8, 16, 8, 8, 16, 16, 24, 24, 24, 32, 32, 32, 64, 64, 64, 64],
        ),
    ],
)
def test_blocks(name: str, channels: list[int], gated: list[int]) -> None:
    network = build(name)
    assert [stage.channels for stage in network.stages] == channels
    assert [stage.level for stage in network.stages] == ["c1", "c2", "c3", "c4", "c5"]
    residual = [i for i in range(1, 17) if isinstance(network.get_submodule(f"block{i}"), Shortcut)]
    assert residual == [3, 5, 7, 8, 10, 11, 13, 14, 15]
    assert [
        gate.gate[1].out_channels for gate in network.modules() if isinstance(gate, SqueezeExcite)
    ] == gated


def test_darknet_s_first_block_expands_too() -> None:
    first = {
        name: [
            layer.kernel_size[0]
            for layer in build(name).block1.modules()
            if isinstance(layer, nn.Conv2d)
        ]
        for name in NAMES
    }
    assert first == {"efficientnet-b0": [3, 1, 1, 1], "efficientnet-b0-darknet": [1, 3, 1, 1, 1]}


@pytest.mark.parametrize(
    ("name", "channels"), [("efficientnet-b0", 672), ("efficientnet-b0-darknet", 576)]
)
def test_prn_taps_the_expansion_that_leaves_stride_16(name: str, channels: int) -> None:
    backbone = archbench.build(name, "prn", device="meta").features.backbone
    assert [(stage.channels, stage.stride) for stage in backbone.tapped] == [
        (channels, 16),
        (1280, 32),
    ]


def test_gates_count_as_convolutions() -> None:
    report = archbench.cost("efficientnet-b0-darknet")
    assert sum(call.out_shape[2:] == (1, 1) for call in report.calls) == 2 * 16 + 1
    assert (report.param_kinds.conv_weights, report.params) == (4_808_384, 4_853_720)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_for_real_and_images_do_not_see_each_other(
    runs: Callable[..., None], name: str
) -> None:
    runs(name)
