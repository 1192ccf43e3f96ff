"""Boxes: forms, the centre-size code, clipping, overlap."""

from __future__ import annotations

import math

import torch

from archbench.zoo.ops.boxes import clip, decode, encode, iou, to_centres, to_corners


def random_boxes(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(*shape, 2, generator=generator) * 100
    return torch.cat([corner, corner + 1 + torch.rand(*shape, 2, generator=generator) * 50], dim=-1)


def test_corners_and_centres_are_inverse() -> None:
    assert to_centres(torch.tensor([2.0, 4.0, 6.0, 14.0])).tolist() == [4.0, 9.0, 4.0, 10.0]
    boxes = random_boxes(3, 50)
    torch.testing.assert_close(to_corners(to_centres(boxes)), boxes)


def test_decode_by_hand() -> None:
    """A prior of 10 x 20 centred at (5, 10): moved by 0.1 * 1 * 10 and 0.1 * 2 * 20, its width
    doubled by exp(0.2 * 5 ln 2).
    """
    prior = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    offsets = torch.tensor([[1.0, 2.0, 5 * math.log(2), 0.0]])
    torch.testing.assert_close(decode(offsets, prior), torch.tensor([[-4.0, 4.0, 16.0, 24.0]]))


def test_no_offset_keeps_the_prior() -> None:
    priors = random_boxes(50)
    torch.testing.assert_close(decode(torch.zeros(2, 50, 4), priors), priors.expand(2, 50, 4))


def test_encode_and_decode_are_inverse() -> None:
    boxes, priors = random_boxes(2, 100, seed=1), random_boxes(100, seed=2)
    torch.testing.assert_close(decode(encode(boxes, priors), priors), boxes)
    variances = (0.5, 2.0)
    torch.testing.assert_close(decode(encode(boxes, priors, variances), priors, variances), boxes)


def test_boxes_are_cut_at_the_image() -> None:
    assert clip(
        torch.tensor([[-5.0, -6.0, 700.0, 500.0], [1.0, 2.0, 3.0, 4.0]]), (640, 480)
    ).tolist() == [[0, 0, 640, 480], [1, 2, 3, 4]]


def test_overlap_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    second = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
    torch.testing.assert_close(
        iou(first, second), torch.tensor([[1 / 7, 1.0, 0.0], [0.0, 0.0, 0.0]])
    )


def test_the_overlap_of_nothing_with_nothing_is_no_number() -> None:
    point = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    assert iou(point, point).isnan().all()
    assert iou(point, torch.tensor([[0.0, 0.0, 2.0, 2.0]])).item() == 0
