"""References of region pooling that loop over boxes, bins and samples."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

SIZE = (7, 10)
"""Height and width of a map in cells, odd and even, so that a swap of axes shows."""


STRIDE = 16


FRACTIONS = {
    "whole": (0.0, 0.0, 1.0, 1.0),
    "within": (0.25, 0.125, 0.75, 0.5),
    "point": (0.5, 0.5, 0.5, 0.5),
    "line": (0.25, 0.0, 0.25, 1.0),
    "corner": (1.0, 1.0, 1.0, 1.0),
    "across the border": (-0.4, 0.25, 0.55, 1.7),
    "touches from outside": (1.0, 0.0, 2.0, 1.0),
    "outside": (1.25, 1.5, 2.0, 3.0),
    "around": (-2.0, -1.0, 3.0, 2.0),
    "flipped": (0.75, 0.5, 0.25, 0.125),
}


def features(
    batch: int = 2, channels: int = 3, size: tuple[int, int] = SIZE, seed: int = 0
) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


UNIT = [1, 1]
"""An image of one pixel, whose boxes are shares of it."""


def fractions(batch: int = 2, drawn: int = 6, seed: int = 1) -> Tensor:
    """Draw boxes [B, P, 4] that reach past the image's borders, beside those that are named."""
    random = (
        torch.rand(batch, drawn, 2, 2, generator=torch.Generator().manual_seed(seed))
        .mul_(1.5)
        .sub_(0.25)
        .sort(dim=2)
        .values
    )
    named = torch.tensor(list(FRACTIONS.values())).expand(batch, -1, 4)
    return torch.cat([named, random.flatten(2)], dim=1)


def pixels(
    batch: int = 2,
    drawn: int = 6,
    size: tuple[int, int] = SIZE,
    stride: int = STRIDE,
    seed: int = 1,
) -> Tensor:
    """The same boxes in pixels; those that are drawn not at pixels."""
    return fractions(batch, drawn, seed) * torch.tensor([size[1], size[0]] * 2) * stride


def each_box(boxes: Tensor) -> list[tuple[int, list[float]]]:
    """Image and corners of each box, in the order of the output."""
    return [(image, box) for image, some in enumerate(boxes.tolist()) for box in some]


def bilinear(cells: list[list[float]], y: float, x: float) -> float:
    """The value at a place on the map."""
    total = 0.0
    for row, column in product(range(len(cells)), range(len(cells[0]))):
        total += cells[row][column] * max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
    return total


def sampled_or_zero(cells: list[list[float]], y: float, x: float) -> float:
    """TensorFlow's rule at the border."""
    return (
        bilinear(cells, y, x) if 0 <= y <= len(cells) - 1 and 0 <= x <= len(cells[0]) - 1 else 0.0
    )


def grid(low: float, high: float, samples: int, size: int) -> list[float]:
    """Where TensorFlow samples between two fractions of an axis."""
    if samples == 1:
        return [(low + high) / 2 * (size - 1)]
    return [
        low * (size - 1) + i * (high - low) * (size - 1) / (samples - 1) for i in range(samples)
    ]


def crop_by_loops(maps: Tensor, boxes: Tensor, side: int) -> Tensor:
    crops = []
    for image, (x1, y1, x2, y2) in each_box(boxes):
        rows, columns = grid(y1, y2, side, maps.shape[2]), grid(x1, x2, side, maps.shape[3])
        crops.append(
            [
                [[sampled_or_zero(cells, y, x) for x in columns] for y in rows]
                for cells in maps[image].tolist()
            ]
        )
    return torch.tensor(crops)


def align_by_loops(
    maps: list[Tensor], boxes: Tensor, strides: list[int], side: int, samples: int
) -> Tensor:
    crops = []
    for image, box in each_box(boxes):
        area = max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
        level = math.floor(4 + math.log2(math.sqrt(area) / 224 + 1e-6)) - round(
            math.log2(strides[0])
        )
        level = min(max(level, 0), len(maps) - 1)
        x1, y1, x2, y2 = (corner / strides[level] for corner in box)
        tall, wide = max(y2 - y1, 1) / side, max(x2 - x1, 1) / side
        height, width = maps[level].shape[2:]
        crop = torch.zeros(maps[0].shape[1], side, side)
        for channel, cells in enumerate(maps[level][image].tolist()):
            for i, j, p, q in product(range(side), range(side), range(samples), range(samples)):
                y, x = y1 + (i + (p + 0.5) / samples) * tall, x1 + (j + (q + 0.5) / samples) * wide
                if -1 <= y <= height and -1 <= x <= width:
                    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    crop[channel, i, j] += bilinear(cells, y, x) / samples**2
        crops.append(crop)
    return torch.stack(crops)


