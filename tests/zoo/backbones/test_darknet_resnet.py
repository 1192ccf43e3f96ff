"""ResNets as darknet has them: shortcuts without projections, where the classifier stands, what
CSPNet counts of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo.backbones.darknet_resnet import basic, bottleneck
from archbench.zoo.layers import Shortcut

NAMES = ("resnet10-darknet", "resnet50-darknet", "resnext50-darknet")


@pytest.mark.parametrize(
    ("name", "blocks", "channels"),
    [
        ("resnet10-darknet", [1, 1, 1, 1], [64, 128, 256, 512]),
        ("resnet50-darknet", [3, 4, 6, 3], [256, 512, 1024, 2048]),
        ("resnext50-darknet", [3, 4, 6, 3], [256, 512, 1024, 2048]),
    ],
)
def test_stages(name: str, blocks: list[int], channels: list[int]) -> None:
    network = archbench.build(name, classes=0, device="meta")
    stages = [network.get_submodule(stage.name) for stage in network.stages]
    assert [len(stage) for stage in stages] == blocks
    assert all(isinstance(block, Shortcut) for stage in stages for block in stage)
    assert [(stage.channels, stage.level) for stage in network.stages] == list(
        zip(channels, ("c2", "c3", "c4", "c5"), strict=True)
    )


@pytest.mark.parametrize("block", [basic(4, 8, stride=2), bottleneck(4, 6, 8, stride=2, groups=2)])
def test_where_shapes_differ_every_second_cell_of_the_first_channels_is_added(
    block: Shortcut,
) -> None:
    block.eval()
    x = torch.randn(2, 4, 6, 6)
    branch = block.branch(x)
    total = torch.cat([branch[:, :4] + x[:, :, ::2, ::2], branch[:, 4:]], dim=1)
    torch.testing.assert_close(block(x), nn.functional.leaky_relu(total, 0.1))
    assert not any(
        layer.kernel_size == (1, 1) and layer.stride == (2, 2)
        for layer in block.modules()
        if isinstance(layer, nn.Conv2d)
    )


def test_resnext_s_3x3_have_32_groups() -> None:
    convs = [
        layer
        for layer in archbench.build("resnext50-darknet", classes=0, device="meta").modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert {(conv.kernel_size, conv.groups) for conv in convs} == {
        ((7, 7), 1),
        ((1, 1), 1),
        ((3, 3), 32),
    }


def test_resnet50_s_classifier_runs_before_the_global_pool() -> None:
    last = {
        name: archbench.cost(name).calls[-1].out_shape
        for name in ("resnet50-darknet", "resnext50-darknet")
    }
    assert last == {"resnet50-darknet": (1, 1000, 8, 8), "resnext50-darknet": (1, 1000, 1, 1)}


@pytest.mark.parametrize("size", ["16x256", "256x16"])
def test_a_map_may_be_one_cell_wide_or_high(size: str) -> None:
    """A past bug: where a width stayed at one cell, the rows of the shortcut were not halved."""
    assert archbench.cost("resnet10-darknet", size=size).macs > 0


def test_cio_with_pooling_is_cspnet_s() -> None:
    """Section 4.5: 34.4M, with the max pool's 1,310,720 elements and the global average pool's
    133,120.
    """
    report = archbench.cost("resnext50-darknet")
    assert (report.cio, report.cio_pool) == (32_967_656, 32_967_656 + 1_310_720 + 133_120)
    assert f"{report.cio_pool / 1e6:.1f}" == "34.4"


def test_convolutions_of_resnext_write_more_than_they_read() -> None:
    """CSPNet's Figure 8: 16.12M elements in, 16.84M out."""
    calls = archbench.cost("resnext50-darknet").calls
    read, written = (
        sum(torch.Size(shape).numel() for shape in shapes)
        for shapes in zip(*((c.in_shape, c.out_shape) for c in calls), strict=True)
    )
    assert (round(read / 1e6, 2), round(written / 1e6, 2)) == (16.12, 16.84)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_for_real_and_images_do_not_see_each_other(
    runs: Callable[..., None], name: str
) -> None:
    runs(name)
