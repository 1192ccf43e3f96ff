"""How far two outputs agree: cases of which the answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from archbench.engines import agreement
from archbench.engines.agreement import chosen_share, dense_error, matched_share
from archbench.zoo.contracts import Detections
from archbench.zoo.detectors.base.two_stage import RegionPredictions
from archbench.zoo.detectors.mask_rcnn import MaskPredictions
from archbench.zoo.ops.boxes import iou

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 60], [5, 5, 50, 50]])
SCORES, LABELS = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2])


def detections(
    rows: list[int], *, shift: float = 0, score: float = 0, label: int = 0
) -> Detections:
    return Detections(BOXES[rows] + shift, SCORES[rows] + score, LABELS[rows] + label)


def regions(order: list[int], *, boxes: Tensor = BOXES, noise: float = 0) -> RegionPredictions:
    """Predictions of one image whose proposals come in another order."""
    rows = torch.arange(12.0).reshape(1, 3, 4)
    logits, offsets = rows[:, order] + noise, rows[:, order, None]
    return RegionPredictions(rows[..., :2], rows, boxes[None, order], logits, offsets)


def test_the_worst_tensor_counts_relative_to_its_own_largest_number() -> None:
    reference = {"a": torch.tensor([1.0, -4.0]), "b": [torch.tensor([100.0, 1.0])]}
    outputs = {"a": torch.tensor([1.0, -4.2]), "b": [torch.tensor([101.0, 1.0])]}
    assert dense_error(outputs, reference) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("output", "reference", "error"),
    [
        ([0.0, 0.0], [0.0, 0.0], 0),
        ([0.0, 1e-9], [0.0, 0.0], math.inf),
        ([math.nan, 1.0], [math.nan, 1.0], 0),
        ([math.nan, 1.0], [1.0, 1.0], math.inf),
        ([math.inf, 2.0], [math.inf, 1.0], 1),
        ([math.inf, 1.0], [-math.inf, 1.0], math.inf),
        ([], [], 0),
    ],
)
def test_numbers_that_are_not_finite_and_zeros_are_not_passed_over(
    output: list[float], reference: list[float], error: float
) -> None:
    assert dense_error(torch.tensor(output), torch.tensor(reference)) == error


@pytest.mark.parametrize(
    "outputs", [[torch.ones(2)], torch.ones(3), {"a": torch.ones(2)}, None, [torch.ones(3)] * 2]
)
def test_other_structures_are_an_error(outputs: object) -> None:
    with pytest.raises(ValueError, match=r"structure|output"):
        dense_error(outputs, [torch.ones(3)])


def test_rows_are_compared_between_the_same_proposals_in_whatever_order() -> None:
    reference = regions([0, 1, 2])
    assert dense_error(regions([2, 0, 1]), reference) == 0
    assert dense_error(regions([2, 0, 1], noise=1), reference) == pytest.approx(1 / 11)
    assert chosen_share(regions([2, 0, 1]), reference) == 1


def test_proposals_of_which_none_is_the_same_are_an_infinite_error() -> None:
    elsewhere = regions([0, 1, 2], boxes=BOXES + 100)
    assert dense_error(elsewhere, regions([0, 1, 2])) == math.inf
    assert chosen_share(elsewhere, regions([0, 1, 2])) == 0


def test_proposals_without_area_fill_up_and_are_not_compared() -> None:
    boxes = BOXES * torch.tensor([[1.0], [1.0], [0.0]])
    found, reference = regions([0, 1, 2], boxes=boxes), regions([0, 1, 2], boxes=boxes)
    reference.logits[:, 2] = 1000
    assert dense_error(found, reference) == 0
    assert chosen_share(found, reference) == 1
    assert chosen_share(found, regions([0, 1, 2])) == pytest.approx(2 / 3)
    none = regions([0, 1, 2], boxes=BOXES * 0)
    assert (dense_error(none, none), chosen_share(none, none)) == (0, None)


def test_masks_are_compared_between_the_same_boxes_of_one_label() -> None:
    masks = torch.arange(3.0).reshape(1, 3, 1, 1, 1)

    def predicted(order: list[int], labels: Tensor) -> MaskPredictions:
        values = (BOXES[None, order], SCORES[None, order], labels[None, order], masks[:, order])
        return MaskPredictions(regions([0, 1, 2]), *values)

    assert dense_error(predicted([1, 2, 0], LABELS), predicted([0, 1, 2], LABELS)) == 0
    assert chosen_share(predicted([0, 1, 2], LABELS + 1), predicted([0, 1, 2], LABELS)) == 0.5


def test_detections_match_in_whatever_order_within_the_tolerance() -> None:
    every = [detections([0, 1, 2])]
    assert matched_share([detections([2, 0, 1], shift=0.1, score=0.009)], every) == 1
    assert matched_share([detections([0, 1, 2], score=0.011)], every) == 0
    assert matched_share([detections([0, 1, 2], label=1)], every) == 0
    assert matched_share([detections([0, 1, 2], shift=3)], every) == 0


def test_the_larger_count_is_what_matches_are_a_share_of() -> None:
    every = detections([0, 1, 2])
    assert matched_share([detections([0, 1])], [every]) == pytest.approx(2 / 3)
    assert matched_share([every], [detections([0, 1])]) == pytest.approx(2 / 3)
    assert matched_share([every, detections([])], [every, detections([1])]) == 0.75
    assert matched_share([detections([])], [detections([])]) is None


def test_ties_at_the_limit_are_kept_or_not_by_the_last_digit() -> None:
    """Both keep three of four, whose scores are one: they differ in none that can be told."""
    boxes = torch.cat([BOXES, BOXES[:1] + 200])
    labels, scores = torch.zeros(4, dtype=torch.long), torch.tensor([1.0, 0.9999, 0.9999, 0.9999])

    def kept(rows: list[int], *, last: float = 0) -> list[Detections]:
        return [Detections(boxes[rows], scores[rows] - torch.tensor([0, 0, last]), labels[rows])]

    assert matched_share(kept([0, 1, 3]), kept([0, 1, 2])) == 1
    assert matched_share(kept([0, 1, 3], last=0.005), kept([0, 1, 2])) == pytest.approx(2 / 3)
    assert matched_share(kept([0, 1, 3], last=0.5), kept([0, 1, 2])) == pytest.approx(2 / 3)
    fewer = [Detections(boxes[:2], scores[:2], labels[:2])]
    assert matched_share(fewer, kept([0, 1, 2])) == pytest.approx(2 / 3)
    elsewhere = [Detections(boxes[:3] + 500, scores[:3], labels[:3])]
    assert matched_share(elsewhere, kept([0, 1, 2])) == 0


def test_a_detection_matches_once() -> None:
    assert matched_share([detections([0, 0, 0])], [detections([0])]) == pytest.approx(1 / 3)


def test_the_nearest_are_matched_first() -> None:
    """A box that fits two goes to the one that it fits best, whichever comes first."""
    reference = Detections(BOXES[[0, 0]], SCORES[[0, 0]], LABELS[[0, 0]])
    moved = Detections(BOXES[[0, 0]] + torch.tensor([[0.2], [0.0]]), SCORES[[0, 0]], LABELS[[0, 0]])
    assert matched_share([moved], [reference]) == 1


def test_slivers_in_one_place_are_the_same() -> None:
    """A box cut at the border may be thinner than what a rounding moves it by."""
    strip = torch.tensor([[0.0, 147.1911, 256, 147.1912], [0, 90, 256, 90.001]])
    one, moved = (Detections(boxes, SCORES[:2], LABELS[:2]) for boxes in (strip, strip + 0.01))
    assert matched_share([moved], [one]) == 1
    assert matched_share([Detections(strip + 0.1, SCORES[:2], LABELS[:2])], [one]) == 0


def test_rows_are_compared_where_the_same_box_was_read() -> None:
    """A neighbour may overlap enough to match, and what is said of it is another thing."""
    reference, found = regions([0, 1, 2]), regions([0, 1, 2])
    found.proposals[0, 2] += 1
    found.logits[0, 2] += 5
    assert chosen_share(found, reference) == 1
    assert dense_error(found, reference) == 0


def test_a_score_that_is_no_number_matches_nothing() -> None:
    broken = Detections(BOXES, SCORES * math.nan, LABELS)
    assert matched_share([broken], [detections([0, 1, 2])]) == 0


@pytest.mark.parametrize("pairs", [2, 1 << 22])
def test_no_pair_that_may_be_the_same_is_left_out(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all pairs at once would tell, of which YOLO's 170,000 detections would take 200 GB."""
    monkeypatch.setattr(agreement, "PAIRS", pairs)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    corners = draw(100, 2) * 40
    boxes = torch.cat([corners, corners + draw(100, 2) * 20], dim=1)
    scores, labels = draw(100).round(decimals=1), (draw(100) * 3).long()
    one = Detections(boxes, scores, labels)
    other = Detections(boxes.flip(0) + draw(100, 4) * 0.3, scores.flip(0), labels.flip(0))
    near = (one.boxes[:, None] - other.boxes).abs().amax(dim=-1) <= 0.05
    same = ((iou(one.boxes, other.boxes) >= 0.9) | near) & (labels[:, None] == other.labels)
    same &= (scores[:, None] - other.scores).abs() <= 0.01
    found = torch.cat([*agreement._near(one, other)])[:, 1:].long().tolist()
    assert sorted(found) == same.nonzero().tolist()
    assert len(found) > 20
