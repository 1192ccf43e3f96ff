"""LRF: maps, parts, boxes, both fusions."""

from __future__ import annotations

import pytest
import torch

import archbench
from archbench.papers.pairs import pairs
from archbench.shapes import map_sizes
from archbench.zoo.detectors.base.single_stage import SingleStage
from archbench.zoo.detectors.lrf import BottomUp, Light, TopDown


def network(size: int | tuple[int, int], backbone: str = "vgg16") -> SingleStage:
    built = archbench.build(backbone, "lrf", size=size, device="meta")
    assert isinstance(built, SingleStage)
    return built


@pytest.mark.parametrize(
    ("size", "sides", "channels", "boxes"),
    [
        (300, [38, 19, 10, 5, 3, 1], [512, 1024, 512, 256, 256, 256], 11_620),
        (512, [64, 32, 16, 8, 4, 2, 1], [512, 1024, 512, 256, 256, 256, 256], 32_756),
    ],
)
def test_levels(size: int, sides: list[int], channels: list[int], boxes: int) -> None:
    built = network(size)
    assert map_sizes(built.features, (size, size)) == [(side, side) for side in sides]
    assert (built.features.channels, built.boxes) == (channels, boxes)


@pytest.mark.parametrize(
    ("part", "params"),
    [
        ("features.light", 1_246_720),
        ("features.up.down", 11_210_752),
        ("features.up.fuse", 15_340_544),
        ("features.extras", 2_691_328),
        ("offsets", 626_840),
        ("logits", 12_693_510),
    ],
)
def test_parts_have_their_parameters_at_512(part: str, params: int) -> None:
    assert (
        sum(p.numel() for name, p in network(512).named_parameters() if f".{part}." in f".{name}")
        == params
    )


@pytest.mark.parametrize(
    ("size", "sides"), [(300, [38, 19, 10]), (321, [41, 21, 11]), (512, [64, 32, 16, 8])]
)
def test_the_light_network_has_the_sizes_of_the_maps(size: int, sides: list[int]) -> None:
    light = network(size).features.light
    assert isinstance(light, Light)
    assert [columns for columns, _ in map_sizes(light, (size, size))] == sides
    assert network(size).boxes


def test_fusion_up_and_down_by_hand() -> None:
    torch.manual_seed(0)
    widths = [8, 12, 6]
    up, down = BottomUp(widths, norm="bn").eval(), TopDown(widths, norm="bn").eval()
    maps = [
        torch.randn(1, width, side, side) for width, side in zip(widths, (8, 4, 2), strict=True)
    ]
    light = [torch.randn(m.shape) for m in maps[:2]]
    with torch.inference_mode():
        first = up.fuse[0]((maps[0] * light[0]).relu())
        second = up.fuse[1]((up.down[0](first) + maps[1] * light[1]).relu())
        fused = [first, second, up.fuse[2]((up.down[1](second) + maps[2]).relu())]
        for ours, expected in zip(up(maps, light), fused, strict=True):
            torch.testing.assert_close(ours, expected)
        p1, p2 = down.share[0](second), down.share[1](fused[2])
        big = [torch.nn.functional.interpolate(p, size=(8, 8), mode="bilinear") for p in (p1, p2)]
        finest = down.merge[0](
            torch.cat([down.own[0](first), down.others[0](torch.cat(big, 1))], 1)
        )
        torch.testing.assert_close(down(fused)[0], finest)
        assert down(fused)[2] is fused[2]


def test_on_resnets_it_is_approximate_and_says_so() -> None:
    status = {pair.backbone: (pair.status, pair.why) for pair in pairs() if pair.detector == "lrf"}
    assert status["vgg16"] == ("builds", "")
    assert status["resnet101"][0] == "approximate"
    assert "no public code on ResNets" in status["resnet101"][1]
