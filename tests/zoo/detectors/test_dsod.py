"""DSOD: maps, boxes, prediction structures, postprocessing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Detector
from archbench.zoo.detectors.base.single_stage import Head, Predictions, SingleStage
from archbench.zoo.detectors.dsod import Features
from archbench.zoo.layers import Branches
from archbench.zoo.ops.boxes import to_centres

ROOT2 = 2**0.5


@cache
def network(
    backbone: str,
    detector: str = "dsod",
    size: tuple[int, int] = (300, 300),
    classes: int = 20,
    device: str = "meta",
    **options: str,
) -> SingleStage:
    torch.manual_seed(0)
    built = archbench.build(
        backbone, detector, size=size, classes=classes, device=device, **options
    )
    assert isinstance(built, SingleStage)
    return built


def priors(backbone: str, **asked: Any) -> Tensor:
    """Centre and sides of the default boxes."""
    detector = network(backbone, device="cpu", **asked)
    return to_centres(detector.priors.boxes)


@pytest.mark.parametrize(
    ("backbone", "detector", "size", "sides", "boxes"),
    [
        (
            "ds-64-64-16-1",
            "dsod",
            (300, 300),
            [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (2, 2)],
            8744,
        ),
        (
            "ds-64-64-16-1",
            "dsod-plain",
            (300, 300),
            [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (2, 2)],
            8744,
        ),
        (
            "ds-64-64-16-1",
            "dsod",
            (512, 512),
            [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)],
            24564,
        ),
        (
            "ds-64-64-16-1",
            "dsod",
            (390, 320),
            [(49, 40), (25, 20), (13, 10), (7, 5), (4, 3), (2, 2)],
            7840 + 3000 + 780 + 210 + 48 + 16,
        ),
        (
            "vovnet27-slim",
            "dsod",
            (300, 300),
            [(37, 37), (18, 18), (9, 9), (5, 5), (3, 3), (2, 2)],
            8108,
        ),
        (
            "vovnet27-slim",
            "dsod",
            (400, 320),
            [(50, 40), (25, 20), (12, 10), (6, 5), (3, 3), (2, 2)],
            8000 + 3000 + 720 + 180 + 36 + 16,
        ),
        (
            "resnet18",
            "dsod",
            (512, 600),
            [(64, 75), (32, 38), (16, 19), (8, 10), (4, 5), (2, 3), (1, 2)],
            19200 + 7296 + 1824 + 480 + 120 + 24 + 8,
        ),
    ],
)
def test_maps_are_halved_and_rounded_up_each_way(
    backbone: str, detector: str, size: tuple[int, int], sides: list[tuple[int, int]], boxes: int
) -> None:
    built = network(backbone, detector, size)
    assert map_sizes(built.features, size) == sides
    assert built.boxes == boxes


@pytest.mark.parametrize(
    ("backbone", "detector", "convolutions", "values"),
    [
        ("ds-64-192-48-1", "dsod", 92, 14_795_736),
        ("ds-64-64-16-1", "dsod", 92, 5_872_280),
        ("ds-64-192-48-1", "dsod-plain", 87, 18_178_488),
        ("vovnet27-slim", "dsod", 48, 5_984_888),
        ("vovnet27-slim-bottleneck", "dsod", 68, 4_886_328),
    ],
)
def test_the_file_of_weights_has_the_published_size(
    backbone: str, detector: str, convolutions: int, values: int
) -> None:
    """DSOD's figures are a file's: parameters and normalisation's running statistics."""
    norms = [
        layer
        for layer in network(backbone, detector).modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    report = archbench.cost(backbone, detector)
    assert len(report.calls) == convolutions
    assert report.params + sum(2 * layer.num_features for layer in norms) == values


def test_the_prediction_decides_the_widths_of_the_backbone() -> None:
    plain = archbench.cost("ds-64-12-16-1", "dsod-plain")
    assert plain == archbench.cost("ds-64-12-16-1", "dsod", prediction="plain")
    assert (
        plain.params
        == archbench.cost("ds-64-12-16-1", "dsod-plain", widths="from-a", final_width="full").params
    )
    assert plain.params != archbench.cost("ds-64-12-16-1", "dsod-plain", widths="table1").params


def test_boxes_of_the_paper() -> None:
    """Sides 10 %, then 20 to 90 % by 17; the last map has 2x2 cells and the step of SSD's one."""
    found = priors("ds-64-64-16-1")
    first = [
        [4, 4, 30, 30],
        [4, 4, 1800**0.5, 1800**0.5],
        [4, 4, 30 * ROOT2, 30 / ROOT2],
        [4, 4, 30 / ROOT2, 30 * ROOT2],
    ]
    torch.testing.assert_close(found[:4], torch.tensor(first))
    torch.testing.assert_close(found[4], torch.tensor([12.0, 4, 30, 30]))
    second = found[5776 : 5776 + 6]
    torch.testing.assert_close(second[:, :2], torch.full((6, 2), 8.0))
    torch.testing.assert_close(
        second[:, 2:].prod(dim=1).sqrt(), torch.tensor([60, 6660**0.5, 60, 60, 60, 60])
    )
    torch.testing.assert_close(
        second[:, 2] / second[:, 3], torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3])
    )
    last = [[450, 450, 264, 264], [450, 450, 83160**0.5, 83160**0.5]]
    torch.testing.assert_close(found[-4:-2], torch.tensor(last))


