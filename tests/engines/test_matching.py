"""Which detections are the same: cases of which the answer is known, and engines that are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import archbench
from archbench.engines import matching
from archbench.engines.matching import compare, compare_detections, match
from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import iou
from archbench.zoo.ops.nms import Selection

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 60], [5, 5, 50, 50]])
SCORES, LABELS = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2])


def detections(
    rows: list[int], *, shift: float = 0, score: float = 0, label: int = 0
) -> Detections:
    return Detections(BOXES[rows] + shift, SCORES[rows] + score, LABELS[rows] + label)


def matched_share(found: Sequence[Detections], reference: Sequence[Detections]) -> float | None:
    return compare(found, reference).share


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


def test_ties_are_chosen_by_the_last_digit() -> None:
    """Both keep three of four, whose scores are one, and considered all four."""
    boxes = torch.cat([BOXES, BOXES[:1] + 200])
    labels, scores = torch.zeros(4, dtype=torch.long), torch.tensor([1.0, 0.9999, 0.9999, 0.9999])
    every = [Detections(boxes, scores, labels)]

    def kept(rows: list[int], *, last: float = 0) -> list[Detections]:
        return [Detections(boxes[rows], scores[rows] - torch.tensor([0, 0, last]), labels[rows])]

    def share(found: list[Detections], among: list[Detections] = every) -> float | None:
        return compare(found, kept([0, 1, 2]), lambda _: (among, every)).share

    assert share(kept([0, 1, 3])) == 1
    assert compare(kept([0, 1, 3]), kept([0, 1, 2])).share == pytest.approx(2 / 3)
    assert share(kept([0, 1, 3], last=0.005)) == pytest.approx(2 / 3)
    assert share(kept([0, 1, 3], last=0.5)) == pytest.approx(2 / 3)
    assert share([Detections(boxes[:2], scores[:2], labels[:2])]) == pytest.approx(2 / 3)
    # The engine never had the third box, or eager never had the engine's.
    assert share(kept([0, 1, 3]), kept([0, 1, 3])) == pytest.approx(2 / 3)
    elsewhere = [Detections(boxes[:3] + 500, scores[:3], labels[:3])]
    assert share(elsewhere, [*elsewhere]) == 0


BROKEN: dict[str, Callable[[Detections], Detections]] = {
    "boxes off by a pixel": lambda d: replace(d, boxes=d.boxes + 1),
    "labels swapped": lambda d: replace(d, labels=1 - d.labels),
    "scores off": lambda d: replace(d, scores=d.scores - 0.02),
    "boxes without area": lambda d: replace(d, boxes=d.boxes[:, [0, 1, 0, 1]]),
    "corners swapped": lambda d: replace(d, boxes=d.boxes[:, [1, 0, 3, 2]]),
    "the first over and over": lambda d: replace(d, boxes=d.boxes[:1].expand(100, 4)),
    "half of an image": lambda d: Detections(d.boxes[:50], d.scores[:50], d.labels[:50]),
}


@pytest.mark.parametrize("thin", [10, 0.04], ids=["boxes", "slivers"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_engine_is_caught_where_every_score_is_the_same(
    broken: Callable[[Detections], Detections], thin: float
) -> None:
    """Whatever ties, and however thin boxes are: the rules for both excuse nothing of it."""
    corners = torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) * 300
    boxes = torch.cat([corners, corners + torch.tensor([20, thin])], dim=1)
    right = Detections(boxes, torch.ones(100), torch.arange(100) % 2)
    wrong = broken(right)
    assert compare([right], [right], lambda _: ([right], [right])).share == 1
    assert (compare([wrong], [right], lambda _: ([wrong], [right])).share or 0) <= 0.5


def test_one_box_missing_among_a_hundred_is_counted() -> None:
    boxes = torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) * 300
    boxes = torch.cat([boxes, boxes + 10], dim=1)
    right = Detections(boxes, torch.ones(100), torch.zeros(100))
    fewer = Detections(boxes[1:], torch.ones(99), torch.zeros(99))
    replaced = replace(right, boxes=torch.cat([boxes[:99], boxes[:1] + 400]))
    for wrong in (fewer, replaced):
        assert compare([wrong], [right], lambda _, w=wrong: ([w], [right])).share == 0.99


@pytest.mark.parametrize(
    ("backbone", "detector", "options"),
    [
        ("resnet18", "retinanet", {"size": 128}),
        pytest.param("vovnet39", "refinedet", {"size": 192}, marks=pytest.mark.slow),
        ("resnet18", "faster-rcnn-fpn", {"size": 128, "proposals": 20}),
    ],
)
def test_detectors_consider_whatever_they_choose(
    backbone: str, detector: str, options: dict[str, Any]
) -> None:
    """And boxes beside, of which no limit and no suppression takes any."""
    network = archbench.build(backbone, detector, **options)
    size = network.size
    with torch.inference_mode():
        raw = network(torch.randn(1, 3, size[1], size[0]))
        scene, _ = network.synthesize(raw, torch.Generator().manual_seed(0))
        (chosen,) = network.postprocess(scene)
        (considered,) = network.considered(scene, float(chosen.scores.min()) - 1e-6)
        (best,) = network.considered(scene, float(chosen.scores.median()))
    assert len(match(chosen, considered).found) == len(chosen) > 0
    assert len(considered) > len(best) > 0
    assert best.scores.min() > chosen.scores.median()


def test_of_very_many_candidates_the_best_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a limit allows and no others, and a wrong one of them is found."""
    monkeypatch.setattr(matching, "MOST_COMPARED", 500)
    torch.manual_seed(0)
    network = archbench.build("darknet-reference", "yolov3-tiny", size=64)
    with torch.inference_mode():
        raw = network(torch.randn(1, 3, 64, 64))
        noise = raw._replace(logits=raw.logits + 1e-4 * torch.randn(raw.logits.shape))
        shifted = raw._replace(offsets=raw.offsets + 0.5)
        fewer = raw._replace(objectness=raw.objectness.where(raw.objectness < 0, -9))
        every = len(network.postprocess(raw)[0])
        same = compare_detections(network, noise, raw)
        assert 300 < same.count == same.most <= 500 < every
        for wrong in (shifted, fewer):
            share = compare_detections(network, wrong, raw).share
            assert share is not None
            assert share < 0.9


