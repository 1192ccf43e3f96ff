"""Proposals and detections of fixed number against loops over boxes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archbench.zoo.ops.boxes import SSD_VARIANCES, clip, decode, iou
from archbench.zoo.ops.nms import Selection
from archbench.zoo.ops.priors import grid_priors
from archbench.zoo.ops.proposals import detect, propose, refine

SIZE = (96, 64)
LEVELS = [6 * 4 * 2, 3 * 2 * 2]
ANCHORS = torch.cat(
    [grid_priors((6, 4), 16, [(20, 20), (30, 15)]), grid_priors((3, 2), 32, [(40, 40), (60, 30)])]
)


def drawn(outputs: int, *, batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Objectness logits and offsets of every anchor."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, len(ANCHORS), outputs, generator=generator), torch.randn(
        batch, len(ANCHORS), 4, generator=generator
    )


def expected(
    scores: Tensor,
    offsets: Tensor,
    *,
    candidates: int,
    threshold: float,
    count: int,
    clip_first: bool,
) -> Tensor:
    """Choose one image's proposals box by box."""
    boxes = decode(offsets, ANCHORS, SSD_VARIANCES)
    clipped = clip(boxes, SIZE)
    boxes = clipped if clip_first else boxes
    kept: list[int] = []
    start = 0
    for length in LEVELS:
        order = sorted(range(start, start + length), key=lambda i: -scores[i].item())[
            : candidates or length
        ]
        here: list[int] = []
        for i in order:
            area = (boxes[i, 2] > boxes[i, 0]) & (boxes[i, 3] > boxes[i, 1])
            if area and not any(
                iou(boxes[i][None], boxes[j][None]).item() > threshold for j in here
            ):
                here.append(i)
        kept += here
        start += length
    kept = [i for i in kept if (clipped[i, 2] > clipped[i, 0]) & (clipped[i, 3] > clipped[i, 1])]
    best = sorted(kept, key=lambda i: -scores[i].item())[:count]
    return torch.cat([clipped[best], torch.zeros(count - len(best), 4)])


@pytest.mark.parametrize(
    ("candidates", "threshold", "count"), [(0, 0.7, 10), (0, 0.3, 50), (7, 0.5, 12), (1, 0.5, 4)]
)
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("clip_first", [True, False])
def test_proposals_are_those_of_the_loops(
    clip_first: bool, outputs: int, candidates: int, threshold: float, count: int
) -> None:
    objectness, offsets = drawn(outputs)
    chosen = propose(
        objectness,
        offsets,
        ANCHORS,
        LEVELS,
        SSD_VARIANCES,
        SIZE,
        candidates,
        threshold,
        count,
        clip_first,
    )
    scores = objectness[..., -1] - (objectness[..., 0] if outputs == 2 else 0)
    for image in range(2):
        wanted = expected(
            scores[image],
            offsets[image],
            candidates=candidates,
            threshold=threshold,
            count=count,
            clip_first=clip_first,
        )
        torch.testing.assert_close(chosen[image], wanted)


def test_what_is_missing_has_no_area() -> None:
    objectness, offsets = drawn(1)
    chosen = propose(
        objectness,
        torch.zeros_like(offsets),
        ANCHORS,
        LEVELS,
        SSD_VARIANCES,
        SIZE,
        0,
        0.01,
        100,
        True,
    )
    has_area = (chosen[..., 2:] > chosen[..., :2]).all(dim=-1)
    assert (has_area.sum(dim=1) >= 1).all()
    assert (has_area.sum(dim=1) < 30).all()
    assert (chosen[~has_area] == 0).all()


def test_boxes_outside_the_image_are_not_proposed() -> None:
    objectness, offsets = drawn(1)
    offsets[..., 0] = -1000
    chosen = propose(objectness, offsets, ANCHORS, LEVELS, SSD_VARIANCES, SIZE, 0, 0.7, 5, True)
    assert (chosen == 0).all()


