"""Res2Net-50 and Res2NeXt-50: what the scales of a block read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo.backbones.res2net import Scales
from archbench.zoo.backbones.resnet import Shape


def test_each_scale_reads_the_one_before_and_the_last_passes() -> None:
    scales = Scales(Shape(32, 16, 32)).eval()
    x = torch.randn(2, 16, 5, 5)
    first, second, third, last = x.chunk(4, dim=1)
    y1 = scales.convs[0](first)
    y2 = scales.convs[1](second + y1)
    torch.testing.assert_close(
        scales(x), torch.cat([y1, y2, scales.convs[2](third + y2), last], dim=1)
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_in_the_first_block_of_a_stage_scales_are_apart_and_the_last_is_pooled(stride: int) -> None:
    scales = Scales(Shape(16, 16, 32, stride)).eval()
    x = torch.randn(2, 16, 6, 6)
    *parts, last = x.chunk(4, dim=1)
    apart = [conv(part) for conv, part in zip(scales.convs, parts, strict=True)]
    torch.testing.assert_close(
        scales(x), torch.cat([*apart, nn.functional.avg_pool2d(last, 3, stride, 1)], dim=1)
    )


@pytest.mark.parametrize(
    ("name", "widths", "groups"),
    [("res2net50", [26, 52, 104, 208], 1), ("res2next50", [32, 64, 128, 256], 8)],
)
def test_widths(name: str, widths: list[int], groups: int) -> None:
    network = archbench.build(name, classes=0, device="meta")
    scales = [
        next(
            layer
            for layer in network.get_submodule(f"stage{i}").modules()
            if isinstance(layer, Scales)
        )
        for i in (2, 3, 4, 5)
    ]
    assert [
        (scale.convs[0][0].in_channels, scale.convs[0][0].groups, scale.first) for scale in scales
    ] == [(w, groups, True) for w in widths]


@pytest.mark.parametrize("name", ["res2net50", "res2next50"])
def test_it_runs_for_real_and_images_do_not_see_each_other(
    runs: Callable[..., None], name: str
) -> None:
    runs(name)
