"""Boxes as [..., 4] tensors: corners x1, y1, x2, y2 in pixels unless a name says otherwise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SSD_VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Scale of the offsets to a prior's centre (2) and size (2), as SSD's Caffe code has them."""


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


def decode(
    offsets: Tensor, priors: Tensor, variances: tuple[float, float, float, float] = SSD_VARIANCES
) -> Tensor:
    """Move priors [..., N, 4] by offsets in the centre-size code (Girshick et al., R-CNN, appendix
    C) to boxes.

    A side is stretched 62.5 times at most.
    """
    scale = offsets.new_tensor(variances)
    centred = to_centres(priors)
    shift, stretch = (offsets * scale).split(2, dim=-1)
    centre, size = centred.split(2, dim=-1)
    return to_corners(
        torch.cat([centre + shift * size, size * stretch.clamp(max=LARGEST_STRETCH).exp()], dim=-1)
    )


def encode(
    boxes: Tensor, priors: Tensor, variances: tuple[float, float, float, float] = SSD_VARIANCES
) -> Tensor:
    """The offsets with which `decode` gives `boxes` from `priors`; both need positive sizes."""
    centre, size = to_centres(priors).split(2, dim=-1)
    to_centre, to_size = to_centres(boxes).split(2, dim=-1)
    return torch.cat(
        [(to_centre - centre) / size, (to_size / size).log()], dim=-1
    ) / boxes.new_tensor(variances)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes at the borders of an image of `size` (width, height)."""
    width, height = size
    return torch.stack(
        [
            boxes[..., 0].clamp(0, width),
            boxes[..., 1].clamp(0, height),
            boxes[..., 2].clamp(0, width),
            boxes[..., 3].clamp(0, height),
        ],
        dim=-1,
    )


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every pair: [..., N, 4] and [..., M, 4] to [..., N, M]; 0/0 is
    NaN.
    """
    left, top, right, bottom = first[..., :, None, :].unbind(-1)
    other_left, other_top, other_right, other_bottom = second[..., None, :, :].unbind(-1)
    across = torch.minimum(right, other_right).sub_(torch.maximum(left, other_left)).clamp_(min=0)
    down = torch.minimum(bottom, other_bottom).sub_(torch.maximum(top, other_top)).clamp_(min=0)
    overlap = across.mul_(down)
    area, other_area = (
        (right - left) * (bottom - top),
        (other_right - other_left) * (other_bottom - other_top),
    )
    return overlap.div_((area + other_area).sub_(overlap))
