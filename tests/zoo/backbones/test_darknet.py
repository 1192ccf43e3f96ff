"""Darknet-19, Darknet Reference and DarkNet53: their convolutions, their maps, and what detectors
tap.
"""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.zoo.backbones.darknet import KeepingPool, darknet, residual
from archbench.zoo.layers import Shortcut

CHANNELS = {"stage1": 32, "stage2": 64, "stage3": 128, "stage4": 256, "stage5": 512, "stage6": 1024}


def build() -> nn.Module:
    return archbench.build("darknet19", classes=0, device="meta")


def test_its_convolutions_are_those_of_the_paper() -> None:
    convs = [conv for conv in build().modules() if isinstance(conv, nn.Conv2d)]
    assert [(conv.out_channels, conv.kernel_size[0]) for conv in convs] == [
        (32, 3),
        (64, 3),
        (128, 3),
        (64, 1),
        (128, 3),
        (256, 3),
        (128, 1),
        (256, 3),
        (512, 3),
        (256, 1),
        (512, 3),
        (256, 1),
        (512, 3),
        (1024, 3),
        (512, 1),
        (1024, 3),
        (512, 1),
        (1024, 3),
    ]
    assert {(conv.stride, conv.bias) for conv in convs} == {((1, 1), None)}


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (416, (416, 208, 104, 52, 26, 13)),
        (224, (224, 112, 56, 28, 14, 7)),
        (200, (200, 100, 50, 25, 13, 7)),
    ],
)
def test_map_sizes(side: int, sides: tuple[int, ...]) -> None:
    network = build()
    shapes: dict[str, tuple[int, int]] = {}
    for name, step in network.named_children():
        step.register_forward_hook(
            lambda _module, _inputs, out, name=name: shapes.update(
                {name: (out.shape[1], out.shape[2])}
            )
        )
    archbench.count(network, (1, 3, side, side))
    assert {name: shapes[name] for name in CHANNELS} == dict(
        zip(CHANNELS, zip(CHANNELS.values(), sides, strict=True), strict=True)
    )
    assert len(shapes) == len(CHANNELS) + 5


def test_yolov2_taps_the_last_convolution_before_the_fifth_pool() -> None:
    with torch.device("meta"):
        network = darknet(stages=[[8], [16], [16, 8, 16], [32], [64], [128]], taps=("c4", "c5"))
    assert [(stage.name, stage.channels, stage.stride) for stage in network.tapped] == [
        ("stage5", 64, 16),
        ("stage6", 128, 32),
    ]


def test_a_row_of_single_convolutions_is_the_reference_network() -> None:
    """Darknet Reference at 256x256: the trunk, without the 1x1 that reads one cell."""
    with torch.device("meta"):
        network = darknet(stages=[[16], [32], [64], [128], [256], [512], [1024]]).eval()
    report = archbench.count(network, (1, 3, 256, 256))
    assert (report.params, report.macs) == (7_319_416 - 1_025_000, 482_320_384 - 1_024_000)


def test_params_with_the_classifier() -> None:
    assert (
        archbench.cost("darknet19").params
        == archbench.cost("darknet19", classifier="linear").params
        == 20_842_376
    )


def test_the_classifier_is_a_convolution_before_the_global_pool() -> None:
    *trunk, last = archbench.cost("darknet19").calls
    assert len(trunk) == 18
    assert (last.op, last.kernel, last.out_shape) == ("conv2d", (1, 1), (1, 1000, 7, 7))
    linear = archbench.cost("darknet19", classifier="linear").calls[-1]
    assert (linear.op, linear.macs) == ("linear", 1_024_000)


def test_below_zero_a_tenth_passes() -> None:
    activations = [module for module in build().modules() if isinstance(module, nn.LeakyReLU)]
    assert len(activations) == 18
    assert {activation.negative_slope for activation in activations} == {0.1}


def test_it_takes_pixels_from_zero_to_one() -> None:
    image = (
        build()
        .preparation(torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(3, 1, 1), (1, 1))
        .image
    )
    assert image.flatten().tolist() == pytest.approx([0, 1, 0.2])


def test_a_real_pass_is_finite_overwrites_nothing_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("darknet19", size=64, classes=0)
    network.taps = tuple(CHANNELS)
    plain = deepcopy(network)
    for module in plain.modules():
        if isinstance(module, nn.LeakyReLU):
            module.inplace = False
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps = network(images)
        assert all(torch.equal(a, b) for a, b in zip(maps, plain(images), strict=True))
    assert [tuple(m.shape) for m in maps[-2:]] == [(2, 512, 4, 4), (2, 1024, 2, 2)]
    assert all(m.isfinite().all() and m.std() > 0 for m in maps)
    assert check_against_fvcore(
        network, archbench.cost("darknet19", size=64, classes=0), (3, 64, 64)
    ).agrees


def test_a_pool_that_keeps_the_size_reaches_over_the_lower_and_right_edge() -> None:
    x = torch.tensor([[9.0, 1, 2], [3, 8, 4], [-7, -6, -5]]).reshape(1, 1, 3, 3)
    assert KeepingPool()(x)[0, 0].tolist() == [[9, 8, 4], [8, 8, 4], [-6, -5, -5]]


@pytest.mark.parametrize(
    ("tail", "channels", "stride", "params"),
    [
        ("classifier", 1024, 64, 6_294_416),
        ("tiny", 1024, 32, 6_294_416),
        ("prn", 512, 32, 3_934_096),
    ],
)
def test_tails_of_the_reference_network(tail: str, channels: int, stride: int, params: int) -> None:
    network = archbench.build("darknet-reference", classes=0, device="meta", tail=tail)
    last = network.stages[-1]
    assert (last.name, last.channels, last.stride) == ("stage7", channels, stride)
    assert archbench.cost("darknet-reference", classes=0, tail=tail).params == params
    assert isinstance(network.stage7, Shortcut) is (tail == "prn")


def test_detectors_see_no_sixth_halving() -> None:
    for detector, c5 in (("yolov3-tiny", 1024), ("prn", 512), ("yolov3", 1024)):
        backbone = archbench.build("darknet-reference", detector, device="meta").features.backbone
        assert backbone.tapped[-1].channels == c5


def test_darknet53_s_stages() -> None:
    network = archbench.build("darknet53", classes=0, device="meta")
    blocks = [
        sum(isinstance(layer, Shortcut) for layer in network.get_submodule(f"stage{index}"))
        for index in range(1, 6)
    ]
    assert blocks == [1, 2, 8, 8, 4]
    assert [(stage.channels, stage.stride) for stage in network.stages] == [
        (64, 2),
        (128, 4),
        (256, 8),
        (512, 16),
        (1024, 32),
    ]


def test_nothing_follows_darknet53_s_sums() -> None:
    block = residual(8, 4).eval()
    x = torch.randn(1, 8, 3, 3)
    torch.testing.assert_close(block(x), x + block.branch(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("darknet53", {}),
        ("darknet-reference", {"tail": "prn"}),
        ("darknet-reference", {"tail": "tiny"}),
    ],
)
def test_the_others_run_for_real(name: str, options: dict[str, str]) -> None:
    torch.manual_seed(0)
    network = archbench.build(name, size=64, classes=0, **options)  # type: ignore[arg-type]
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        (both,), (alone,) = network(images), network(images[1:])
    assert both.shape == (2, network.stages[-1].channels, 2, 2)
    assert both.isfinite().all()
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-4)
