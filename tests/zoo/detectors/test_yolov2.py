"""YOLOv2: maps, anchors, decoding, postprocessing."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.spec import UsageError
from archbench.zoo.contracts import Detections
from archbench.zoo.detectors.base.yolo import YOLO, Predictions, decode, encode
from archbench.zoo.ops.boxes import iou, to_centres
from archbench.zoo.ops.load import objects

SIZE = (160, 96)


@cache
def network(
    size: tuple[int, int] = SIZE, backbone: str = "resnet18", classes: int = 4, device: str = "cpu"
) -> YOLO:
    torch.manual_seed(0)
    built = archbench.build(backbone, "yolov2", size=size, classes=classes, device=device)
    assert isinstance(built, YOLO)
    return built


def picture(seed: int = 0) -> Tensor:
    return torch.randint(
        256, (3, 240, 427), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize(
    ("size", "boxes"), [((416, 416), 845), ((544, 544), 1445), ((544, 352), 935)]
)
def test_every_cell_of_the_coarser_map_has_five_anchors(size: tuple[int, int], boxes: int) -> None:
    assert network(size, device="meta").boxes == boxes == 5 * (size[0] // 32) * (size[1] // 32)


@pytest.mark.parametrize(
    ("classes", "sides"),
    [
        (
            20,
            [
                [1.3221, 1.73145],
                [3.19275, 4.00944],
                [5.05587, 8.09892],
                [9.47112, 4.84053],
                [11.2364, 10.0071],
            ],
        ),
        (
            80,
            [
                [0.57273, 0.677385],
                [1.87446, 2.06253],
                [3.33843, 5.47434],
                [7.88282, 3.52778],
                [9.77052, 9.16828],
            ],
        ),
    ],
)
def test_anchors_are_darknet_s_for_voc_and_for_coco(classes: int, sides: list[list[float]]) -> None:
    boxes = to_centres(network((64, 96), "mobilenet", classes).priors.boxes)
    torch.testing.assert_close(boxes[:5, 2:], 32 * torch.tensor(sides))
    torch.testing.assert_close(boxes[:5, :2], torch.full((5, 2), 16.0))
    torch.testing.assert_close(boxes[[5, 10], :2], torch.tensor([[48.0, 16], [16, 48]]))


def test_a_centre_stays_in_its_cell_and_a_size_stretches_its_anchor() -> None:
    """The anchor of 20x40 in the cell from (32, 64): a quarter and three quarters of the cell, half
    as wide, twice as high.
    """
    priors = torch.tensor([[38.0, 60, 58, 100]])
    offsets = torch.tensor([[-math.log(3), math.log(3), -math.log(2), math.log(2)]])
    found = decode(offsets, priors, 32)
    torch.testing.assert_close(to_centres(found), torch.tensor([[40.0, 88, 10, 80]]))
    torch.testing.assert_close(encode(found, priors, 32), offsets)
    far = decode(torch.tensor([[99.0, -99, 99, -99]]), priors, 32)
    torch.testing.assert_close(
        to_centres(far), torch.tensor([[64.0, 64, 1250, 0]]), atol=1e-3, rtol=0
    )


def test_a_box_centred_in_another_cell_is_brought_to_the_edge() -> None:
    priors = torch.tensor([[0.0, 0, 32, 32]])
    back = to_centres(decode(encode(torch.tensor([[30.0, -20, 60, 10]]), priors, 32), priors, 32))
    torch.testing.assert_close(back, torch.tensor([[32.0, 0, 30, 30]]), atol=0.05, rtol=0)


def test_a_class_scores_its_probability_times_objectness() -> None:
    built = network()
    raw = Predictions(
        torch.zeros(1, 1, 4),
        torch.tensor([[[math.log(4)]]]),
        torch.tensor([[[0.2, 0.4, 0.1, 0.3]]]).log(),
    )
    torch.testing.assert_close(built.scores(raw), torch.tensor([[[0.16, 0.32, 0.08, 0.24]]]))


def test_predictions_follow_their_anchor_and_cell() -> None:
    """Five groups of channels an anchor each: four offsets, the objectness, the classes."""
    built = network()
    with torch.inference_mode():
        images = torch.randn(1, 3, SIZE[1], SIZE[0])
        features = built.features
        fine, coarse = features.backbone(images)
        joint = features.joint(
            torch.cat([F.pixel_unshuffle(features.passed(fine), 2), features.deep(coarse)], dim=1)
        )
        out = features.predictor(joint).reshape(5, 9, 3, 5)
        raw = built(images)
    anchor, row, column = 3, 2, 4
    here = (row * 5 + column) * 5 + anchor
    torch.testing.assert_close(
        torch.cat([values[0, here] for values in raw]), out[anchor, :, row, column]
    )
    torch.testing.assert_close(
        to_centres(built.priors.boxes)[here, :2], torch.tensor([4.5, 2.5]) * 32
    )


def test_layers_are_leaky_and_normalised() -> None:
    features = network(device="meta").features
    own = [layer for part in (features.deep, features.passed, features.joint) for layer in part]
    assert [type(layer) for layer in own] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 4
    assert {layer.negative_slope for layer in own if isinstance(layer, nn.LeakyReLU)} == {0.1}
    assert [layer.out_channels for layer in own if isinstance(layer, nn.Conv2d)] == [
        1024,
        1024,
        64,
        1024,
    ]


def check(found: Detections, size: tuple[int, int], classes: int) -> None:
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert len(found) > 0
    assert (
        (x1 >= 0) & (x1 <= x2) & (x2 <= size[0]) & (y1 >= 0) & (y1 <= y2) & (y2 <= size[1])
    ).all()
    assert ((found.scores > 0.005) & (found.scores <= 1)).all()
    assert (found.scores.diff() <= 0).all()
    assert ((found.labels >= 0) & (found.labels < classes)).all()


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet", "resnet18-gn"])
def test_pictures_go_all_the_way_through_and_do_not_see_each_other(backbone: str) -> None:
    built = network(backbone=backbone)
    images = torch.stack([built.prepare(picture(seed)).image for seed in range(2)])
    with torch.inference_mode():
        both, alone = built(images), built(images[1:])
        assert [values.shape for values in both] == [
            (2, built.boxes, values) for values in (4, 1, 4)
        ]
        for together, single in zip(both, alone, strict=True):
            assert together.isfinite().all()
            torch.testing.assert_close(together[1:], single, rtol=1e-3, atol=1e-4)
        for found in built.postprocess(both):
            check(found, SIZE, 4)


def test_a_picture_goes_all_the_way_through_at_the_default_size() -> None:
    torch.manual_seed(0)
    built = archbench.build("darknet19", "yolov2")
    assert isinstance(built, YOLO)
    prepared = built.prepare(picture())
    assert prepared.image.shape == (3, 416, 416)
    assert 0 <= prepared.image.min() < 0.2 < 0.8 < prepared.image.max() <= 1
    with torch.inference_mode():
        raw = built(prepared.image[None])
        (found,) = built.postprocess(raw)
    assert all(values.isfinite().all() for values in raw)
    check(found, (416, 416), 20)
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_synthetic_scene_is_found_where_it_is(dtype: torch.dtype) -> None:
    size = (416, 320)
    built = network(size, "mobilenet")
    raw = Predictions(
        *(torch.zeros(2, built.boxes or 0, values, dtype=dtype) for values in (4, 1, 4))
    )
    made, holds = built.synthesize(raw, torch.Generator().manual_seed(0))
    assert [values.shape for values in made] == [values.shape for values in raw]
    assert all(values.dtype == dtype and values.isfinite().all() for values in made)
    assert holds["candidates"] == (built.boxes or 0) * 4
    assert 20 < int(holds["above_threshold"]) < (built.boxes or 0)
    found, other = built.postprocess(made)
    check(found, size, 4)
    assert len(found) != len(other) or not torch.equal(found.scores, other.scores)
    seen = objects(size=size, classes=4, generator=torch.Generator().manual_seed(0))
    confident = found.scores > 0.3
    assert confident.sum() >= 5
    overlap = iou(found.boxes[confident], seen.boxes) * (
        found.labels[confident, None] == seen.labels
    )
    assert overlap.amax(dim=1).median() > 0.4


def test_synthetic_scores_are_those_of_the_scene() -> None:
    built = network((416, 320), "mobilenet")
    raw = Predictions(*(torch.zeros(1, built.boxes or 0, values) for values in (4, 1, 4)))
    made, _ = built.synthesize(raw, torch.Generator().manual_seed(0))
    scores = built.scores(made)
    assert 0.3 < scores.max() <= 0.9001
    silent = scores.amax(dim=-1) < 0.005
    assert 0.5 < silent.float().mean() < 1
    assert scores[silent].max() < 1e-5


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("resnet18", {"size": 400}, "multiples of 32"),
        ("resnet18", {"output_stride": 16}, "no c5"),
        ("inception-v3", {"padding": "valid"}, "24x24 and 11x11 do not match"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    backbone: str, options: dict[str, str | int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        archbench.cost(backbone, "yolov2", **options)  # type: ignore[arg-type]
