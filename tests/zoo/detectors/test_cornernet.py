"""CornerNet: pooling, pairing, heads, both stacks in training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import archbench
from archbench.zoo.backbones.hourglass import hourglass
from archbench.zoo.detectors.cornernet import (
    ALIKE,
    CornerNet,
    Corners,
    Predictions,
    corner_pool,
    pair_corners,
)
from archbench.zoo.ops.peaks import Peaks


def test_corner_pooling_is_the_maximum_of_what_lies_beyond() -> None:
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    for i, j in torch.cartesian_prod(torch.arange(6), torch.arange(5)).tolist():
        torch.testing.assert_close(corner_pool(x, 2, "top left")[..., i, j], x[..., i:, j].amax(-1))
        torch.testing.assert_close(corner_pool(x, 3, "top left")[..., i, j], x[..., i, j:].amax(-1))
        torch.testing.assert_close(
            corner_pool(x, 2, "bottom right")[..., i, j], x[..., : i + 1, j].amax(-1)
        )
        torch.testing.assert_close(
            corner_pool(x, 3, "bottom right")[..., i, j], x[..., i, : j + 1].amax(-1)
        )


def test_corner_pooling_by_hand() -> None:
    x = torch.tensor([[[[2.0, 1.0, 3.0, 0.0, 2.0]]]])
    assert corner_pool(x, 3, "top left").flatten().tolist() == [3, 3, 3, 2, 2]
    assert corner_pool(x, 3, "bottom right").flatten().tolist() == [2, 2, 3, 3, 3]


def drawn(seed: int) -> tuple[Peaks, Tensor, Tensor]:
    """Corners of two images: peaks, places in pixels and embeddings."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (2, 9), generator=generator)
    cells = torch.zeros(2, 9).long()
    places, embeddings = (
        torch.rand((2, 9, 2), generator=generator) * 20,
        torch.rand((2, 9, 1), generator=generator) * 2,
    )
    return Peaks(torch.rand((2, 9), generator=generator), labels, cells, 1), places, embeddings


def test_pairs_are_those_of_the_loops() -> None:
    (first, start, left), (second, end, right) = drawn(0), drawn(1)
    boxes, scores = pair_corners([first, second], [start, end], [left, right])
    kept = 0
    for image in range(2):
        for a in range(9):
            for b in range(9):
                alike = abs(float(left[image, a] - right[image, b])) <= ALIKE
                fits = (
                    first.labels[image, a] == second.labels[image, b]
                    and alike
                    and bool((start[image, a] <= end[image, b]).all())
                )
                score = (
                    (first.scores[image, a] + second.scores[image, b]) / 2
                    if fits
                    else torch.tensor(0.0)
                )
                kept += fits
                torch.testing.assert_close(scores[image, 9 * a + b], score)
                torch.testing.assert_close(
                    boxes[image, 9 * a + b], torch.cat([start[image, a], end[image, b]])
                )
    assert 5 < kept < 80


def network() -> CornerNet:
    backbone = hourglass(
        stem=8, channels=[8, 8, 12], blocks=[1, 2, 1], stacks=2, taps=["stack1", "stack2"]
    )
    return CornerNet(backbone, size=(63, 47), classes=3).eval()


def corner(places: dict[tuple[int, int, int], float], embedding: float) -> Corners:
    heat = torch.full((1, 3, 12, 16), -9.0)
    for (label, row, column), score in places.items():
        heat[0, label, row, column] = torch.tensor(score).logit()
    return Corners(heat, torch.full((1, 1, 12, 16), embedding), torch.full((1, 2, 12, 16), 0.25))


def test_a_pair_of_corners_is_a_box() -> None:
    """Cells are 63 / 16 pixels wide and 47 / 12 high, offsets a quarter of them."""
    detector = network()
    raw = Predictions(corner({(1, 2, 3): 0.9}, 4.0), corner({(1, 8, 9): 0.7}, 4.3))
    (found,) = detector.postprocess(raw)
    torch.testing.assert_close(
        found.boxes[:1],
        torch.tensor([[3.25 * 63 / 16, 2.25 * 47 / 12, 9.25 * 63 / 16, 8.25 * 47 / 12]]),
    )
    torch.testing.assert_close(found.scores[:1], torch.tensor([0.8]))
    assert found.labels[0] == 1
    apart, turned = (
        raw._replace(bottom_right=corner({(1, 8, 9): 0.7}, 4.6)),
        Predictions(raw.bottom_right, raw.top_left),
    )
    for none in (apart, turned, raw._replace(bottom_right=corner({(2, 8, 9): 0.7}, 4.0))):
        assert all(one.scores.max() < 0.5 for one in detector.postprocess(none) if len(one))


def test_only_the_last_stack_s_heads_run_unless_it_is_trained() -> None:
    detector = network()
    images = torch.randn(2, 3, 47, 63, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = detector(images)
        assert isinstance(one, Predictions)
        assert [tuple(m.shape) for m in one.top_left] == [
            (2, 3, 12, 16),
            (2, 1, 12, 16),
            (2, 2, 12, 16),
        ]
        several = detector.train()(images)
    assert [type(each) for each in several] == [Predictions, Predictions]
    report = archbench.cost("hourglass104", "cornernet")
    heads = [call for call in report.calls if call.path.startswith("heads.")]
    assert {call.path.split(".")[1] for call in heads} == {"1"}
    assert report.macs + sum(call.macs for call in heads) == 452_316_364_800
    assert (len(report.calls), len(report.calls) + len(heads)) == (182, 204)


def test_every_stack_learns() -> None:
    detector = network().train()
    made = detector(torch.randn(2, 3, 47, 63))
    sum(m.square().mean() for stack in made for kind in stack for m in kind).backward()
    assert all(parameter.grad is not None for parameter in detector.parameters())


@pytest.mark.parametrize(
    ("part", "params"),
    [
        ("backbone.stem", 938_112),
        ("backbone.stack1.made", 92_134_400 + 590_336),
        ("backbone.join1", 2 * 66_048 + 1_180_672),
        ("heads.0.top_left.heat", 610_640),
        ("heads.0.top_left.embeddings", 590_337),
        ("heads.0.top_left.offsets", 590_594),
        ("heads.0.top_left", 1_542_144 + 610_640 + 590_337 + 590_594),
    ],
)
def test_parts_have_the_parameters_of_the_sheet(part: str, params: int) -> None:
    """other-detectors.md, section 1."""
    built = archbench.build("hourglass104", "cornernet", device="meta")
    assert sum(parameter.numel() for parameter in built.get_submodule(part).parameters()) == params
