"""Time region pooling on the CPU: ours against loops over boxes, equal in what they give.

    python benchmarks/regions.py

Boxes have corners uniform in the image. The crops and the maximum read a map of 1024 channels, 38 x
38 cells, RoIAlign a pyramid of 256 channels of an image of 1344 x 800 at strides 4 to 32, the
position-sensitive kinds 7 x 7 bins of 91 classes, 38 x 38 cells. The loops are what a reader would
write: a call of torch's own sampling or pooling for each box.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from archbench.zoo.ops.regions import (
    crop_and_resize,
    position_sensitive_crop,
    position_sensitive_pool,
    roi_align,
    roi_pool,
)

ROUNDS = 3
STRIDE, CELLS, CHANNELS, CROP = 16, 38, 1024, 14
IMAGE = [CELLS * STRIDE, CELLS * STRIDE]
PYRAMID, PYRAMID_SIZE, PYRAMID_CHANNELS = [4, 8, 16, 32], (800, 1344), 256
SIDE, SAMPLES = 7, 2
BINS, BIN_SAMPLES, CLASSES = 7, 3, 91

Case = tuple[str, Callable[[], Tensor], Callable[[], Tensor]]


def sample(maps: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Bilinear values of maps [N, C, H, W] at the places rows [N, h] x columns [N, w], in cells."""
    height, width = maps.shape[2:]
    x, y = columns * 2 / (width - 1) - 1, rows * 2 / (height - 1) - 1
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=True)


def crops_by_loop(features: Tensor, boxes: Tensor) -> Tensor:
    """Sample each box from corner to corner."""
    steps = torch.linspace(0, 1, CROP)
    places = [
        (x1 + steps * (x2 - x1), y1 + steps * (y2 - y1))
        for x1, y1, x2, y2 in (boxes[0] * (CELLS - 1)).unbind()
    ]
    return torch.cat([sample(features, x[None], y[None]) for x, y in places])


def aligned_by_loop(maps: list[Tensor], boxes: Tensor) -> Tensor:
    """Sample each box from the map of its size, then average bins."""
    steps = (torch.arange(SIDE * SAMPLES) + 0.5) / SAMPLES / SIDE
    crops = []
    for box in boxes[0]:
        area = (box[2] - box[0]) * (box[3] - box[1])
        level = int((2 + torch.log2(area.sqrt() / 224 + 1e-6)).floor().clamp(0, 3))
        x1, y1, x2, y2 = box / PYRAMID[level]
        x, y = x1 + steps * (x2 - x1).clamp(min=1), y1 + steps * (y2 - y1).clamp(min=1)
        crops.append(F.avg_pool2d(sample(maps[level], x[None], y[None]), SAMPLES))
    return torch.cat(crops)


def maxima_by_loop(features: Tensor, boxes: Tensor) -> Tensor:
    """Cut out each box, then pool it."""
    crops = []
    for x1, y1, x2, y2 in (boxes[0] / STRIDE).round().int().tolist():
        crops.append(
            F.adaptive_max_pool2d(features[:, :, y1 : max(y1, y2) + 1, x1 : max(x1, x2) + 1], SIDE)
        )
    return torch.cat(crops)


def sensitive_crops_by_loop(features: Tensor, boxes: Tensor) -> Tensor:
    """Sample each box's bins, as many maps."""
    maps = features.view(BINS**2, CLASSES, CELLS, CELLS)
    steps = (torch.arange(BINS)[:, None] + torch.linspace(0, 1, BIN_SAMPLES)) / BINS
    rows, columns = steps.repeat_interleave(BINS, 0), steps.repeat(BINS, 1)
    scores = []
    for x1, y1, x2, y2 in (boxes[0] * (CELLS - 1)).unbind():
        scores.append(
            sample(maps, x1 + columns * (x2 - x1), y1 + rows * (y2 - y1)).mean(dim=(0, 2, 3))
        )
    return torch.stack(scores)[None]