def sensitive_align_by_loops(
    maps: Tensor, boxes: Tensor, stride: int, bins: int, samples: int
) -> Tensor:
    crops = []
    height, width = maps.shape[2:]
    for image, box in each_box(boxes):
        x1, y1, x2, y2 = (corner / stride - 0.5 for corner in box)
        crop = torch.zeros(maps.shape[1] // bins**2, bins, bins)
        for c, i, j, p, q in product(*map(range, crop.shape), range(samples), range(samples)):
            y, x = (
                low + (n + (k + 0.5) / samples) * (high - low) / bins
                for low, high, n, k in ((y1, y2, i, p), (x1, x2, j, q))
            )
            if -1 <= y <= height and -1 <= x <= width:
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                crop[c, i, j] += (
                    bilinear(maps[image, (c * bins + i) * bins + j].tolist(), y, x) / samples**2
                )
        crops.append(crop)
    return torch.stack(crops)


def rounded(x: float) -> int:
    """As C rounds: halves away from 0."""
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)


def bin_of(j: int, bins: int, tenths: int, width: int, unit: int, size: int) -> range:
    """Cells of bin j of a box that begins at `tenths` and is `width` wide, both in tenths of which
    a cell has 10 * unit.
    """
    low = (tenths * bins + j * width) // (10 * unit * bins)
    high = -(-(tenths * bins + (j + 1) * width) // (10 * unit * bins))
    return range(min(max(low, 0), size), min(max(high, 0), size))


def max_by_loops(maps: Tensor, boxes: Tensor, stride: int, side: int) -> Tensor:
    crops = []
    for image, box in each_box(boxes):
        x1, y1, x2, y2 = (rounded(corner / stride) for corner in box)
        crop = torch.zeros(maps.shape[1], side, side)
        for channel, i, j in product(range(maps.shape[1]), range(side), range(side)):
            rows = bin_of(i, side, 10 * y1, 10 * max(y2 - y1 + 1, 1), 1, maps.shape[2])
            columns = bin_of(j, side, 10 * x1, 10 * max(x2 - x1 + 1, 1), 1, maps.shape[3])
            crop[channel, i, j] = max(
                (maps[image, channel, y, x].item() for y, x in product(rows, columns)), default=0.0
            )
        crops.append(crop)
    return torch.stack(crops)


def sensitive_crop_by_loops(maps: Tensor, boxes: Tensor, bins: int, samples: int) -> Tensor:
    channels = maps.shape[1] // bins**2
    scores = torch.zeros(*boxes.shape[:2], channels)
    for image, p, i, j in product(
        range(len(boxes)), range(boxes.shape[1]), range(bins), range(bins)
    ):
        x1, y1, x2, y2 = boxes[image, p].tolist()
        wide, tall = (x2 - x1) / bins, (y2 - y1) / bins
        part = torch.tensor(
            [x1 + j * wide, y1 + i * tall, x1 + (j + 1) * wide, y1 + (i + 1) * tall],
            dtype=torch.float64,
        )
        own = maps[image : image + 1, (i * bins + j) * channels : (i * bins + j + 1) * channels]
        scores[image, p] += (
            crop_by_loops(own, part.view(1, 1, 4), samples).mean(dim=(0, 2, 3)) / bins**2
        )
    return scores


def sensitive_pool_by_loops(maps: Tensor, boxes: Tensor, stride: int, bins: int) -> Tensor:
    channels = maps.shape[1] // bins**2
    scores = torch.zeros(*boxes.shape[:2], channels)
    for image, p, c in product(range(len(boxes)), range(boxes.shape[1]), range(channels)):
        x1, y1, x2, y2 = (rounded(corner) for corner in boxes[image, p].tolist())
        for i, j in product(range(bins), range(bins)):
            rows = bin_of(i, bins, 10 * y1, max(10 * (y2 + 1 - y1), stride), stride, maps.shape[2])
            columns = bin_of(
                j, bins, 10 * x1, max(10 * (x2 + 1 - x1), stride), stride, maps.shape[3]
            )
            if len(rows) and len(columns):
                cells = maps[
                    image,
                    (c * bins + i) * bins + j,
                    rows.start : rows.stop,
                    columns.start : columns.stop,
                ]
                scores[image, p, c] += cells.mean() / bins**2
    return scores


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
