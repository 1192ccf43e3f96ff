"""The arguments of region pooling: checks, corners of boxes, and room for the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def crops_for(maps: list[Tensor], boxes: Tensor, side: int, channels: int = 0) -> Tensor:
    """Check the arguments and allocate crops [B*P, C, side, side] in the maps' memory format, of
    their channels if no other number is given.
    """
    check_counts(side)
    _check(maps, boxes)
    last = all(
        features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()
        for features in maps
    )
    return torch.empty(
        (boxes.shape[0] * boxes.shape[1], channels or maps[0].shape[1], side, side),
        dtype=maps[0].dtype,
        device=maps[0].device,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )


def scores_for(features: Tensor, boxes: Tensor, bins: int, samples: int = 1) -> Tensor:
    """Check the arguments and allocate scores [B, P, C]."""
    check_counts(bins, samples)
    _check([features], boxes)
    if features.shape[1] % bins**2:
        raise ValueError(f"{features.shape[1]} channels are no multiple of {bins} x {bins} bins")
    return features.new_empty(boxes.shape[0], boxes.shape[1], features.shape[1] // bins**2)


def aligned_for(features: Tensor, boxes: Tensor, stride: int, bins: int, samples: int) -> Tensor:
    """Check the arguments and allocate crops [B*P, C, bins, bins]."""
    check_counts(stride)
    return crops_for([features], boxes, bins, scores_for(features, boxes, bins, samples).shape[-1])


def _check(maps: list[Tensor], boxes: Tensor) -> None:
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ValueError(f"boxes must be [B, P, 4], not {list(boxes.shape)}")
    for features in maps:
        if (
            features.ndim != 4
            or features.shape[0] != boxes.shape[0]
            or features.shape[1] != maps[0].shape[1]
        ):
            raise ValueError(
                f"features must be [B, C, H, W], B as of boxes {list(boxes.shape)}, not "
                f"{list(features.shape)}"
            )


def check_counts(*counts: int) -> None:
    """Raise ValueError for a count below 1."""
    if min(counts) < 1:
        raise ValueError("side, samples, bins and stride must be at least 1")


def check_strides(maps: list[Tensor], strides: list[int], samples: int) -> None:
    """Raise ValueError for strides that are not a pyramid's: one a map, doubling."""
    if len(maps) != len(strides) or not maps:
        raise ValueError(f"{len(maps)} maps need as many strides, at least one, not {len(strides)}")
    check_counts(samples, *strides)
    if any(2 * stride != following for stride, following in pairwise(strides)):
        raise ValueError(f"strides must double from map to map, not {strides}")


def corners_of(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the corners x1, y1, x2, y2 of boxes [B, P, 4], each [B*P, 1] in fp32."""
    left, top, right, bottom = boxes.float().reshape(-1, 4, 1).unbind(1)
    return left, top, right, bottom


def corners_as_shares(boxes: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the corners of boxes [B, P, 4] as shares of an image of `size` (width, height), each
    [B*P, 1] in fp32.
    """
    left, top, right, bottom = corners_of(boxes)
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


def image_of_each(boxes: Tensor) -> Tensor:
    """Give the image of each box, [B*P, 1]."""
    return (
        torch.arange(boxes.shape[0], device=boxes.device)[:, None]
        .expand(boxes.shape[:2])
        .reshape(-1, 1)
    )
