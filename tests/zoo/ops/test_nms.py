"""Non-maximum suppression and selection against references that loop over boxes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from archbench.zoo.ops import nms as module
from archbench.zoo.ops.boxes import clip, iou
from archbench.zoo.ops.nms import ELSEWHERE, PACES, Pace, Selection, Soft, nms, soft_nms

Case = tuple[Tensor, Tensor, Tensor]
BLOCK = PACES["cpu"].block


@pytest.fixture(params=[PACES["cpu"], ELSEWHERE], ids=["cpu", "card"], autouse=True)
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is said of suppression holds at a card's pace as well."""
    monkeypatch.setitem(module.PACES, "cpu", request.param)


def greedy(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Take boxes best first, ties in the order of the input, and drop what a kept one of the group
    overlaps too much.
    """
    suppresses = ((iou(boxes, boxes) > threshold) & (groups[:, None] == groups)).tolist()
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        if not any(suppresses[j][i] for j in kept):
            kept.append(i)
    mask = torch.zeros(len(boxes), dtype=torch.bool)
    mask[kept] = True
    return mask


def random_case(
    n: int, *, groups: int = 1, levels: int = 20, spread: float = 40, seed: int = 0
) -> Case:
    """Draw boxes, a tenth of them without area, scores of a few values so that many tie, and
    groups.
    """
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * spread
    sides = torch.rand(n, 2, generator=generator) * 20 + 5
    sides[torch.rand(n, generator=generator) < 0.1] = 0
    scores = torch.randint(levels, (n,), generator=generator) / levels
    return (
        torch.cat([corner, corner + sides], dim=1),
        scores,
        torch.randint(groups, (n,), generator=generator),
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "groups"), [(1, 1), (2, 1), (60, 1), (200, 3), (200, 60)])
def test_it_is_the_greedy_suppression(n: int, groups: int, seed: int, threshold: float) -> None:
    case = random_case(n, groups=groups, seed=seed)
    assert torch.equal(nms(*case, threshold), greedy(*case, threshold))


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 100])
def test_it_is_the_greedy_suppression_across_blocks(n: int) -> None:
    case = random_case(n, spread=n / 4)
    expected = greedy(*case, 0.45)
    assert 0.1 < expected.float().mean() < 0.9
    assert torch.equal(nms(*case, 0.45), expected)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize(("block", "pairs"), [(1, 1 << 24), (7, 1 << 24), (256, 1), (8, 300)])
def test_the_answer_does_not_depend_on_how_it_is_cut(
    block: int, pairs: int, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of a group and chunks of groups, which only bound the memory."""
    monkeypatch.setitem(module.PACES, "cpu", Pace(block, rounds=3, taken=2, counts=counts))
    monkeypatch.setattr(module, "PAIRS", pairs)
    case = random_case(150, groups=9)
    assert torch.equal(nms(*case, 0.4), greedy(*case, 0.4))


@pytest.mark.parametrize("n", [10, 300])
def test_in_a_chain_every_second_box_survives(n: int) -> None:
    """Each box overlaps the next only, so whether one is kept hangs on all before it."""
    start = torch.arange(n) * 4.0
    boxes = torch.stack([start, torch.zeros(n), start + 10, torch.ones(n)], dim=1)
    kept = nms(boxes, torch.arange(n, 0, -1.0), torch.zeros(n, dtype=torch.long), 0.4)
    assert kept.tolist() == [i % 2 == 0 for i in range(n)]


def test_equal_boxes_of_equal_score_leave_the_first() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(5, 1)
    assert nms(boxes, torch.full((5,), 0.5), torch.tensor([1, 0, 1, 0, 0]), 0.5).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_an_overlap_at_the_threshold_is_kept() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    scores, groups = torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.long)
    assert nms(boxes, scores, groups, 0.5).tolist() == [True, True]
    assert nms(boxes, scores, groups, 0.49).tolist() == [True, False]


def test_boxes_without_area_suppress_nothing() -> None:
    boxes = torch.tensor([[1.0, 1.0, 1.0, 1.0]] * 3 + [[0.0, 0.0, 2.0, 2.0]])
    assert nms(
        boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.long), 0.0
    ).all()


def test_nothing_gives_nothing() -> None:
    kept = nms(torch.empty(0, 4), torch.empty(0), torch.empty(0, dtype=torch.long), 0.5)
    assert (kept.shape, kept.dtype) == ((0,), torch.bool)


