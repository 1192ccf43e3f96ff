"""YOLOv3's heads: towers, what goes up, and where SPP and the bottleneck stand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo.detectors.yolov3 import Features, TinyFeatures, Upward, predictor, tower
from archbench.zoo.layers import SPP


def convolutions(module: nn.Module) -> list[tuple[int, int, int]]:
    """Input, output and kernel of each convolution."""
    return [
        (c.in_channels, c.out_channels, c.kernel_size[0])
        for c in module.modules()
        if isinstance(c, nn.Conv2d)
    ]


def build(backbone: str, head: str, **options: bool) -> nn.Module:
    features = archbench.build(backbone, head, device="meta", **options).features
    assert isinstance(features, Features | TinyFeatures)
    return features


def test_a_tower_has_five_convolutions_and_its_predictor_the_sixth() -> None:
    assert convolutions(tower(96, 16, norm="bn")) == [
        (96, 16, 1),
        (16, 32, 3),
        (32, 16, 1),
        (16, 32, 3),
        (32, 16, 1),
    ]
    assert convolutions(predictor(16, 255, norm="bn")) == [(16, 32, 3), (32, 255, 1)]


def test_spp_stands_behind_the_third_convolution() -> None:
    layers = list(tower(96, 16, spp=True, norm="bn"))
    place = next(index for index, layer in enumerate(layers) if isinstance(layer, SPP))
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers[:place]) == 3
    assert convolutions(nn.Sequential(*layers[place:])) == [(64, 16, 1), (16, 32, 3), (32, 16, 1)]


def test_what_comes_up_is_concatenated_first() -> None:
    up = Upward(8, 4, norm="bn").eval()
    coarse, fine = torch.randn(1, 8, 2, 3), torch.randn(1, 5, 4, 6)
    out = up(coarse, fine)
    torch.testing.assert_close(
        out[:, :4], up.narrow(coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    )
    assert torch.equal(out[:, 4:], fine)


@pytest.mark.parametrize(("head", "convs"), [("yolov3", 52 + 23), ("yolov3-spp", 52 + 24)])
def test_yolov3_on_darknet53(head: str, convs: int) -> None:
    features = build("darknet53", head)
    assert [features.up4.narrow[0].in_channels, features.up3.narrow[0].in_channels] == [512, 256]
    assert [features.tower4[0].in_channels, features.tower3[0].in_channels] == [768, 384]
    assert len(convolutions(features)) == convs
    assert all(convolutions(predict)[-1][1] == 255 for predict in features.predictors)


def test_only_predictions_have_a_bias_and_no_normalisation() -> None:
    features = build("darknet53", "yolov3")
    biased = [
        layer.out_channels
        for layer in features.modules()
        if isinstance(layer, nn.Conv2d) and layer.bias is not None
    ]
    assert biased == [255, 255, 255]


@pytest.mark.parametrize(
    ("backbone", "head", "options", "coarse", "fine"),
    [
        (
            "darknet-reference",
            "yolov3-tiny",
            {},
            [(256, 512, 3), (512, 255, 1)],
            [(384, 256, 3), (256, 255, 1)],
        ),
        (
            "peleenet",
            "yolo-fpn",
            {},
            [(256, 256, 3), (256, 255, 1)],
            [(640, 128, 3), (128, 255, 1)],
        ),
        (
            "peleenet",
            "yolo-fpn",
            {"merge_bottleneck": True},
            [(256, 256, 3), (256, 255, 1)],
            [(640, 128, 1), (128, 640, 1), (640, 128, 3), (128, 255, 1)],
        ),
    ],
)
def test_two_scales(
    backbone: str, head: str, options: dict[str, bool], coarse: list[object], fine: list[object]
) -> None:
    features = build(backbone, head, **options)
    assert convolutions(features.coarse) == coarse
    assert convolutions(features.fine) == fine
    assert features.up.narrow[0].in_channels == 256


def test_the_bottleneck_adds_163840_weights() -> None:
    """So that WongKinYiu/PartialResidualNetworks' 3.91M and 5.06 BFLOPs come out."""
    plain, wide = (
        archbench.cost("peleenet", "yolo-fpn", merge_bottleneck=given) for given in (False, True)
    )
    assert wide.param_kinds.conv_weights - plain.param_kinds.conv_weights == 163_840
    assert wide.params + wide.param_kinds.norm_buffers == pytest.approx(3.91e6, rel=0.002)
    assert wide.flops == pytest.approx(5.06e9, rel=0.002)
