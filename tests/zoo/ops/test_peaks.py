"""Peaks of heatmaps against loops over their cells."""

from __future__ import annotations

import torch
from torch import Tensor

from archbench.zoo.ops.peaks import Peaks, detect_peaks, find_peaks


def by_loops(scores: Tensor, count: int) -> list[tuple[float, int, int, int]]:
    """The best cells of one image's [C, H, W] that no neighbour exceeds: score, class, row,
    column.
    """
    found = []
    for label, row, column in torch.cartesian_prod(*map(torch.arange, scores.shape)).tolist():
        around = scores[label, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if scores[label, row, column] == around.max():
            found.append((float(scores[label, row, column]), label, row, column))
    return sorted(found, reverse=True)[:count]


def test_peaks_are_those_of_the_loops() -> None:
    logits = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    peaks = find_peaks(logits, 12)
    for image, scores in enumerate(logits.sigmoid()):
        columns, rows = peaks.places()[image].unbind(-1)
        found = (peaks.scores[image], peaks.labels[image], rows, columns)
        assert [*zip(*(values.tolist() for values in found), strict=True)] == by_loops(scores, 12)


def test_equal_neighbours_are_both_peaks() -> None:
    logits = torch.full((1, 1, 3, 4), -9.0)
    logits[0, 0, 1, 1:3] = 2.0
    peaks = find_peaks(logits, 2)
    assert sorted(peaks.places()[0].tolist()) == [[1, 1], [2, 1]]


def test_a_small_map_gives_what_it_has() -> None:
    logits = torch.tensor([[[[3.0, 1.0], [2.0, 0.0]]]])
    peaks = find_peaks(logits.bfloat16(), 100)
    assert peaks.scores.shape == (1, 4)
    assert peaks.scores.dtype == torch.float32
    assert peaks.scores[0, 1:].tolist() == [0, 0, 0]


def test_values_are_read_at_the_peaks() -> None:
    values = torch.arange(24.0).view(1, 2, 3, 4)
    peaks = Peaks(torch.ones(1, 2), torch.zeros(1, 2).long(), torch.tensor([[9, 3]]), 4)
    assert peaks.read(values).tolist() == [[[9.0, 21.0], [3.0, 15.0]]]


def test_detections_are_cut_at_the_border_and_have_an_area() -> None:
    boxes = torch.tensor([[[-5.0, 2.0, 4.0, 9.0], [12.0, 1.0, 15.0, 4.0], [1.0, 1.0, 2.0, 2.0]]])
    cells = torch.zeros(1, 3).long()
    peaks = Peaks(torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[3, 1, 0]]), cells, 1)
    (found,) = detect_peaks(boxes, peaks, (10, 8), score=0.1)
    assert (found.boxes.tolist(), found.labels.tolist()) == ([[0.0, 2.0, 4.0, 8.0]], [3])
