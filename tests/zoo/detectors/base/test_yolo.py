"""What YOLO's detectors share: decoding, scores, choice of detections; and every such head on
pictures.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import nn

import archbench
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.detectors.base.yolo import ANCHORS, YOLO, Level, Predictions, decode
from archbench.zoo.ops.boxes import iou, to_centres
from archbench.zoo.ops.load import objects

HEADS = [
    entry.name
    for entry in catalogue.entries("detector")
    if entry.family in ("yolov3", "panet", "prn", "efm")
]
SIZE = (96, 64)


@cache
def network(head: str) -> YOLO:
    torch.manual_seed(0)
    built = archbench.build("peleenet", head, size=SIZE, classes=4)
    assert isinstance(built, YOLO)
    return built


def toy() -> YOLO:
    """Two levels: cells of 8 with one anchor of 10x13, a cell of 16 with one of 20x8."""
    levels = [Level(8, (2, 1), [(10, 13)]), Level(16, (1, 1), [(20, 8)])]
    return YOLO(nn.Identity(), levels, size=(16, 8), classes=2)


def test_decoding_is_worked_by_hand() -> None:
    """Level by level: x = (column + sigmoid(tx)) * cell, w = anchor * exp(tw)."""
    offsets = torch.tensor(
        [
            [
                [0.0, 0, 0, 0],
                [math.log(3), -math.log(3), math.log(2), -math.log(2)],
                [-math.log(3), 0, 0, math.log(3)],
            ]
        ]
    )
    raw = Predictions(offsets, torch.full((1, 3, 1), 9.0), torch.full((1, 3, 2), 9.0))
    built = toy()
    parts = zip(
        raw.offsets.split(built.counts, dim=1),
        built.priors.boxes.split(built.counts),
        built.strides,
        strict=True,
    )
    found = to_centres(
        torch.cat([decode(some, priors, cell) for some, priors, cell in parts], dim=1)
    )
    torch.testing.assert_close(
        found, torch.tensor([[[4.0, 4, 10, 13], [14, 2, 20, 6.5], [4, 8, 20, 24]]])
    )


def test_a_class_scores_its_own_sigmoid_times_objectness() -> None:
    raw = Predictions(
        torch.zeros(1, 3, 4),
        torch.tensor([math.log(4), 0, -9]).reshape(1, 3, 1),
        torch.tensor([math.log(3), 0]).expand(1, 3, 2),
    )
    scores = toy().scores(raw)
    torch.testing.assert_close(scores[0, :2], torch.tensor([[0.6, 0.4], [0.375, 0.25]]))
    (found,) = toy().postprocess(raw)
    assert [round(score, 3) for score in found.scores.tolist()] == [0.6, 0.4, 0.375, 0.25]
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert (found.boxes <= torch.tensor([16, 8, 16, 8])).all()


@pytest.mark.parametrize(
    ("width", "labels", "kept"), [(20, (0, 0), 2), (24, (0, 0), 1), (24, (0, 1), 2)]
)
def test_boxes_of_one_class_suppress_each_other_above_0_45(
    width: int, labels: tuple[int, int], kept: int
) -> None:
    """Boxes 8 apart and 20 wide overlap by 12 / 28, those 24 wide by 16 / 32."""
    built = YOLO(nn.Identity(), [Level(8, (2, 1), [(width, 8)])], size=(16, 8), classes=2)
    logits = torch.full((1, 2, 2), -99.0)
    logits[0, [0, 1], labels] = 9
    (found,) = built.postprocess(
        Predictions(torch.zeros(1, 2, 4), torch.full((1, 2, 1), 9.0), logits)
    )
    assert len(found) == kept


@pytest.mark.parametrize("head", HEADS)
def test_a_picture_goes_all_the_way_through_and_images_do_not_see_each_other(head: str) -> None:
    built = network(head)
    pictures = torch.randint(
        256, (2, 3, 120, 213), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    prepared = [built.prepare(picture) for picture in pictures]
    images = torch.stack([one.image for one in prepared])
    assert images.shape == (2, 3, SIZE[1], SIZE[0])
    assert 0 <= images.min() < 0.2 < 0.8 < images.max() <= 1
    with torch.inference_mode():
        both, alone = built(images), built(images[1:])
        assert [values.shape for values in both] == [
            (2, built.boxes, values) for values in (4, 1, 4)
        ]
        for together, single in zip(both, alone, strict=True):
            assert together.isfinite().all()
            torch.testing.assert_close(together[1:], single, rtol=1e-3, atol=1e-4)
        first, _ = built.postprocess(both)
    x1, y1, x2, y2 = first.boxes.unbind(dim=1)
    assert len(first) > 0
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= SIZE[0]) & (y1 >= 0) & (y1 < y2) & (y2 <= SIZE[1])).all()
    assert ((first.scores > 0.001) & (first.scores <= 1)).all()
    assert (first.scores.diff() <= 0).all()
    assert ((first.labels >= 0) & (first.labels < 4)).all()
    assert (first.on_picture(prepared[0]).boxes <= torch.tensor([213, 120, 213, 120])).all()


@pytest.mark.parametrize("head", HEADS)
def test_anchors_lie_on_every_cell_of_their_map(head: str) -> None:
    built = network(head)
    priors = to_centres(built.priors.boxes).split(built.counts)
    assert built.strides in ([16, 32], [8, 16, 32])
    assert built.boxes == sum(
        3 * (SIZE[0] // stride) * (SIZE[1] // stride) for stride in built.strides
    )
    for stride, own in zip(built.strides, priors, strict=True):
        cells = own.reshape(SIZE[1] // stride, SIZE[0] // stride, 3, 4)
        torch.testing.assert_close(
            cells[-1, 1, :, :2], torch.tensor([1.5 * stride, SIZE[1] - stride / 2]).expand(3, 2)
        )
        if len(built.strides) == 3:
            torch.testing.assert_close(
                cells[0, 0, :, 2:],
                torch.tensor(ANCHORS[built.strides.index(stride)], dtype=torch.float32),
            )


@pytest.mark.parametrize(
    ("head", "fine"),
    [("yolov3-tiny", [[10, 14], [23, 27], [37, 58]]), ("prn", [[23, 27], [37, 58], [81, 82]])],
)
def test_anchors_of_two_scales(head: str, fine: list[list[float]]) -> None:
    built = network(head)
    sides = to_centres(built.priors.boxes)[:, 2:]
    assert sides[:3].tolist() == fine
    assert sides[-3:].tolist() == [[81, 82], [135, 169], [344, 319]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_synthetic_scene_is_found_where_it_is(dtype: torch.dtype) -> None:
    size = (416, 320)
    torch.manual_seed(0)
    built = archbench.build("mobilenet", "prn-3l", size=size, classes=4)
    assert isinstance(built, YOLO)
    raw = Predictions(
        *(torch.zeros(2, built.boxes or 0, values, dtype=dtype) for values in (4, 1, 4))
    )
    made, holds = built.synthesize(raw, torch.Generator().manual_seed(0))
    assert [values.shape for values in made] == [values.shape for values in raw]
    assert all(values.dtype == dtype and values.isfinite().all() for values in made)
    assert holds["candidates"] == (built.boxes or 0) * 4
    assert 50 < int(holds["above_threshold"]) < (built.boxes or 0)
    found, _ = built.postprocess(made)
    seen = objects(size=size, classes=4, generator=torch.Generator().manual_seed(0))
    confident = found.scores > 0.4
    assert confident.sum() >= 8
    overlap = iou(found.boxes[confident], seen.boxes) * (
        found.labels[confident, None] == seen.labels
    )
    assert overlap.amax(dim=1).median() > 0.4


@pytest.mark.parametrize(
    ("backbone", "head", "options", "message"),
    [
        ("peleenet", "yolov3", {"size": 400}, "multiples of 32"),
        ("inception-v3", "efm", {"padding": "valid"}, "49x49 and 24x24 do not match"),
        ("ds-64-64-16-1", "panet-spp", {}, "no c5"),
        ("resnet18", "prn", {"merge_bottleneck": True}, "no option merge_bottleneck"),
        ("resnet18", "yolov3", {"merge_bottleneck": True}, "only yolo-fpn"),
        ("peleenet", "prn", {"activation": "mish"}, "relu, leaky, swish"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    backbone: str, head: str, options: dict[str, str | int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        archbench.cost(backbone, head, **options)  # type: ignore[arg-type]
