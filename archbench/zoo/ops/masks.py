"""Masks in the pixels of an image."""

from __future__ import annotations

import torch
from torch import Tensor

THRESHOLD = 0.5
PIXELS_ON_CPU, PIXELS_ELSEWHERE = 1 << 22, 1 << 26
"""Pixels interpolated at a time, which bounds the memory: few on the CPU, where they stay in a
cache, many where launches cost.
"""


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Lay masks [N, S, S], probabilities inside boxes [N, 4], on an image of `size` (width,
    height): booleans [N, H, W].

    A mask is interpolated bilinearly between the centres of its cells and fades to nothing beyond
    the outermost; a pixel is taken at its centre and belongs to the mask from 0.5 on. Interpolation
    is separable, so it is two matrix products.
    """
    width, height = size
    pasted = torch.empty(len(masks), height, width, dtype=torch.bool, device=masks.device)
    pixels = PIXELS_ON_CPU if masks.device.type == "cpu" else PIXELS_ELSEWHERE
    some = max(1, pixels // (width * height))
    for own, place, out in zip(
        masks.split(some), boxes.split(some), pasted.split(some), strict=True
    ):
        down = _weights(place[:, 1], place[:, 3], height, own.shape[-2])
        across = _weights(place[:, 0], place[:, 2], width, own.shape[-1]).mT.contiguous()
        torch.ge(down @ own @ across, THRESHOLD, out=out)
    return pasted


def _weights(start: Tensor, end: Tensor, pixels: int, cells: int) -> Tensor:
    """The weight of each cell of masks that span `start` to `end` [N] in each pixel of a line: [N,
    pixels, cells].
    """
    centre = torch.arange(pixels, device=start.device) + 0.5
    scale = cells / (end - start).clamp(min=1e-6)
    place = (centre - start[:, None]) * scale[:, None] - 0.5
    return (1 - (place[..., None] - torch.arange(cells, device=start.device)).abs()).clamp_(min=0)