class Plain:
    """A detector of boxes and scores as they are."""

    def __init__(self) -> None:
        self.selection = Selection(score=0.01, iou=0.45, per_image=20)
        self.looked_at: list[int] = []

    def scores(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        return raw[1]

    def postprocess(self, raw: tuple[Tensor, Tensor]) -> list[Detections]:
        self.looked_at.append(int((raw[1] > self.selection.score).sum()))
        return self.selection(*raw, (100, 100))


@pytest.mark.parametrize(("most", "looked_at"), [(100, [99, 99]), (21, [20, 20, 600, 600])])
def test_the_best_candidates_stand_for_all_where_they_fill_an_image(
    most: int, looked_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all are looked at where they do not: the outcome is that of all."""
    draw = torch.Generator().manual_seed(0)
    corners = 80 * torch.rand(1, 300, 2, generator=draw)
    boxes = torch.cat([corners, corners + 20], dim=-1)
    scores = 0.02 + torch.rand(1, 300, 2, generator=draw)
    moved = boxes + 3 * (torch.rand(1, 300, 1, generator=draw) < 0.3)
    of_all = compare_detections(Plain(), (moved, scores), (boxes, scores))
    assert 0 < of_all.count < of_all.most == 20
    monkeypatch.setattr(matching, "MOST_COMPARED", most)
    network = Plain()
    assert compare_detections(network, (moved, scores), (boxes, scores)) == of_all
    assert network.looked_at == looked_at


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


def test_a_score_that_is_no_number_matches_nothing() -> None:
    broken = Detections(BOXES, SCORES * math.nan, LABELS)
    assert matched_share([broken], [detections([0, 1, 2])]) == 0


@pytest.mark.parametrize("pairs", [2, 1 << 22])
def test_no_pair_that_may_be_the_same_is_left_out(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all pairs at once would tell, of which YOLO's 170,000 detections would take 200 GB."""
    monkeypatch.setattr(matching, "PAIRS", pairs)
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
    found = torch.cat([*matching._near(one, other)])[:, 1:].long().tolist()
    assert sorted(found) == same.nonzero().tolist()
    assert len(found) > 20