def test_on_the_meta_device_it_has_its_shape() -> None:
    kept = nms(
        torch.empty(7, 4, device="meta"),
        torch.empty(7, device="meta"),
        torch.empty(7, dtype=torch.long, device="meta"),
        0.5,
    )
    assert (kept.shape, kept.dtype, kept.device.type) == ((7,), torch.bool, "meta")


def test_torch_accepts_the_operator() -> None:
    torch.library.opcheck(
        nms, (*random_case(20, groups=2), 0.5), test_utils=("test_schema", "test_faketensor")
    )


def soft_by_loops(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, sigma: float, floor: float
) -> Tensor:
    """Take the best box, lower what overlaps it, and so on (Bodla et al., Figure 3)."""
    left = {i: score for i, score in enumerate(scores.tolist()) if score > 0}
    out = torch.zeros_like(scores)
    overlaps = iou(boxes, boxes).nan_to_num()
    while left:
        best = max(left, key=lambda i: left[i])
        out[best] = left.pop(best)
        for i in [i for i in left if groups[i] == groups[best]]:
            overlap = overlaps[best, i].item()
            decay = (
                math.exp(-(overlap**2) / sigma)
                if sigma
                else 1 - overlap
                if overlap > threshold
                else 1.0
            )
            left[i] *= decay
            if decay < 1 and left[i] < floor:
                del left[i]
    return out


def distinct_case(n: int, *, groups: int = 1, seed: int = 0) -> Case:
    boxes, _, group = random_case(n, groups=groups, seed=seed)
    return boxes, torch.rand(n, generator=torch.Generator().manual_seed(seed + 99)), group


@pytest.mark.parametrize(("threshold", "sigma"), [(0.45, 0.0), (0.0, 0.0), (0.5, 0.5), (0.3, 0.1)])
@pytest.mark.parametrize(("n", "groups", "seed"), [(1, 1, 0), (40, 1, 1), (120, 3, 2), (60, 40, 3)])
def test_soft_suppression_is_that_of_the_loops(
    n: int, groups: int, seed: int, threshold: float, sigma: float
) -> None:
    case = distinct_case(n, groups=groups, seed=seed)
    for floor in (0.001, 0.2):
        torch.testing.assert_close(
            soft_nms(*case, threshold, sigma, floor), soft_by_loops(*case, threshold, sigma, floor)
        )


def test_soft_suppression_by_hand() -> None:
    """The second box overlaps the first by a half, the third the second alone, by a third."""
    boxes = torch.tensor([[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0]])
    scores, groups = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0, 0, 1])
    torch.testing.assert_close(
        soft_nms(boxes, scores, groups, 0.3, 0.0, 0.001), torch.tensor([0.9, 0.4, 0.1])
    )
    torch.testing.assert_close(soft_nms(boxes, scores, groups, 0.5, 0.0, 0.001), scores)
    torch.testing.assert_close(
        soft_nms(boxes, scores, groups, 0.3, 0.0, 0.5), torch.tensor([0.9, 0.0, 0.1])
    )
    torch.testing.assert_close(
        soft_nms(boxes, scores, groups, 0.3, 0.5, 0.001),
        torch.tensor([0.9, 0.8 * math.exp(-0.5), 0.1]),
    )
    torch.testing.assert_close(
        soft_nms(boxes, scores, groups * 0, 0.3, 0.0, 0.001)[2], torch.tensor(0.05 * 2 / 3)
    )


@pytest.mark.parametrize("limit", [1, 5, 500])
def test_a_limit_leaves_the_best_softly_suppressed_of_each_group(limit: int) -> None:
    case = distinct_case(200, groups=3)
    whole, limited = soft_nms(*case, 0.4, 0.5, 0.001), soft_nms(*case, 0.4, 0.5, 0.001, limit)
    for group in range(3):
        own = case[2] == group
        kept = whole[own].topk(min(limit, int(own.sum())))
        torch.testing.assert_close(
            limited[own], torch.zeros_like(whole[own]).scatter(0, kept.indices, kept.values)
        )


def test_torch_accepts_soft_suppression() -> None:
    torch.library.opcheck(
        soft_nms,
        (*distinct_case(20, groups=2), 0.5, 0.5, 0.001),
        test_utils=("test_schema", "test_faketensor"),
    )
    assert soft_nms(
        torch.empty(0, 4), torch.empty(0), torch.empty(0, dtype=torch.long), 0.5, 0.0, 0.001
    ).shape == (0,)


