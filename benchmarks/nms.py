"""Time non-maximum suppression on the CPU: ours against the plain greedy loop, both exact.

    python benchmarks/nms.py

Random boxes of a side from 1/16 to 1/2 of the image, scores uniform. "groups" are classes that do
not suppress one another. The greedy loop is what a reader would write: take the best box, drop what
overlaps it, go on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from archbench.zoo.ops.boxes import iou, to_corners
from archbench.zoo.ops.nms import nms

THRESHOLD = 0.45
ROUNDS = 5


def greedy(boxes: Tensor, scores: Tensor, groups: Tensor) -> Tensor:
    """Suppress box by box."""
    kept = torch.zeros(len(boxes), dtype=torch.bool)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for index in scores.argsort(descending=True, stable=True).tolist():
        if alive[index]:
            kept[index] = True
            overlaps = iou(boxes[index][None], boxes)[0] > THRESHOLD
            alive &= ~(overlaps & (groups == groups[index]))
    return kept


def scene(count: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw boxes, scores and groups."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(count, 2, generator=generator)
    sides = torch.exp(
        torch.log(torch.tensor(1 / 16))
        + torch.rand(count, 2, generator=generator) * torch.log(torch.tensor(8.0))
    )
    boxes = to_corners(torch.cat([centres, sides], dim=1))
    return (
        boxes,
        torch.rand(count, generator=generator),
        torch.randint(groups, (count,), generator=generator),
    )


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
    """Print a row for each scene."""
    print(f"{'boxes':>7} {'groups':>7} {'kept':>6} {'ours ms':>9} {'loop ms':>9} {'ratio':>6}")
    for count, groups in ((300, 1), (1000, 1), (5000, 1), (1000, 80), (5000, 80), (20_000, 80)):
        boxes, scores, labels = scene(count, groups)
        kept = nms(boxes, scores, labels, THRESHOLD)
        assert torch.equal(kept, greedy(boxes, scores, labels))
        ours = median_ms(lambda: nms(boxes, scores, labels, THRESHOLD))  # noqa: B023
        loop = median_ms(lambda: greedy(boxes, scores, labels))  # noqa: B023
        print(
            f"{count:>7} {groups:>7} {int(kept.sum()):>6} {ours:>9.2f} {loop:>9.1f} "
            f"{loop / ours:>6.0f}"
        )


if __name__ == "__main__":
    main()
