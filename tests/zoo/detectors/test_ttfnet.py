"""TTFNet: parts, the head for distances, decoding."""

from __future__ import annotations

import pytest
import torch

import archbench
from archbench.zoo.detectors.ttfnet import Predictions, TTFNet


@pytest.mark.parametrize(
    ("backbone", "ups", "shortcuts", "heat", "distances"),
    [
        ("resnet18", 1_767_441, 996_032, 231_760, 37_188),
        ("darknet53", 3_071_505, 1_770_176, 231_760, 74_116),
    ],
)
def test_parts_have_their_parameters(
    backbone: str, ups: int, shortcuts: int, heat: int, distances: int
) -> None:
    network = archbench.build(backbone, "ttfnet", device="meta")
    sizes = {name: p.numel() for name, p in network.named_parameters()}

    def total(*parts: str) -> int:
        return sum(
            size for name, size in sizes.items() if all(part in f".{name}" for part in parts)
        )

    assert (
        total(".ups.", ".conv."),
        total(".ups.", ".shortcut."),
        total(".heat."),
        total(".distances."),
    ) == (
        ups,
        shortcuts,
        heat,
        distances,
    )


@pytest.mark.parametrize(
    ("backbone", "convs"),
    [("resnet18", 1), ("resnet18-gn", 1), ("resnet34", 2), ("resnet50", 2), ("darknet53", 2)],
)
def test_resnet_18_alone_has_one_convolution_in_the_head_for_distances(
    backbone: str, convs: int
) -> None:
    calls = [
        call
        for call in archbench.cost(backbone, "ttfnet").calls
        if call.path.startswith("distances.")
    ]
    assert [call.kernel for call in calls] == [(3, 3)] * convs + [(1, 1)]
    assert (
        archbench.cost(backbone, "ttfnet", size_convs=3 - convs).params
        != archbench.cost(backbone, "ttfnet").params
    )


def test_a_peak_is_a_box() -> None:
    torch.manual_seed(0)
    detector = archbench.build("resnet18", "ttfnet", size=(96, 64), classes=3)
    assert isinstance(detector, TTFNet)
    heat, distances = torch.full((1, 3, 16, 24), -9.0), torch.zeros(1, 4, 16, 24)
    heat[0, 1, 4, 6], heat[0, 0, 9, 9] = 3.0, -4.7
    distances[0, :, 4, 6] = torch.tensor([10.0, 8.0, 6.0, 100.0])
    distances[0, :, 9, 9] = 5.0
    (found,) = detector.postprocess(Predictions(heat, distances))
    assert (found.boxes.tolist(), found.labels.tolist()) == ([[14.0, 8.0, 30.0, 64.0]], [1])


def test_distances_are_not_negative() -> None:
    torch.manual_seed(0)
    detector = archbench.build("resnet18", "ttfnet", size=64, classes=2)
    with torch.inference_mode():
        raw = detector(torch.randn(1, 3, 64, 64))
    assert raw.distances.min() == 0
    assert raw.distances.max() > 0