def sensitive_means_by_loop(features: Tensor, boxes: Tensor) -> Tensor:
    """Average each box's bins one by one."""
    maps = features.view(CLASSES, BINS, BINS, CELLS, CELLS)
    scores = torch.zeros(1, boxes.shape[1], CLASSES)
    for box, (x1, y1, x2, y2) in enumerate(boxes[0].round().int().tolist()):
        wide, tall = max(10 * (x2 + 1 - x1), STRIDE), max(10 * (y2 + 1 - y1), STRIDE)
        unit = 10 * STRIDE * BINS
        edges = [
            [
                (
                    (10 * start * BINS + j * size) // unit,
                    -(-(10 * start * BINS + (j + 1) * size) // unit),
                )
                for j in range(BINS)
            ]
            for start, size in ((y1, tall), (x1, wide))
        ]
        for i, (top, bottom) in enumerate(edges[0]):
            for j, (left, right) in enumerate(edges[1]):
                scores[0, box] += maps[:, i, j, top:bottom, left:right].mean(dim=(1, 2))
    return scores / BINS**2


def cases(count: int) -> list[Case]:
    """The operators on random features, each with its loop."""
    torch.manual_seed(0)
    boxes = torch.rand(1, count, 2, 2).sort(dim=2).values.flatten(2)
    features = torch.randn(1, CHANNELS, CELLS, CELLS)
    maps = [
        torch.randn(1, PYRAMID_CHANNELS, PYRAMID_SIZE[0] // stride, PYRAMID_SIZE[1] // stride)
        for stride in PYRAMID
    ]
    sensitive = torch.randn(1, BINS**2 * CLASSES, CELLS, CELLS)
    pixels = boxes * (CELLS - 1) * STRIDE
    # No point past the last cell's centre, where what lies beyond would be cut off by the loop's
    # sampling as well.
    wide = boxes * (torch.tensor([PYRAMID_SIZE[1], PYRAMID_SIZE[0]] * 2) - PYRAMID[-1])
    return [
        (
            "crop_and_resize",
            lambda: crop_and_resize(features, pixels, IMAGE, CROP),
            lambda: crops_by_loop(features, pixels / IMAGE[0]),
        ),
        (
            "roi_align",
            lambda: roi_align(maps, wide, PYRAMID, SIDE, SAMPLES),
            lambda: aligned_by_loop(maps, wide),
        ),
        (
            "roi_pool",
            lambda: roi_pool(features, pixels, STRIDE, SIDE),
            lambda: maxima_by_loop(features, pixels),
        ),
        (
            "position_sensitive_crop",
            lambda: position_sensitive_crop(sensitive, pixels, IMAGE, BINS, BIN_SAMPLES),
            lambda: sensitive_crops_by_loop(sensitive, pixels / IMAGE[0]),
        ),
        (
            "position_sensitive_pool",
            lambda: position_sensitive_pool(sensitive, pixels, STRIDE, BINS),
            lambda: sensitive_means_by_loop(sensitive, pixels),
        ),
    ]


def median_ms(call: Callable[[], Tensor]) -> float:
    """Median of some calls after one to warm up."""
    call()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Print a row for each operator and number of boxes."""
    print(
        f"{'operator':<24} {'boxes':>6} {'ours ms':>9} {'loop ms':>9} {'ratio':>6} "
        f"{'output MB':>10}"
    )
    for count in (300, 1000):
        for name, ours, loop in cases(count):
            found = ours()
            torch.testing.assert_close(found, loop(), atol=1e-4, rtol=1e-4)
            size = found.nbytes / 1e6
            del found
            fast, slow = median_ms(ours), median_ms(loop)
            print(
                f"{name:<24} {count:>6} {fast:>9.1f} {slow:>9.1f} {slow / fast:>6.1f} {size:>10.1f}"
            )


if __name__ == "__main__":
    main()
