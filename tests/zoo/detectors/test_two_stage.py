"""Two-stage detectors: proposals, the second stage, postprocessing, masks."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import archbench
from archbench.zoo.contracts import Detections
from archbench.zoo.detectors.base.two_stage import RegionPredictions, TwoStage
from archbench.zoo.detectors.mask_rcnn import MaskPredictions, MaskRCNN
from archbench.zoo.ops.boxes import iou
from archbench.zoo.ops.load import objects
from archbench.zoo.ops.nms import Selection

SIZE = (160, 128)


PAIRS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "faster-rcnn": ("mobilenet", "faster-rcnn", {"proposals": 12}),
    "faster-rcnn, pooled": ("resnet18", "faster-rcnn", {"proposals": 12, "output_stride": 8}),
    "faster-rcnn-c4": ("resnet18", "faster-rcnn-c4", {"proposals": 12}),
    "faster-rcnn-caffe": ("resnet18", "faster-rcnn-caffe", {"proposals": 12, "anchors": 15}),
    "faster-rcnn-fpn": ("resnet18", "faster-rcnn-fpn", {"proposals": 30}),
    "mask-rcnn-fpn": ("resnet18", "mask-rcnn-fpn", {"proposals": 30, "detections": 5}),
    "mask-rcnn-fpn, gn": ("resnet18-gn", "mask-rcnn-fpn", {"proposals": 30, "detections": 5}),
    "rfcn": ("mobilenet", "rfcn", {"proposals": 12}),
    "rfcn-caffe": ("resnet18", "rfcn-caffe", {"proposals": 12, "anchors": 15}),
}


every = pytest.mark.parametrize("pair", PAIRS)


@cache
def network(pair: str) -> TwoStage:
    torch.manual_seed(0)
    backbone, detector, options = PAIRS[pair]
    built = archbench.build(backbone, detector, size=SIZE, classes=6, **options)
    assert isinstance(built, TwoStage)
    return built


def picture(seed: int = 0, height: int = 90, width: int = 140) -> Tensor:
    return torch.randint(
        256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def regions(raw: RegionPredictions | MaskPredictions) -> RegionPredictions:
    return raw.regions if isinstance(raw, MaskPredictions) else raw


@cache
@torch.inference_mode()
def raw_of(pair: str) -> Any:
    """Raw predictions for two pictures."""
    detector = network(pair)
    return detector(torch.stack([detector.prepare(picture(seed)).image for seed in range(2)]))


@torch.inference_mode()
def loaded(pair: str) -> tuple[Any, dict[str, str | int]]:
    return network(pair).synthesize(raw_of(pair), torch.Generator().manual_seed(0))


def check(found: Detections, detector: TwoStage) -> None:
    width, height = SIZE
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= width) & (y1 >= 0) & (y1 <= y2) & (y2 <= height)).all()
    assert ((found.scores > detector.framework.selection.score) & (found.scores <= 1)).all()
    assert (found.scores.diff() <= 0).all()
    assert ((found.labels >= 0) & (found.labels < 6)).all()
    assert len(found) <= detector.framework.selection.per_image


HUANG = (0.1, 0.2)


UNIT = (1, 1)


PUBLISHED = {
    ("resnet101-slim", "faster-rcnn"): (
        "crop",
        "ReLU6",
        HUANG,
        0,
        Selection(0, 0.6, 300, per_class=100),
        90,
        "crop",
        14,
    ),
    ("inception-resnet-v2", "faster-rcnn"): (
        "crop",
        "ReLU6",
        HUANG,
        0,
        Selection(0, 0.6, 100, per_class=100),
        90,
        "crop",
        17,
    ),
    ("inception-v3", "faster-rcnn"): (
        "crop",
        "ReLU6",
        HUANG,
        0,
        Selection(0, 0.6, 300, per_class=100),
        90,
        "crop",
        17,
    ),
    ("mobilenet", "rfcn"): (
        "crop",
        "ReLU6",
        HUANG,
        0,
        Selection(0, 0.6, 300, per_class=100),
        90,
        "crop",
        None,
    ),
    ("vgg16", "faster-rcnn"): (
        "crop",
        "ReLU6",
        HUANG,
        0,
        Selection(0, 0.6, 300, per_class=100),
        90,
        "crop",
        14,
    ),
    ("vgg16", "faster-rcnn-caffe"): (
        "pool",
        "ReLU",
        UNIT,
        6000,
        Selection(0.05, 0.3, 100, clip_first=True),
        21,
        "fit",
        7,
    ),
    ("resnet101-v1", "faster-rcnn-caffe"): (
        "pool",
        "ReLU",
        UNIT,
        6000,
        Selection(0.05, 0.3, 100, clip_first=True),
        21,
        "fit",
        14,
    ),
    ("resnet101-v1", "rfcn-caffe"): (
        "pool",
        "ReLU",
        UNIT,
        6000,
        Selection(0.05, 0.3, 100, clip_first=True),
        21,
        "fit",
        None,
    ),
    ("resnet101-v1", "faster-rcnn-c4"): (
        "align",
        "ReLU",
        UNIT,
        6000,
        Selection(0.05, 0.5, 100, clip_first=True),
        81,
        "fit",
        14,
    ),
    ("resnet101-v1", "faster-rcnn-fpn"): (
        "align",
        "ReLU",
        UNIT,
        1000,
        Selection(0.05, 0.5, 100, clip_first=True),
        81,
        "fit",
        None,
    ),
    ("vovnet39-gn", "mask-rcnn-fpn"): (
        "align",
        "ReLU",
        UNIT,
        1000,
        Selection(0.05, 0.5, 100, clip_first=True),
        81,
        "fit",
        None,
    ),
}
"""How regions are read, activation, variances and candidates of the proposals, the choice of
detections, classes that have a box, how pictures are resized, side of the crops.
"""


@pytest.mark.parametrize("pair", PUBLISHED, ids=" ".join)
def test_what_surrounds_the_network_is_as_published(pair: tuple[str, str]) -> None:
    region, activation, variances, candidates, selection, regressed, resize, crop = PUBLISHED[pair]
    detector = archbench.build(*pair, device="meta")
    assert isinstance(detector, TwoStage)
    framework = detector.framework
    assert (framework.region, framework.activation.__name__, framework.variances) == (
        region,
        activation,
        variances,
    )
    assert (framework.candidates, framework.selection) == (candidates, selection)
    assert (detector.regressed, detector.preparation.resize) == (regressed, resize)
    assert getattr(detector, "crop", None) == crop


@pytest.mark.parametrize(
    ("backbone", "detector", "options", "sides"),
    [
        ("resnet18", "faster-rcnn", {}, (64, 128, 256, 512)),
        ("resnet18", "faster-rcnn-caffe", {}, (128, 256, 512)),
        ("resnet18", "faster-rcnn-c4", {"anchors": 15}, (32, 64, 128, 256, 512)),
    ],
)
def test_anchors_of_one_map_come_in_these_sides_and_three_ratios(
    backbone: str, detector: str, options: dict[str, Any], sides: tuple[int, ...]
) -> None:
    network = archbench.build(backbone, detector, size=160, **options)
    assert isinstance(network, TwoStage)
    first = network.rpn.anchors.boxes[: 3 * len(sides)]
    width, height = (first[:, 2] - first[:, 0]), (first[:, 3] - first[:, 1])
    torch.testing.assert_close(
        (width * height).sqrt(), torch.tensor(sides).repeat_interleave(3).float()
    )
    torch.testing.assert_close(height / width, torch.tensor([0.5, 1, 2]).repeat(len(sides)))
    torch.testing.assert_close((first[:, :2] + first[:, 2:]) / 2, torch.full((len(first), 2), 8.0))


def test_anchors_of_a_pyramid_have_one_side_a_level() -> None:
    network = archbench.build("resnet18", "faster-rcnn-fpn", size=(128, 64))
    assert isinstance(network, TwoStage)
    assert network.rpn.levels == [3 * 32 * 16, 3 * 16 * 8, 3 * 8 * 4, 3 * 4 * 2, 3 * 2 * 1]
    sides = (network.rpn.anchors.boxes[:, 2:] - network.rpn.anchors.boxes[:, :2]).prod(dim=1).sqrt()
    starts = [sum(network.rpn.levels[:level]) for level in range(5)]
    torch.testing.assert_close(sides[starts], torch.tensor([32.0, 64, 128, 256, 512]))


@every
def test_a_picture_goes_all_the_way_through(pair: str) -> None:
    detector, raw = network(pair), raw_of(pair)
    of_regions = regions(raw)
    assert all(values.isfinite().all() for values in of_regions)
    assert detector.boxes
    assert (
        of_regions.objectness.shape[:2]
        == of_regions.anchor_offsets.shape[:2]
        == (2, detector.boxes)
    )
    assert of_regions.proposals.shape == (2, detector.proposals, 4)
    assert of_regions.logits.shape == (2, detector.proposals, 7)
    for found in detector.postprocess(raw):
        check(found, detector)


@every
def test_images_of_a_batch_do_not_see_each_other(pair: str) -> None:
    detector = network(pair)
    with torch.inference_mode():
        alone = regions(detector(detector.prepare(picture(1)).image[None]))
    together = regions(raw_of(pair))
    torch.testing.assert_close(together.objectness[1:], alone.objectness, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        together.anchor_offsets[1:], alone.anchor_offsets, rtol=1e-3, atol=1e-4
    )
    # What is nearly equal may be ranked the other way round: only proposals that both have are
    # compared.
    same = (together.proposals[1] - alone.proposals[0]).abs().amax(dim=-1) < 1e-2
    assert same.float().mean() > 0.6
    torch.testing.assert_close(
        together.logits[1][same], alone.logits[0][same], rtol=1e-2, atol=1e-3
    )
    torch.testing.assert_close(
        together.offsets[1][same], alone.offsets[0][same], rtol=1e-2, atol=1e-3
    )


@every
def test_postprocessing_an_image_does_not_depend_on_its_batch(pair: str) -> None:
    detector = network(pair)
    raw, _ = loaded(pair)
    both = detector.postprocess(raw)
    assert len(both) == 2
    for index, found in enumerate(both):
        one = [values[index : index + 1] for values in regions(raw)]
        single: Any = RegionPredictions(*one)
        if isinstance(raw, MaskPredictions):
            single = MaskPredictions(single, *(values[index : index + 1] for values in raw[1:]))
        (alone,) = detector.postprocess(single)
        torch.testing.assert_close(
            (found.boxes, found.scores, found.labels), (alone.boxes, alone.scores, alone.labels)
        )
        check(found, detector)


@every
def test_the_synthetic_scene_is_found_where_it_is(pair: str) -> None:
    """What a trained network would see: confident detections lie on objects of their class."""
    detector = network(pair)
    raw, holds = loaded(pair)
    assert [v.shape for v in regions(raw)] == [v.shape for v in regions(raw_of(pair))]
    assert holds["distribution"] == "scene-v1"
    assert holds["candidates"] == (
        detector.detections if isinstance(detector, MaskRCNN) else detector.proposals * 6
    )
    found = detector.postprocess(raw)[0]
    # The first image's objects are drawn first.
    seen = objects(size=SIZE, classes=6, generator=torch.Generator().manual_seed(0))
    confident = found.scores > 0.4
    assert confident.sum() >= 2
    overlap = iou(found.boxes[confident], seen.boxes) * (
        found.labels[confident, None] == seen.labels
    )
    assert overlap.amax(dim=1).median() > 0.4


@pytest.mark.parametrize("pair", ["mask-rcnn-fpn", "mask-rcnn-fpn, gn"])
def test_masks_lie_in_their_boxes(pair: str) -> None:
    detector = network(pair)
    assert isinstance(detector, MaskRCNN)
    raw, _ = loaded(pair)
    assert raw.mask_logits.shape == (2, 5, 7, 28, 28)
    for found in detector.postprocess(raw):
        assert found.masks is not None
        assert (found.masks.shape, found.masks.dtype) == (
            (len(found), SIZE[1], SIZE[0]),
            torch.bool,
        )
        assert len(found) > 0
        for box, mask in zip(found.boxes, found.masks, strict=True):
            rows, columns = mask.nonzero().unbind(dim=1)
            assert len(rows) > 0
            assert columns.min() >= box[0] - 1
            assert columns.max() <= box[2]
            assert rows.min() >= box[1] - 1
            assert rows.max() <= box[3]


@pytest.mark.parametrize(
    "precision", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "pair",
    [
        "faster-rcnn",
        pytest.param("faster-rcnn-caffe", marks=pytest.mark.slow),
        "mask-rcnn-fpn",
        "rfcn",
        "rfcn-caffe",
    ],
)
def test_half_precision_runs(pair: str, precision: torch.dtype) -> None:
    backbone, name, options = PAIRS[pair]
    torch.manual_seed(0)
    detector = archbench.build(backbone, name, size=96, classes=6, **options).to(precision)
    with torch.inference_mode():
        raw = detector(torch.randn(1, 3, 96, 96, dtype=precision))
        (found,) = detector.postprocess(raw)
    assert regions(raw).logits.dtype == precision
    assert found.boxes.isfinite().all()
    assert found.boxes.dtype == torch.float32
