"""RFBNet: blocks, levels, boxes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.shapes import map_sizes
from archbench.zoo.detectors.base.single_stage import SingleStage
from archbench.zoo.detectors.rfbnet import SCALE, rfb, rfb_s
from archbench.zoo.ops.boxes import to_centres
from archbench.zoo.ops.nms import Selection


def network(size: int, device: str = "meta") -> SingleStage:
    built = archbench.build("vgg16", "rfbnet", size=size, device=device)
    assert isinstance(built, SingleStage)
    return built


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "sides", "blocks", "boxes"),
    [
        (300, [38, 19, 10, 5, 3, 1], [1_502_016, 5_095_296, 4_175_744, 1_045_440], 11_620),
        (
            512,
            [64, 32, 16, 8, 4, 2, 1],
            [1_502_016, 5_095_296, 4_175_744, 1_045_440, 319_968, 319_968],
            32_756,
        ),
    ],
)
def test_levels(size: int, sides: list[int], blocks: list[int], boxes: int) -> None:
    built = network(size)
    assert map_sizes(built.features, (size, size)) == [(side, side) for side in sides]
    made = [built.features.first, *built.features.others]
    assert [parameters(block) for block in made[: len(blocks)]] == blocks
    assert built.boxes == boxes


def test_branches_beside_a_shortcut() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, 8, 8)
    for block in (rfb_s(32, 16, norm="bn"), rfb(32, 16, stride=2, dilation=2, norm="bn")):
        with torch.inference_mode():
            block.eval()
            torch.testing.assert_close(
                block(x), (SCALE * block.branches(x) + block.shortcut(x)).relu()
            )


def test_dilations_grow_from_branch_to_branch() -> None:
    def dilations(block: nn.Module) -> list[int]:
        return [
            layer.dilation[0]
            for layer in block.modules()
            if isinstance(layer, nn.Conv2d) and layer.dilation[0] > 1
        ]

    assert dilations(rfb_s(32, 16, norm="bn")) == [3, 3, 5]
    assert dilations(rfb(32, 16, stride=1, dilation=2, norm="bn")) == [2, 3, 5]
    assert dilations(rfb(32, 16, stride=2, dilation=1, norm="bn")) == [2, 3]


def test_the_first_map_has_six_boxes_a_cell_and_none_leaves_the_image() -> None:
    with torch.device("cpu"):
        boxes = archbench.build("snet49", "rfbnet", size=300).priors.boxes
    middle = to_centres(boxes[(19 * 38 + 19) * 6 :][:6])
    torch.testing.assert_close(middle[:, :2], torch.full((6, 2), 19.5 * 8))
    torch.testing.assert_close(
        middle[:, 2:].prod(1).sqrt(), torch.tensor([21, (21 * 45) ** 0.5, 21, 21, 21, 21])
    )
    torch.testing.assert_close(
        middle[:, 2] / middle[:, 3], torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3])
    )
    assert boxes.min() == 0
    assert boxes.max() == 300


@pytest.mark.parametrize("detector", ["rfbnet", "lrf"])
def test_all_boxes_of_a_class_are_suppressed(detector: str) -> None:
    built = archbench.build("vgg16", detector, device="meta")
    assert built.selection == Selection(score=0.01, iou=0.45, per_image=200)
