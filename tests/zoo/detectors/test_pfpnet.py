"""PFPNet: pool, context, both forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import archbench
from archbench.spec import UsageError
from archbench.zoo.detectors.base.single_stage import SingleStage
from archbench.zoo.detectors.pfpnet import Aggregated, PFPNetR, Pyramid, resize


def parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_parts_have_their_parameters() -> None:
    built = archbench.build("vgg16", "pfpnet-r", device="meta")
    assert isinstance(built, PFPNetR)
    pyramid = built.pyramid
    assert parameters(pyramid.parts, pyramid.joint) == 1_114_112
    assert (parameters(pyramid.bottlenecks), parameters(pyramid.aggregate)) == (
        1_572_864,
        16_515_072,
    )
    assert (parameters(built.arm), parameters(built.odm)) == (165_960, 2_351_100)
    norms = [layer for layer in pyramid.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 4 + 4 * 2 + 4 * 3
    assert parameters(*norms) == 0


@pytest.mark.parametrize(
    ("size", "boxes"),
    [((320, 320), 6_375), ((512, 512), 16_320), ((384, 128), 3 * 48 * 16 * 85 // 64)],
)
def test_boxes_of_the_refining_form(size: tuple[int, int], boxes: int) -> None:
    assert archbench.cost("vgg16", "pfpnet-r", size=size).boxes == boxes


def test_the_other_form_has_ssd_s_boxes_on_four_maps() -> None:
    built = archbench.build("vgg16", "pfpnet-s", device="meta")
    assert isinstance(built, SingleStage)
    assert isinstance(built.features, Aggregated)
    assert built.levels == [38 * 38 * 4, 19 * 19 * 6, 10 * 10 * 6, 5 * 5 * 6]


def test_a_map_is_averaged_to_a_smaller_one_and_stretched_to_a_larger_one() -> None:
    x = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(resize(x, 3, 4), F.avg_pool2d(x, 2))
    torch.testing.assert_close(resize(x, 12, 16), F.interpolate(x, scale_factor=2, mode="bilinear"))
    assert resize(x, 5, 5).shape == (1, 2, 5, 5)


def test_every_level_reads_its_own_map_and_the_others_bottlenecks() -> None:
    torch.manual_seed(0)
    backbone = archbench.build("snet49", "pfpnet-s", size=64, classes=2).features.backbone
    pyramid = Pyramid(backbone).eval()
    with torch.inference_mode():
        images = torch.randn(1, 3, 64, 64)
        low, aggregated = pyramid(images)
        maps = [part(m) for part, m in zip(pyramid.parts, backbone(images), strict=True)]
        pooled = pyramid.joint(
            torch.cat(
                [maps[0], *(F.interpolate(m, size=(8, 8), mode="bilinear") for m in maps[1:])],
                dim=1,
            )
        )
        second = F.adaptive_avg_pool2d(pooled, 4)
        torch.testing.assert_close(low[1], pyramid.bottlenecks[1](second))
        others = (
            F.adaptive_avg_pool2d(low[0], 4),
            *(F.interpolate(m, size=(4, 4), mode="bilinear") for m in low[2:]),
        )
        torch.testing.assert_close(
            aggregated[1], pyramid.aggregate[1](torch.cat([second, *others], dim=1))
        )
    assert [m.shape[-1] for m in aggregated] == [8, 4, 2, 1]


def test_sides_that_do_not_halve_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="multiples of 64"):
        archbench.cost("vgg16", "pfpnet-r", size=300)
