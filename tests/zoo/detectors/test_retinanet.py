"""RetinaNet: pyramid, anchors, shared towers, the choice of candidates, postprocessing."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Detections
from archbench.zoo.detectors import retinanet
from archbench.zoo.detectors.base.single_stage import Predictions
from archbench.zoo.detectors.retinanet import RetinaNet
from archbench.zoo.ops.boxes import iou, to_centres
from archbench.zoo.ops.load import objects

SIZE = (160, 100)


@cache
def network(
    size: tuple[int, int] = SIZE, backbone: str = "resnet18", classes: int = 3, device: str = "cpu"
) -> RetinaNet:
    torch.manual_seed(0)
    built = archbench.build(backbone, "retinanet", size=size, classes=classes, device=device)
    assert isinstance(built, RetinaNet)
    return built


def picture(seed: int = 0) -> Tensor:
    return torch.randint(
        256, (3, 240, 427), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((800, 800), [(100, 100), (50, 50), (25, 25), (13, 13), (7, 7)]),
        ((500, 500), [(63, 63), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((1333, 800), [(167, 100), (84, 50), (42, 25), (21, 13), (11, 7)]),
    ],
)
def test_maps_have_the_published_sides(size: tuple[int, int], sides: list[tuple[int, int]]) -> None:
    built = network(size, device="meta")
    assert map_sizes(built.features, size) == sides
    assert built.boxes == 9 * sum(columns * rows for columns, rows in sides)


def test_the_anchors_of_a_cell_are_three_sizes_in_three_ratios() -> None:
    """At stride 8 squares of 32 pixels and the third and two thirds of an octave above; heights
    over widths of 1/2, 1 and 2.
    """
    boxes = to_centres(network().priors.boxes)
    expected = [
        [side * r**-0.5, side * r**0.5]
        for side in (32, 32 * 2 ** (1 / 3), 32 * 2 ** (2 / 3))
        for r in (0.5, 1, 2)
    ]
    torch.testing.assert_close(boxes[:9, 2:], torch.tensor(expected))
    torch.testing.assert_close(
        boxes[[0, 9, 9 * 20], :2], torch.tensor([[4.0, 4], [12, 4], [4, 12]])
    )
    torch.testing.assert_close(boxes[-9:, 2:], 16 * torch.tensor(expected))
    torch.testing.assert_close(boxes[-1, :2], torch.tensor([192.0, 64]))


def test_all_levels_share_the_towers() -> None:
    """Their weights count once and their multiply-adds on every level."""
    built = network()
    assert len({id(head) for head in built.heads}) == 1
    towers = 2 * 4 * (9 * 256 * 256 + 256) + 9 * 256 * 9 * (4 + 3) + 9 * (4 + 3)
    assert sum(parameter.numel() for parameter in built.heads.parameters()) == towers
    cells = (built.boxes or 0) // 9
    calls = [
        call
        for call in archbench.cost("resnet18", "retinanet", size=SIZE, classes=3).calls
        if call.path.startswith("heads")
    ]
    assert len(calls) == 5 * 10
    assert sum(call.macs for call in calls) == cells * 9 * 256 * (2 * 4 * 256 + 9 * (4 + 3))


def test_the_seventh_map_is_made_of_the_sixth_s_positive_part() -> None:
    pyramid = network().features
    with torch.inference_mode():
        *_, sixth, seventh = pyramid(torch.randn(1, 3, 100, 160))
        last = pyramid.get_submodule("seventh")
        torch.testing.assert_close(seventh, last(sixth.relu()))
    assert (sixth < 0).any()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet18-gn", "mobilenet", "vgg16"])
def test_neck_and_towers_have_no_norm_whatever_the_backbone_has(backbone: str) -> None:
    built = network(backbone=backbone, device="meta")
    layers = [
        layer
        for part in (built.features.get_submodule("fpn"), built.heads)
        for layer in part.modules()
    ]
    assert not any(isinstance(layer, nn.GroupNorm | nn.BatchNorm2d) for layer in layers)


def brute(scores: Tensor, levels: list[int], most: int) -> Tensor:
    """The candidates one by one: each level's pairs above the threshold, sorted, the first of them
    kept.
    """
    kept = torch.zeros_like(scores)
    for image in range(len(scores)):
        start = 0
        for length in levels:
            pairs = [
                (anchor, label)
                for anchor in range(start, start + length)
                for label in range(scores.shape[2])
            ]
            pairs = [pair for pair in pairs if scores[image][pair] > 0.05]
            for pair in sorted(pairs, key=lambda pair: -scores[image][pair].item())[:most]:
                kept[image][pair] = scores[image][pair]
            start += length
    return kept


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("most", [1, 20, 1000])
def test_each_level_s_best_pairs_are_the_candidates(
    most: int, rounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retinanet, "CANDIDATES", most)
    built = network((40, 24))
    scores = torch.rand(2, built.boxes or 0, 3, generator=torch.Generator().manual_seed(0)) ** 2
    scores[0, built.levels[0] : built.levels[0] + built.levels[1]] = 0.01
    scores = (scores * 16).round() / 16 if rounded else scores
    torch.testing.assert_close(
        built.candidates(scores), brute(scores, built.levels, most), rtol=0, atol=0
    )


def test_an_image_without_candidates_has_no_detections() -> None:
    built = network((40, 24))
    raw = Predictions(
        torch.zeros(2, built.boxes or 0, 4), torch.full((2, built.boxes or 0, 3), -9.0)
    )
    raw.logits[1, 5, 2] = 2.0
    first, second = built.postprocess(raw)
    assert (len(first), second.labels.tolist()) == (0, [2])


def test_offsets_are_in_units_of_the_anchor() -> None:
    """An anchor of 32x32 at (4, 4), moved by half its side to the right and stretched to twice its
    height; cut at the border.
    """
    built = network((40, 24))
    raw = Predictions(
        torch.zeros(1, built.boxes or 0, 4), torch.full((1, built.boxes or 0, 3), -9.0)
    )
    raw.offsets[0, 1] = torch.tensor([0.5, 0, 0, math.log(2)])
    raw.logits[0, 1, 0] = 2.0
    (found,) = built.postprocess(raw)
    torch.testing.assert_close(found.boxes, torch.tensor([[4.0, 0, 36, 24]]))
    torch.testing.assert_close(found.scores, torch.tensor([2.0]).sigmoid())


def check(found: Detections, size: tuple[int, int], classes: int) -> None:
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert 0 < len(found) <= 100
    assert (
        (x1 >= 0) & (x1 <= x2) & (x2 <= size[0]) & (y1 >= 0) & (y1 <= y2) & (y2 <= size[1])
    ).all()
    assert ((found.scores > 0.05) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < classes)).all()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet18-gn", "mobilenet"])
def test_pictures_go_all_the_way_through_and_do_not_see_each_other(backbone: str) -> None:
    built = network(backbone=backbone)
    images = torch.stack([built.prepare(picture(seed)).image for seed in range(2)])
    with torch.inference_mode():
        both, alone = built(images), built(images[1:])
        assert (both.offsets.shape, both.logits.shape) == ((2, built.boxes, 4), (2, built.boxes, 3))
        for together, single in zip(both, alone, strict=True):
            assert together.isfinite().all()
            torch.testing.assert_close(together[1:], single, rtol=1e-3, atol=1e-4)
        for found in built.postprocess(both):
            check(found, SIZE, 3)


@pytest.mark.slow
def test_a_picture_goes_all_the_way_through_at_the_default_size() -> None:
    torch.manual_seed(0)
    built = archbench.build("resnet50-v1", "retinanet")
    assert isinstance(built, RetinaNet)
    prepared = built.prepare(picture())
    assert prepared.image.shape == (3, 800, 800)
    with torch.inference_mode():
        raw = built(prepared.image[None])
        (found,) = built.postprocess(raw)
    assert all(values.isfinite().all() for values in raw)
    check(found, (800, 800), 80)
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_synthetic_scene_is_found_where_it_is(dtype: torch.dtype) -> None:
    size = (320, 256)
    built = network(size)
    raw = Predictions(
        torch.zeros(2, built.boxes or 0, 4, dtype=dtype),
        torch.zeros(2, built.boxes or 0, 3, dtype=dtype),
    )
    made, holds = built.synthesize(raw, torch.Generator().manual_seed(0))
    assert [values.dtype for values in made] == [dtype] * 2
    assert holds["candidates"] == (built.boxes or 0) * 3
    found, other = built.postprocess(made)
    check(found, size, 3)
    assert len(found) != len(other) or not torch.equal(found.scores, other.scores)
    seen = objects(size=size, classes=3, generator=torch.Generator().manual_seed(0))
    confident = found.scores > 0.5
    assert confident.sum() >= 5
    overlap = iou(found.boxes[confident], seen.boxes) * (
        found.labels[confident, None] == seen.labels
    )
    assert overlap.amax(dim=1).median() > 0.4


def test_pictures_are_prepared_as_the_backbone_has_it() -> None:
    built = archbench.build("resnet50-v1", "retinanet", size=64, device="meta")
    assert isinstance(built, RetinaNet)
    assert (built.preparation.order, built.preparation.scale, built.preparation.resize) == (
        "bgr",
        255,
        "warp",
    )


def test_a_backbone_without_its_maps_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no c5"):
        archbench.cost("resnet18", "retinanet", output_stride=16)
