"""Boxes as [..., 4] tensors: corners x1, y1, x2, y2 in pixels unless a name says otherwise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Variances = tuple[float, float]
"""Factors of the offsets to a prior's centre and to its size."""
SSD_VARIANCES: Variances = (0.1, 0.2)
"""As SSD's Caffe code has them."""


LARGEST_STRETCH = math.log(1000 / 16)
"""Offsets stretch a prior by no more than this (facebookresearch/Detectron): random weights would
overflow.
"""


def to_centres(boxes: Tensor) -> Tensor:
    """Corners to centre x, centre y, width, height."""
    return torch.cat(
        [(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=-1
    )


def to_corners(boxes: Tensor) -> Tensor:
    """Centre x, centre y, width, height to corners."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)


def decode(offsets: Tensor, priors: Tensor, variances: Variances = SSD_VARIANCES) -> Tensor:
    """Move priors [..., N, 4] by offsets in the centre-size code (Girshick et al., R-CNN, appendix
    C) to boxes.

    A side is stretched 62.5 times at most.
    """
    # Plain numbers for the variances: a list that is brought to a card has the host wait for it.
    shift, stretch = offsets.split(2, dim=-1)
    start, end = priors.split(2, dim=-1)
    size = end - start
    centre = (start + end) / 2 + shift * variances[0] * size
    half = size * (stretch * variances[1]).clamp(max=LARGEST_STRETCH).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def encode(boxes: Tensor, priors: Tensor, variances: Variances = SSD_VARIANCES) -> Tensor:
    """The offsets with which `decode` gives `boxes` from `priors`; both need positive sizes."""
    centre, size = to_centres(priors).split(2, dim=-1)
    to_centre, to_size = to_centres(boxes).split(2, dim=-1)
    shift, stretch = (to_centre - centre) / size, (to_size / size).log()
    return torch.cat([shift / variances[0], stretch / variances[1]], dim=-1)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes at the borders of an image of `size` (width, height)."""
    # Bounds are plain numbers, as in `decode`.
    across, down = boxes.unflatten(-1, (2, 2)).unbind(-1)
    return torch.stack([across.clamp(0, size[0]), down.clamp(0, size[1])], dim=-1).flatten(-2)


def scale(points: Tensor, across: float, down: float) -> Tensor:
    """Multiply points [..., x, y] or corners [..., x1, y1, x2, y2] along each axis."""
    if across == down:
        return points * across
    x, y = points.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([x * across, y * down], dim=-1).flatten(-2)


def area(boxes: Tensor) -> Tensor:
    """The area of each box: [..., 4] to [...]."""
    left, top, right, bottom = boxes.unbind(-1)
    return (right - left) * (bottom - top)


def shared(first: Tensor, second: Tensor) -> Tensor:
    """The area that every pair has in common: [..., N, 4] and [..., M, 4] to [..., N, M]."""
    left, top, right, bottom = first[..., :, None, :].unbind(-1)
    other_left, other_top, other_right, other_bottom = second[..., None, :, :].unbind(-1)
    across = torch.minimum(right, other_right).sub_(torch.maximum(left, other_left)).clamp_(min=0)
    down = torch.minimum(bottom, other_bottom).sub_(torch.maximum(top, other_top)).clamp_(min=0)
    return across.mul_(down)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every pair: [..., N, 4] and [..., M, 4] to [..., N, M]; 0/0 is
    NaN.
    """
    overlap = shared(first, second)
    areas = area(first)[..., :, None] + area(second)[..., None, :]
    return overlap.div_(areas.sub_(overlap))
