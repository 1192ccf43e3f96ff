"""The synthetic scene on which postprocessing is timed."""

from __future__ import annotations

import pytest
import torch

from archbench.zoo.ops.boxes import decode, iou
from archbench.zoo.ops.load import (
    CLUTTER,
    CLUTTER_SCORES,
    CONFIDENCE,
    OBJECTS,
    OVERLAP,
    Scene,
    heatmap,
    objects,
    scene,
    softmax_logits,
    to_cells,
)
from archbench.zoo.ops.nms import nms
from archbench.zoo.ops.priors import grid_priors

SIZE = (320, 256)
PRIORS = torch.cat(
    [
        grid_priors((SIZE[0] // s, SIZE[1] // s), s, [(4 * s, 4 * s), (6 * s, 3 * s)])
        for s in (8, 16, 32)
    ]
)


def drawn(seed: int = 0, batch: int = 3) -> Scene:
    return scene(
        PRIORS, size=SIZE, classes=20, batch=batch, generator=torch.Generator().manual_seed(seed)
    )


def test_a_seed_is_a_scene() -> None:
    first, again, other = drawn(0), drawn(0), drawn(1)
    assert torch.equal(first.scores, again.scores)
    assert torch.equal(first.offsets, again.offsets)
    assert not torch.equal(first.scores, other.scores)


def test_images_of_a_batch_differ() -> None:
    scores = drawn().scores
    assert scores.shape == (3, len(PRIORS), 20)
    assert not torch.equal(scores[0], scores[1])


def test_priors_fire_for_one_class_by_their_overlap_or_falsely_and_rarely() -> None:
    scores = drawn(batch=20).scores
    assert int((scores > 0).sum(dim=-1).max()) == 1
    best = scores.amax(dim=-1)
    fires = best >= CONFIDENCE * OVERLAP
    assert 0.01 < fires.float().mean() < 0.5
    assert best.max() <= CONFIDENCE
    false = (best > 0) & ~fires
    assert best[false].min() >= CLUTTER_SCORES[0] * 0.999
    assert best[false].max() <= CLUTTER_SCORES[1]
    assert false.float().mean().item() == pytest.approx(CLUTTER, rel=0.2)


def test_firing_priors_are_regressed_onto_few_objects() -> None:
    made = drawn(batch=1)
    best = made.scores[0].amax(dim=-1)
    fires = best >= CONFIDENCE * OVERLAP
    boxes = decode(made.offsets[0], PRIORS)[fires]
    assert (iou(boxes, PRIORS[fires]).diagonal() - best[fires] / CONFIDENCE).abs().median() < 0.1
    assert (
        2
        <= int(nms(boxes, best[fires], torch.zeros(len(boxes), dtype=torch.long), 0.5).sum())
        <= OBJECTS
        < len(boxes)
    )


def test_logits_have_the_scores_as_their_softmax() -> None:
    scores = drawn(batch=1).scores
    logits = softmax_logits(scores)
    assert logits.shape == (1, len(PRIORS), 21)
    torch.testing.assert_close(logits.softmax(dim=-1)[..., 1:], scores, atol=1e-4, rtol=1e-3)


def test_a_heatmap_peaks_at_the_objects_and_fires_falsely_and_rarely() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = objects(size=SIZE, classes=20, generator=generator)
    centres = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
    heat = heatmap(centres, seen, size=SIZE, cells=(80, 64), classes=20, generator=generator)
    assert heat.shape == (20, 64, 80)
    cells = to_cells(centres, size=SIZE, cells=(80, 64))
    assert cells[0].tolist() == (centres[0] / 4).floor().tolist()
    at = heat[seen.labels, cells[:, 1], cells[:, 0]]
    assert ((at >= CONFIDENCE * OVERLAP) & (at <= CONFIDENCE)).all()
    for label, (column, row), peak in zip(seen.labels, cells, at, strict=True):
        assert heat[label, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max() >= peak
    false = ((heat >= CLUTTER_SCORES[0] * 0.999) & (heat <= CLUTTER_SCORES[1])).any(dim=0)
    assert 0.5 * CLUTTER < false.float().mean() < 0.2


def test_points_outside_the_image_are_in_its_nearest_cells() -> None:
    points = torch.tensor([[-3.0, 10.0], [400.0, 256.0], [319.9, 0.0]])
    assert to_cells(points, size=SIZE, cells=(80, 64)).tolist() == [[0, 2], [79, 63], [79, 0]]