@pytest.mark.parametrize("wild", [1e4, float("inf"), float("nan")])
def test_an_overflowing_offset_stays_finite(wild: float) -> None:
    objectness, offsets = drawn(2)
    chosen = propose(
        objectness, wild * offsets, ANCHORS, LEVELS, SSD_VARIANCES, SIZE, 0, 0.7, 20, True
    )
    assert chosen.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_proposals_are_computed_in_fp32(dtype: torch.dtype) -> None:
    objectness, offsets = (values.to(dtype) for values in drawn(1))
    arguments = ANCHORS, LEVELS, SSD_VARIANCES, SIZE, 0, 0.7, 10, True
    assert torch.equal(
        propose(objectness, offsets, *arguments),
        propose(objectness.float(), offsets.float(), *arguments),
    )


def predictions(groups: int, *, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Proposals, logits and offsets of a second stage, the last proposal of each image without
    area.
    """
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, 12, 2, generator=generator) * 50
    proposals = torch.cat(
        [corners, corners + 5 + torch.rand(2, 12, 2, generator=generator) * 40], dim=-1
    )
    proposals[:, -1] = 0
    logits = torch.randn(2, 12, 1 + classes, generator=generator) * 2
    return proposals, logits, torch.randn(2, 12, groups, 4, generator=generator)


@pytest.mark.parametrize("groups", [1, 3, 4])
def test_a_class_has_its_own_box_where_there_is_one(groups: int) -> None:
    proposals, logits, offsets = predictions(groups)
    boxes, scores = refine(proposals, logits, offsets)
    foreground = offsets[:, :, 1:] if groups == 4 else offsets
    for label in range(3):
        own = boxes if groups == 1 else boxes[:, :, label]
        torch.testing.assert_close(own, decode(foreground[:, :, min(label, groups - 1)], proposals))
    torch.testing.assert_close(scores[:, :-1], logits.softmax(dim=-1)[:, :-1, 1:])
    assert (scores[:, -1] == 0).all()


@pytest.mark.parametrize("count", [3, 40])
def test_detections_are_the_selected_ones_filled_up(count: int) -> None:
    raw = predictions(4)
    boxes, scores, labels = detect(*raw, SIZE, 0.2, 0.5, count)
    for image, found in enumerate(Selection(0.2, 0.5, count, clip_first=True)(*refine(*raw), SIZE)):
        n = len(found)
        assert 0 < n <= count
        assert torch.equal(boxes[image, :n], found.boxes)
        assert torch.equal(scores[image, :n], found.scores)
        assert torch.equal(labels[image, :n], found.labels)
        assert (boxes[image, n:] == 0).all()
        assert (scores[image, n:] == 0).all()


def test_shapes_on_the_meta_device_are_those_of_the_cpu() -> None:
    choose = (ANCHORS, *drawn(2))
    here, there = (
        propose(objectness, offsets, anchors, LEVELS, SSD_VARIANCES, SIZE, 0, 0.7, 9, True)
        for anchors, objectness, offsets in (choose, [values.to("meta") for values in choose])
    )
    assert (here.shape, here.dtype) == (there.shape, there.dtype)
    real, meta = (
        detect(*raw, SIZE, 0.2, 0.5, 7)
        for raw in (predictions(3), [values.to("meta") for values in predictions(3)])
    )
    assert [(v.shape, v.dtype) for v in real] == [(v.shape, v.dtype) for v in meta]


@pytest.mark.gpu
def test_a_gpu_chooses_the_same() -> None:
    arguments = LEVELS, SSD_VARIANCES, SIZE, 0, 0.7, 20, True
    objectness, offsets = drawn(2)
    on_gpu = propose(objectness.cuda(), offsets.cuda(), ANCHORS.cuda(), *arguments)
    torch.testing.assert_close(on_gpu.cpu(), propose(objectness, offsets, ANCHORS, *arguments))