def test_a_soft_selection_orders_by_the_lowered_scores() -> None:
    boxes = torch.tensor([[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 3.0, 1.0], [6.0, 0.0, 9.0, 1.0]])
    scores = torch.tensor([[0.9], [0.8], [0.5]])
    (found,) = Selection(0.1, 0.5, per_image=2, soft=Soft())(boxes[None], scores[None], (10, 10))
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.5]))
    assert found.boxes.tolist() == boxes[[0, 2]].tolist()


def select(
    boxes: Tensor, scores: Tensor, size: tuple[int, int], how: Selection
) -> list[tuple[list[float], float, int]]:
    """Select from one image's boxes [N, 4] and scores [N, C], loop by loop."""
    found = []
    boxes = clip(boxes, size) if how.clip_first else boxes
    for label in range(scores.shape[1]):
        score = scores[:, label].tolist()
        best = sorted(
            (i for i in range(len(boxes)) if score[i] > how.score), key=lambda i: -score[i]
        )[: how.candidates]
        mask = greedy(boxes[best], scores[best, label], torch.zeros(len(best)), how.iou)
        survivors = [i for i, kept in zip(best, mask, strict=True) if kept][: how.per_class]
        clipped = [(clip(boxes[i], size).tolist(), score[i], label) for i in survivors]
        found += [one for one in clipped if one[0][2] > one[0][0] and one[0][3] > one[0][1]]
    return sorted(found, key=lambda one: -one[1])[: how.per_image]


@pytest.mark.parametrize(
    "how",
    [
        Selection(0.3, 0.45, 500),
        Selection(0.3, 0.45, 500, candidates=5),
        Selection(0.3, 0.7, 9),
        Selection(0.3, 0.45, 500, per_class=3),
        Selection(0.0, 0.2, 12, candidates=7, per_class=4),
        Selection(0.0, 0.2, 12, candidates=7, per_class=4, clip_first=True),
    ],
    ids=["nothing binds", "candidates", "per image", "per class", "all", "clipped first"],
)
@pytest.mark.parametrize("seed", range(3))
def test_selection_is_that_of_the_loops(how: Selection, seed: int) -> None:
    size = (50, 45)
    boxes = torch.stack([random_case(80, seed=2 * seed + image)[0] - 5 for image in range(2)])
    scores = torch.randint(8, (2, 80, 4), generator=torch.Generator().manual_seed(seed)) / 8
    found = how(boxes, scores, size)
    for image in range(2):
        expected = select(boxes[image], scores[image], size, how)
        assert len(found[image]) == len(expected)
        assert (
            list(
                zip(
                    found[image].boxes.tolist(),
                    found[image].scores.tolist(),
                    found[image].labels.tolist(),
                    strict=True,
                )
            )
            == expected
        )


def test_a_class_may_have_boxes_of_its_own() -> None:
    scores = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0))
    boxes = torch.stack(
        [
            torch.stack([random_case(30, seed=3 * image + label)[0] for label in range(3)], dim=1)
            for image in range(2)
        ]
    )
    how = Selection(0.2, 0.4, 500)
    found = how(boxes, scores, (50, 45))
    for image in range(2):
        for label in range(3):
            only = torch.zeros_like(scores)
            only[image, :, label] = scores[image, :, label]
            alone = how(boxes[:, :, label], only, (50, 45))[image]
            chosen = found[image].labels == label
            assert torch.equal(found[image].boxes[chosen], alone.boxes)
            assert torch.equal(found[image].scores[chosen], alone.scores)


@pytest.mark.parametrize("limit", [1, 7, 300, 1000])
def test_a_limit_keeps_the_best_survivors_of_each_group(limit: int) -> None:
    boxes, scores, groups = random_case(1500, groups=3)
    kept, best = nms(boxes, scores, groups, 0.6), nms(boxes, scores, groups, 0.6, limit)
    for group in range(3):
        whole, limited = (
            scores[mask & (groups == group)].sort(descending=True).values for mask in (kept, best)
        )
        assert torch.equal(limited, whole[:limit])


def test_an_image_without_candidates_has_no_detections() -> None:
    how = Selection(0.5, 0.5, 10)
    scores = torch.zeros(3, 4, 2)
    scores[1, 2, 1] = 0.9
    found = how(torch.tensor([0.0, 0.0, 5.0, 5.0]).expand(3, 4, 4), scores, (10, 10))
    assert [len(one) for one in found] == [0, 1, 0]
    assert (found[1].boxes.tolist(), found[1].labels.tolist()) == ([[0, 0, 5, 5]], [1])
    assert [len(one) for one in how(torch.empty(2, 0, 4), torch.empty(2, 0, 3), (10, 10))] == [0, 0]