@pytest.mark.parametrize(
    ("backbone", "size", "classes", "centre", "side"),
    [
        ("ds-64-64-16-1", (300, 300), 80, (4, 4), 21),
        ("ds-64-64-16-1", (512, 512), 20, (4, 4), 35.84),
        ("ds-64-64-16-1", (512, 512), 80, (4, 4), 20.48),
        ("ds-64-64-16-1", (390, 320), 20, (390 / 98, 4), 32),
        ("ds-64-64-16-1", (480, 600), 80, (4, 4), 19.2),
        ("vovnet27-slim", (300, 300), 20, (150 / 37, 150 / 37), 30),
    ],
)
def test_boxes_follow_the_data_set_and_the_shorter_side(
    backbone: str, size: tuple[int, int], classes: int, centre: tuple[float, float], side: float
) -> None:
    torch.testing.assert_close(
        priors(backbone, size=size, classes=classes)[0],
        torch.tensor([*centre, side, side], dtype=torch.float32),
    )


def test_maps_are_normalised_for_the_heads_alone() -> None:
    """A down block reads the map as it is; its first half is pooled, its second learnt; the second
    map is the trunk's and the first's.
    """
    detector = network("ds-64-64-16-1", size=(160, 160), device="cpu")
    features = detector.features
    assert isinstance(features, Features)
    with torch.inference_mode():
        images = torch.rand(1, 3, 160, 160) * 100
        first, last = features.backbone(images)
        maps = features(images)
        assert features.second is not None
        torch.testing.assert_close(maps[1][:, :256], last)
        torch.testing.assert_close(maps[2], features.extras[0](maps[1]))
        down = features.extras[1]
        assert isinstance(down, Branches)
        torch.testing.assert_close(maps[3][:, :128], down.branches[0](maps[2]))
        before = [
            head.before(m)
            for head, m in zip(detector.heads, maps, strict=True)
            if isinstance(head, Head)
        ]
    assert [m.shape[1] for m in maps] == [first.shape[1], 512, 512, 256, 256, 256]
    for m in before:
        torch.testing.assert_close(m.norm(dim=1), torch.full_like(m[:, 0], 20.0))


@pytest.mark.parametrize(
    ("backbone", "detector", "side"),
    [
        ("ds-64-64-16-1", "dsod", 300),
        ("ds-64-64-16-1", "dsod-plain", 160),
        ("vovnet27-slim", "dsod", 300),
    ],
)
def test_a_picture_goes_all_the_way_through(
    picture: Tensor, backbone: str, detector: str, side: int
) -> None:
    built = network(backbone, detector, size=(side, side), device="cpu")
    prepared = built.prepare(picture)
    with torch.inference_mode():
        raw = built(prepared.image[None])
        (found,) = built.postprocess(raw)
    assert (raw.offsets.shape, raw.logits.shape) == ((1, built.boxes, 4), (1, built.boxes, 21))
    assert all(values.isfinite().all() for values in raw)
    assert 0 < len(found) <= 200
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= side) & (y1 >= 0) & (y1 <= y2) & (y2 <= side)).all()
    assert ((found.scores > 0.01) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < 20)).all()
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


def test_images_of_a_batch_do_not_see_each_other(sees_alone: Callable[[Detector], None]) -> None:
    sees_alone(network("ds-64-64-16-1", size=(160, 160), device="cpu"))


def test_the_synthetic_scene_comes_back_as_its_scores() -> None:
    detector = network("ds-64-64-16-1", device="cpu")
    raw = Predictions(torch.zeros(2, 8744, 4), torch.zeros(2, 8744, 21))
    with torch.inference_mode():
        made, holds = detector.synthesize(raw, torch.Generator().manual_seed(0))
        found = detector.postprocess(made)
    assert holds["candidates"] == 8744 * 20
    assert 8744 * 0.02 * 0.8 < int(holds["above_threshold"]) < 8744
    assert all(20 < len(one) <= 200 for one in found)
    assert all(0.3 < one.scores[0] <= 0.9001 for one in found)
    assert not torch.equal(found[0].scores, found[1].scores)


def test_a_backbone_without_its_maps_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no c5"):
        archbench.cost("vgg16", "dsod", fc="conv")
