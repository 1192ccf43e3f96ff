"""How far two outputs agree: cases of which the answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from archbench.engines.agreement import chosen_share, dense_error
from archbench.zoo.detectors.base.two_stage import RegionPredictions
from archbench.zoo.detectors.mask_rcnn import MaskPredictions

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 60], [5, 5, 50, 50]])
SCORES, LABELS = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2])


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


def test_a_network_that_chooses_other_boxes_for_the_most_part_is_another_one() -> None:
    """Whatever it says of the few that are the same."""
    boxes = BOXES + torch.tensor([[0.0], [100], [100]])
    found, reference = regions([0, 1, 2], boxes=boxes), regions([0, 1, 2])
    assert chosen_share(found, reference) == pytest.approx(1 / 3)
    assert dense_error(found, reference) == math.inf


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


def test_what_is_said_may_differ_by_how_far_boxes_are_apart() -> None:
    """No further: an engine whose boxes are all a little off finds no shelter in that."""
    reference, found = regions([0, 1, 2]), regions([0, 1, 2])
    found.proposals[0] += torch.tensor([[0.004], [0.01], [0.02]])
    for row, times in enumerate((1, 2, 4)):
        wrong = found._replace(logits=found.logits.clone())
        wrong.logits[0, row] += 5
        assert chosen_share(wrong, reference) == 1
        assert dense_error(wrong, reference) == pytest.approx(5 / 11 / times, rel=1e-3)
    found.logits[0, 2] = math.inf
    assert dense_error(found, reference) == math.inf
    reference.logits[0, 2] = math.inf
    assert dense_error(found, reference) == 0


def test_wrong_rows_of_the_same_boxes_are_seen() -> None:
    """As of regions that are read from another level, or half a cell beside."""
    reference, found = regions([0, 1, 2]), regions([0, 1, 2])
    found.logits[0, 1] += 0.5
    assert dense_error(found, reference) == pytest.approx(0.5 / 11)
