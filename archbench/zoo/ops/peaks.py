"""Peaks of heatmaps, which detectors without anchors take for objects or for their corners."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from archbench.zoo.contracts import Detections
from archbench.zoo.ops.boxes import clip


class Peaks(NamedTuple):
    """The best peaks of each image, best first, all [B, K]: scores, labels, and cells, row by row
    from 0, of maps of so many columns.
    """

    scores: Tensor
    labels: Tensor
    cells: Tensor
    width: int

    def places(self) -> Tensor:
        """Columns and rows, [B, K, 2]."""
        return torch.stack([self.cells % self.width, self.cells // self.width], dim=-1)

    def read(self, values: Tensor) -> Tensor:
        """What maps [B, n, H, W] hold at the peaks, [B, K, n], in fp32."""
        return (
            values.flatten(2)
            .gather(2, self.cells[:, None].expand(-1, values.shape[1], -1))
            .float()
            .transpose(1, 2)
        )


def find_peaks(logits: Tensor, count: int) -> Peaks:
    """Find the best `count` cells, over all classes, that none of their eight neighbours exceeds:
    logits [B, C, H, W] to peaks.

    Scores are sigmoids, in fp32. A map of fewer cells gives all of them, those that are no peak
    with a score of 0.
    """
    scores = logits.float().sigmoid()
    scores = scores * (F.max_pool2d(scores, 3, 1, 1) == scores)
    best, index = scores.flatten(1).topk(min(count, scores[0].numel()))
    height, width = scores.shape[2:]
    return Peaks(best, index // (height * width), index % (height * width), width)


def detect_peaks(
    boxes: Tensor, peaks: Peaks, size: tuple[int, int], *, score: float
) -> list[Detections]:
    """Take the peaks above `score` for detections: their boxes [B, K, 4], cut at the border of an
    image of `size`, with an area.
    """
    boxes = clip(boxes, size)
    kept = (peaks.scores > score) & (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    # Sorted to the front, so that the host waits for their numbers alone.
    order = kept.sort(dim=1, descending=True, stable=True).indices
    boxes = boxes.gather(1, order[..., None].expand_as(boxes))
    scores, labels = peaks.scores.gather(1, order), peaks.labels.gather(1, order)
    return [
        Detections(*(values[image, :count] for values in (boxes, scores, labels)))
        for image, count in enumerate(kept.sum(dim=1).tolist())
    ]
