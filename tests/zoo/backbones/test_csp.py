"""Cross-stage partial networks: two parts a stage, one of them with the blocks; what CSPNet counts
of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.spec import UsageError
from archbench.zoo.backbones.csp import CrossStage, Row
from archbench.zoo.backbones.darknet import residual
from archbench.zoo.layers import Shortcut

PARTS = {
    "csp-resnet50": ([3, 3, 5, 2], [128, 256, 512, 1024], [128, 256, 512, 1024]),
    "csp-resnext50": ([3, 3, 5, 2], [128, 256, 512, 1024], [256, 512, 1024, 2048]),
    "csp-darknet53": ([1, 2, 8, 8, 4], [64, 64, 128, 256, 512], [64, 128, 256, 512, 1024]),
}
"""Blocks, channels of a part, and of the merged map, a stage each."""


def cross_stages(name: str) -> list[CrossStage]:
    return [
        layer
        for layer in archbench.build(name, classes=0, device="meta").modules()
        if isinstance(layer, CrossStage)
    ]


@pytest.mark.parametrize("name", PARTS)
def test_stages(name: str) -> None:
    stages = cross_stages(name)
    blocks, parts, merged = PARTS[name]
    assert [
        sum(isinstance(layer, Shortcut) for layer in stage.branch) for stage in stages
    ] == blocks
    assert [stage.bypass[0].out_channels for stage in stages] == parts
    assert [stage.merge[0].out_channels for stage in stages] == merged
    network = archbench.build(name, classes=0, device="meta")
    assert [stage.channels for stage in network.stages] == merged
    assert network.stages[-1].stride == 32


@pytest.mark.parametrize("name", ["csp-resnet50", "csp-resnext50"])
def test_the_first_blocks_of_the_resnets_meet_64_channels(name: str) -> None:
    first = cross_stages(name)[0]
    assert (first.bypass[0].out_channels, first.branch[0].out_channels) == (128, 64)
    assert (
        next(conv.in_channels for conv in first.branch[3].modules() if isinstance(conv, nn.Conv2d))
        == 64
    )


@pytest.mark.parametrize(
    ("name", "linear"),
    [("csp-resnext50", [False, True, True, False]), ("csp-darknet53", [False] * 5)],
)
def test_in_the_middle_stages_of_the_resnets_parts_begin_without_activation(
    name: str, linear: list[bool]
) -> None:
    assert [
        not isinstance(stage.bypass[-1], nn.LeakyReLU) for stage in cross_stages(name)
    ] == linear


def test_a_stage_merges_the_blocks_part_and_then_the_other() -> None:
    stage = CrossStage(
        6,
        Row(down=0, part=4, middle=2, blocks=2, merged=8),
        lambda c_in, row: residual(c_in, row.middle),
    ).eval()
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(
        stage(x), stage.merge(torch.cat([stage.branch(x), stage.bypass(x)], dim=1))
    )
    assert stage(x).shape == (2, 8, 5, 5)


def test_cio_with_pooling_is_cspnet_s_and_below_resnext_s() -> None:
    """Section 4.5: 32.6M."""
    report = archbench.cost("csp-resnext50")
    assert (report.cio, report.cio_pool) == (31_198_184, 32_642_024)
    assert f"{report.cio_pool / 1e6:.1f}" == "32.6"


def test_convolutions_of_csp_resnext_read_what_they_write() -> None:
    """CSPNet's Figure 8: 15.60M elements in and out."""
    calls = archbench.cost("csp-resnext50").calls
    read, written = (
        sum(torch.Size(shape).numel() for shape in shapes)
        for shapes in zip(*((c.in_shape, c.out_shape) for c in calls), strict=True)
    )
    assert (round(read / 1e6, 2), round(written / 1e6, 2)) == (15.6, 15.6)


@pytest.mark.parametrize("name", PARTS)
def test_it_runs_for_real_and_images_do_not_see_each_other(
    runs: Callable[..., None], name: str
) -> None:
    runs(name)


@pytest.mark.parametrize("name", ["csp-resnet10", "csp-densenet201-elastic", "hardnet138s"])
def test_what_no_layer_list_tells_is_published_only(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot be built: no public layer list"):
        archbench.cost(name)
