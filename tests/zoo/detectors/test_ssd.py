"""SSD on VGG-16, HarDNet, MobileNet and ResNets, plain and dense: maps, boxes, postprocessing."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Detector
from archbench.zoo.detectors.base.single_stage import Predictions, SingleStage
from archbench.zoo.detectors.dssd import ResNetSSD
from archbench.zoo.layers import L2Norm
from archbench.zoo.ops.boxes import to_centres
from archbench.zoo.ops.nms import Selection

ROOT2 = 2**0.5


@cache
def network(
    backbone: str,
    detector: str = "ssd",
    size: tuple[int, int] | None = None,
    classes: int | None = None,
    device: str = "meta",
) -> SingleStage:
    torch.manual_seed(0)
    built = archbench.build(backbone, detector, size=size, classes=classes, device=device)
    assert isinstance(built, SingleStage)
    return built


def priors(backbone: str, **asked: Any) -> Tensor:
    """Centre and sides of the default boxes."""
    detector = network(backbone, device="cpu", **asked)
    return to_centres(detector.priors.boxes)


@pytest.mark.parametrize(
    ("backbone", "detector", "size", "sides", "boxes"),
    [
        ("vgg16", "ssd", (300, 300), [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)], 8732),
        (
            "vgg16",
            "ssd",
            (512, 512),
            [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)],
            24564,
        ),
        (
            "vgg16",
            "ssd",
            (330, 300),
            [(42, 38), (21, 19), (11, 10), (6, 5), (4, 3), (2, 1)],
            6384 + 2394 + 660 + 180 + 48 + 8,
        ),
        (
            "vgg16",
            "ssd-dense",
            (300, 300),
            [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (2, 2)],
            8744,
        ),
        (
            "vgg16",
            "ssd-dense",
            (512, 640),
            [(64, 80), (32, 40), (16, 20), (8, 10), (4, 5), (2, 3), (1, 2)],
            20480 + 7680 + 1920 + 480 + 120 + 24 + 8,
        ),
        (
            "mobilenet",
            "ssd",
            (300, 300),
            [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)],
            1917,
        ),
        (
            "mobilenet",
            "ssd",
            (400, 320),
            [(25, 20), (13, 10), (7, 5), (4, 3), (2, 2), (1, 1)],
            1500 + 780 + 210 + 72 + 24 + 6,
        ),
        (
            "hardnet68",
            "ssd",
            (512, 512),
            [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)],
            32756,
        ),
        (
            "hardnet85",
            "ssd",
            (300, 300),
            [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)],
            11620,
        ),
        (
            "resnet50-v1",
            "ssd",
            (321, 321),
            [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3), (1, 1)],
            17080,
        ),
        (
            "resnet50-v1",
            "ssd-dense",
            (321, 321),
            [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3), (2, 2)],
            6400 + 2400 + 600 + 150 + 36 + 16,
        ),
        (
            "vovnet39",
            "ssd-dense",
            (300, 300),
            [(18, 18), (9, 9), (5, 5), (3, 3), (2, 2), (1, 1)],
            972 + 6 * (81 + 25 + 9 + 4 + 1),
        ),
    ],
)
def test_maps_have_the_published_sides_and_round_each_way(
    backbone: str, detector: str, size: tuple[int, int], sides: list[tuple[int, int]], boxes: int
) -> None:
    built = network(backbone, detector, size)
    assert map_sizes(built.features, size) == sides
    assert built.boxes == boxes


@pytest.mark.parametrize(
    ("backbone", "detector", "size", "convolutions", "values"),
    [
        ("vgg16", "ssd", 300, 35, 26_285_486),
        ("vgg16", "ssd-dense", 300, 41, 25_109_496),
        ("mobilenet", "ssd", 300, 47, 5_821_433),
        ("hardnet68", "ssd", 512, 88, 25_711_430),
        ("hardnet85", "ssd", 512, 105, 38_799_590),
    ],
)
def test_convolutions_and_values_with_running_statistics(
    backbone: str, detector: str, size: int, convolutions: int, values: int
) -> None:
    norms = [
        layer
        for layer in network(backbone, detector).modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    report = archbench.cost(backbone, detector)
    assert len(report.calls) == convolutions
    assert report.params + sum(2 * layer.num_features for layer in norms) == values


@pytest.mark.parametrize(
    ("backbone", "size", "classes", "layers"),
    [
        ("vgg16", (300, 300), 20, 300),
        ("mobilenet", (300, 300), 20, 300),
        ("hardnet85", (512, 512), 80, 512),
        ("resnet50", (321, 321), 80, 321),
    ],
)
def test_a_family_has_its_own_defaults(
    backbone: str, size: tuple[int, int], classes: int, layers: int
) -> None:
    detector = network(backbone)
    assert (detector.size, detector.classes) == (size, classes)
    assert archbench.cost(backbone, "ssd", layers=layers) == archbench.cost(backbone, "ssd")
    assert isinstance(detector, ResNetSSD) == (backbone == "resnet50")


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("vgg16", {"layers": 321}, "those of 300 or 512, not of 321"),
        ("hardnet68", {"layers": 513}, "those of 300 or 512, not of 513"),
        ("mobilenet", {"layers": 512}, "those of 300, not of 512"),
        ("resnet50", {"layers": 512}, "those of 321 or 513, not of 512"),
        ("resnet50", {"layers": 300, "prediction": "dense"}, "those of 321 or 513, not of 300"),
        ("resnet50", {"output_stride": 8}, "no c4"),
        ("vgg16", {"fc": "conv-s2"}, "strides 8 and 32"),
        ("vgg16", {"size": 100}, "cannot be built"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    backbone: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        archbench.cost(backbone, "ssd", **options)  # type: ignore[arg-type]


def test_only_the_first_map_is_normalised() -> None:
    norms = {
        backbone: [m for m in network(backbone).modules() if isinstance(m, L2Norm)]
        for backbone in ("vgg16", "hardnet68", "mobilenet")
    }
    assert {backbone: [len(norm.scale) for norm in found] for backbone, found in norms.items()} == {
        "vgg16": [512],
        "hardnet68": [320],
        "mobilenet": [],
    }
    assert sum(isinstance(m, L2Norm) for m in network("vgg16", "ssd-dense").modules()) == 6


@pytest.mark.parametrize(
    ("size", "classes", "centre", "side", "following"),
    [
        ((300, 300), 20, (4, 4), 30, 60),
        ((300, 300), 80, (4, 4), 21, 45),
        ((512, 512), 20, (4, 4), 35.84, 76.8),
        ((512, 512), 80, (4, 4), 20.48, 51.2),
        ((330, 300), 20, (330 / 84, 300 / 76), 30, 60),
    ],
)
def test_boxes_of_vgg(
    size: tuple[int, int], classes: int, centre: tuple[float, float], side: float, following: float
) -> None:
    found = priors("vgg16", size=size, classes=classes)
    mean = (side * following) ** 0.5
    torch.testing.assert_close(found[:4, :2], torch.tensor([centre] * 4, dtype=torch.float32))
    sides = [[side, side], [mean, mean], [side * ROOT2, side / ROOT2], [side / ROOT2, side * ROOT2]]
    torch.testing.assert_close(found[:4, 2:], torch.tensor(sides))


def test_the_last_map_of_vgg_is_the_image() -> None:
    torch.testing.assert_close(priors("vgg16")[-4], torch.tensor([150.0, 150, 264, 264]))
    torch.testing.assert_close(
        priors("vgg16")[-3], torch.tensor([150, 150, 83160**0.5, 83160**0.5])
    )


def test_boxes_of_mobilenet() -> None:
    """Sides 60 to 285 by 45, the first map without a second square, the last's with 300; the image
    is divided evenly.
    """
    found = priors("mobilenet")
    torch.testing.assert_close(found[:3, :2], torch.full((3, 2), 150 / 19))
    torch.testing.assert_close(
        found[:3, 2:], torch.tensor([[60, 60], [60 * ROOT2, 60 / ROOT2], [60 / ROOT2, 60 * ROOT2]])
    )
    second = found[1083 : 1083 + 6]
    torch.testing.assert_close(second[:, :2], torch.full((6, 2), 15.0))
    torch.testing.assert_close(
        second[:, 2:].prod(dim=1).sqrt(), torch.tensor([105, 15750**0.5, 105, 105, 105, 105])
    )
    torch.testing.assert_close(
        second[:, 2] / second[:, 3], torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3])
    )
    torch.testing.assert_close(found[-5, 2:], torch.tensor([85500**0.5] * 2))
    torch.testing.assert_close(
        priors("mobilenet", size=(600, 320))[0, 2:], torch.tensor([64.0, 64.0])
    )


def test_boxes_of_hardnet_are_six_a_cell_and_end_at_the_border() -> None:
    boxes = network("hardnet68", device="cpu").priors.boxes
    torch.testing.assert_close(boxes[0], torch.tensor([0, 0, 14.24, 14.24]))
    assert (float(boxes.min()), float(boxes.max())) == (0, 512)
    inside = to_centres(boxes[6 * (64 * 32 + 32) :][:6])
    torch.testing.assert_close(inside[:, :2], torch.full((6, 2), 260.0))
    torch.testing.assert_close(
        inside[:, 2] / inside[:, 3], torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3])
    )


@pytest.mark.parametrize(
    ("backbone", "detector", "candidates"),
    [
        ("vgg16", "ssd", 400),
        ("mobilenet", "ssd", 400),
        ("resnet50-v1", "ssd", 400),
        ("hardnet68", "ssd", None),
        ("hardnet68", "ssd-dense", None),
    ],
)
def test_how_many_boxes_of_a_class_are_suppressed(
    backbone: str, detector: str, candidates: int | None
) -> None:
    """The best 400 in Caffe's code and what descends from it, all of them on HarDNet, as in RFBNet
    (other-detectors.md 0.2).
    """
    expected = Selection(score=0.01, iou=0.45, per_image=200, candidates=candidates)
    assert network(backbone, detector).selection == expected


def test_pictures_are_prepared_as_each_was_trained() -> None:
    white = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    for backbone, expected in {
        "vgg16": [151.0, 138.0, 132.0],
        "mobilenet": [127.5 * 0.007843] * 3,
    }.items():
        image = network(backbone).prepare(white).image
        torch.testing.assert_close(image[:, 7, 9], torch.tensor(expected))


@pytest.mark.parametrize(
    ("backbone", "detector", "classes"),
    [
        ("vgg16", "ssd", 20),
        ("vgg16", "ssd-dense", 20),
        ("mobilenet", "ssd", 20),
    ],
)
def test_a_picture_goes_all_the_way_through(
    picture: Tensor, backbone: str, detector: str, classes: int
) -> None:
    goes_all_the_way_through(picture, network(backbone, detector, device="cpu"), classes)


def test_a_picture_goes_all_the_way_through_hardnet(picture: Tensor) -> None:
    """Of 400 a class: random weights score a million candidates above the threshold, and all of
    them would take minutes.
    """
    built = copy(network("hardnet68", device="cpu"))
    built.selection = replace(built.selection, candidates=400)
    goes_all_the_way_through(picture, built, 80)


def goes_all_the_way_through(picture: Tensor, built: SingleStage, classes: int) -> None:
    side = built.size[0]
    prepared = built.prepare(picture)
    with torch.inference_mode():
        raw = built(prepared.image[None])
        (found,) = built.postprocess(raw)
    assert (raw.offsets.shape, raw.logits.shape) == (
        (1, built.boxes, 4),
        (1, built.boxes, 1 + classes),
    )
    assert all(values.isfinite().all() for values in raw)
    assert 0 < len(found) <= 200
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= side) & (y1 >= 0) & (y1 <= y2) & (y2 <= side)).all()
    assert ((found.scores > 0.01) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < classes)).all()
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


def test_images_of_a_batch_do_not_see_each_other(sees_alone: Callable[[Detector], None]) -> None:
    sees_alone(network("mobilenet", size=(200, 200), device="cpu"))


@pytest.mark.parametrize(("backbone", "classes"), [("mobilenet", 20), ("hardnet68", 80)])
def test_the_synthetic_scene_comes_back_as_its_scores(backbone: str, classes: int) -> None:
    detector = network(backbone, device="cpu")
    boxes = detector.boxes
    assert boxes is not None
    raw = Predictions(torch.zeros(2, boxes, 4), torch.zeros(2, boxes, 1 + classes))
    with torch.inference_mode():
        made, holds = detector.synthesize(raw, torch.Generator().manual_seed(0))
        found = detector.postprocess(made)
    assert holds["candidates"] == boxes * classes
    assert boxes * 0.02 * 0.8 < int(holds["above_threshold"]) < boxes
    assert all(20 < len(one) <= 200 for one in found)
    assert all(0.3 < one.scores[0] <= 0.9001 for one in found)
    assert not torch.equal(found[0].scores, found[1].scores)
