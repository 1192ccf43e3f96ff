"""ThunderNet: context, region proposals, attention, the second stage."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import archbench
from archbench.zoo.detectors.thundernet import ContextEnhancement, ThunderNet


def test_context_is_the_sum_of_three_views() -> None:
    torch.manual_seed(0)
    context = ContextEnhancement(6, 10)
    fine, coarse = torch.randn(1, 6, 4, 6), torch.randn(1, 10, 2, 3)
    expected = context.fine(fine) + context.coarse(coarse).repeat_interleave(
        2, 2
    ).repeat_interleave(2, 3)
    expected = expected + context.whole(coarse.mean((2, 3), keepdim=True))
    torch.testing.assert_close(context(fine, coarse), expected)


def test_anchors_are_five_sides_in_five_ratios() -> None:
    detector = archbench.build("snet49", "thundernet", size=(64, 32))
    assert isinstance(detector, ThunderNet)
    assert detector.boxes == 4 * 2 * 25
    boxes = detector.rpn.anchors.boxes[:25]
    sides = boxes[:, 2:] - boxes[:, :2]
    torch.testing.assert_close(
        sides.prod(1).sqrt().view(5, 5),
        torch.tensor([[32.0], [64], [128], [256], [512]]).expand(5, 5),
    )
    torch.testing.assert_close(
        (sides[:, 1] / sides[:, 0]).view(5, 5)[3], torch.tensor([1 / 2, 3 / 4, 1, 4 / 3, 2])
    )
    torch.testing.assert_close((boxes[:, :2] + boxes[:, 2:]) / 2, torch.full((25, 2), 8.0))


def test_linear_layers_count_a_row_a_proposal() -> None:
    report = archbench.cost("snet49", "thundernet")
    linear = [call.macs for call in report.calls if call.op == "linear"]
    assert linear == [200 * 245 * 1024, 200 * 1024 * 81, 200 * 1024 * 4]
    assert sum(linear) == 67_584_000
    assert (
        archbench.cost("snet49", "thundernet", proposals=50).macs
        == report.macs - sum(linear) * 3 // 4
    )


def test_one_output_an_anchor_saves_what_the_sheet_says() -> None:
    softmax, sigmoid = (
        archbench.cost("snet49", "thundernet"),
        archbench.cost("snet49", "thundernet", objectness="sigmoid"),
    )
    assert (softmax.macs - sigmoid.macs, softmax.params - sigmoid.params) == (2_560_000, 6_425)


def test_attention_scales_the_map_that_regions_are_read_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    detector = archbench.build("snet49", "thundernet", size=64, classes=3)
    assert isinstance(detector, ThunderNet)
    read: list[torch.Tensor] = []

    def crop(maps: torch.Tensor, boxes: torch.Tensor, *_: int) -> torch.Tensor:
        read.append(maps)
        return maps.new_zeros(boxes.shape[0] * boxes.shape[1], 5, 7, 7)

    monkeypatch.setattr("archbench.zoo.detectors.thundernet.position_sensitive_align", crop)
    with torch.inference_mode():
        images = torch.randn(1, 3, 64, 64)
        raw = detector(images)
        context = detector.context(*detector.backbone(images))
        gate = detector.attention[:-1](detector.rpn.conv(context))
    torch.testing.assert_close(read[0], context * F.sigmoid(gate))
    assert (raw.proposals.shape, raw.logits.shape, raw.offsets.shape) == (
        (1, 200, 4),
        (1, 200, 4),
        (1, 200, 1, 4),
    )
