"""Pelee: maps, boxes, heads, postprocessing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Detector
from archbench.zoo.detectors.base.single_stage import Predictions, SingleStage
from archbench.zoo.ops.boxes import to_centres


@cache
def network(
    backbone: str = "peleenet",
    size: tuple[int, int] = (304, 304),
    classes: int = 20,
    device: str = "cpu",
) -> SingleStage:
    torch.manual_seed(0)
    built = archbench.build(backbone, "pelee", size=size, classes=classes, device=device)
    assert isinstance(built, SingleStage)
    return built


@pytest.mark.parametrize(
    ("backbone", "size", "sides", "boxes"),
    [
        ("peleenet", (304, 304), [(19, 19), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)], 5142),
        (
            "peleenet",
            (400, 320),
            [(25, 20), (25, 20), (13, 10), (7, 5), (5, 3), (3, 1)],
            6 * (1000 + 130 + 35 + 15 + 3),
        ),
        (
            "resnet18",
            (400, 320),
            [(25, 20), (25, 20), (13, 10), (7, 5), (5, 3), (3, 1)],
            6 * (1000 + 130 + 35 + 15 + 3),
        ),
    ],
)
def test_the_first_map_counts_twice_and_sides_round_each_way(
    backbone: str, size: tuple[int, int], sides: list[tuple[int, int]], boxes: int
) -> None:
    detector = network(backbone, size, device="meta")
    assert map_sizes(detector.features, size) == sides
    assert detector.boxes == boxes


def test_six_pairs_of_heads_behind_five_residual_blocks() -> None:
    report = archbench.cost("peleenet", "pelee")
    assert len(report.calls) == 151
    assert sum(call.path.startswith("features.blocks.") for call in report.calls) == 4 * 5
    assert sum(call.path.startswith("heads.") for call in report.calls) == 2 * 6
    assert all(call.kernel == (1, 1) for call in report.calls if call.path.startswith("heads."))
    norms = [layer for layer in network().modules() if isinstance(layer, nn.BatchNorm2d)]
    assert report.params + sum(2 * layer.num_features for layer in norms) == 5_443_300


@pytest.mark.parametrize(
    ("size", "classes", "sides"),
    [
        ((304, 304), 20, (30.4, 60.8, 112.48, 164.16, 215.84, 267.52, 319.2)),
        ((304, 304), 80, (21.28, 45.6, 100.32, 155.04, 209.76, 264.48, 319.2)),
        ((400, 320), 20, (32, 64, 118.4, 172.8, 227.2, 281.6, 336)),
    ],
)
def test_boxes_of_each_pair_of_heads(
    size: tuple[int, int], classes: int, sides: tuple[float, ...]
) -> None:
    detector = network(size=size, classes=classes)
    maps = map_sizes(detector.features, size)
    firsts = [
        part[:6]
        for part in to_centres(detector.priors.boxes).split(
            [6 * columns * rows for columns, rows in maps]
        )
    ]
    for boxes, (columns, rows), side, following in zip(
        firsts, maps, sides, sides[1:], strict=False
    ):
        torch.testing.assert_close(
            boxes[:, :2], torch.tensor([[size[0] / columns / 2, size[1] / rows / 2]] * 6)
        )
        torch.testing.assert_close(
            boxes[:, 2:].prod(dim=1).sqrt(),
            torch.tensor([side, (side * following) ** 0.5, *[side] * 4]),
        )
        torch.testing.assert_close(
            boxes[:, 2] / boxes[:, 3], torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3])
        )


def test_pictures_are_prepared_as_it_was_trained() -> None:
    image = network().prepare(torch.full((3, 4, 4), 255, dtype=torch.uint8)).image
    torch.testing.assert_close(image[:, 7, 9], torch.tensor([151.06, 138.22, 131.32]) * 0.017)


def test_a_picture_goes_all_the_way_through(picture: Tensor) -> None:
    detector = network()
    prepared = detector.prepare(picture)
    with torch.inference_mode():
        raw = detector(prepared.image[None])
        (found,) = detector.postprocess(raw)
    assert (raw.offsets.shape, raw.logits.shape) == ((1, 5142, 4), (1, 5142, 21))
    assert all(values.isfinite().all() for values in raw)
    assert 0 < len(found) <= 200
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= 304) & (y1 >= 0) & (y1 <= y2) & (y2 <= 304)).all()
    assert ((found.scores > 0.01) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < 20)).all()
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


def test_images_of_a_batch_do_not_see_each_other(sees_alone: Callable[[Detector], None]) -> None:
    sees_alone(network())


def test_the_synthetic_scene_comes_back_as_its_scores() -> None:
    detector = network()
    raw = Predictions(torch.zeros(2, 5142, 4), torch.zeros(2, 5142, 21))
    with torch.inference_mode():
        made, holds = detector.synthesize(raw, torch.Generator().manual_seed(0))
        found = detector.postprocess(made)
    assert holds["candidates"] == 5142 * 20
    assert 5142 * 0.02 * 0.8 < int(holds["above_threshold"]) < 5142
    assert all(20 < len(one) <= 200 for one in found)
    assert all(0.3 < one.scores[0] <= 0.9001 for one in found)
    assert not torch.equal(found[0].scores, found[1].scores)


def test_an_input_too_small_for_the_last_map_is_a_usage_error() -> None:
    assert archbench.cost("peleenet", "pelee", size=280).boxes
    with pytest.raises(UsageError, match="cannot be built"):
        archbench.cost("peleenet", "pelee", size=250)
