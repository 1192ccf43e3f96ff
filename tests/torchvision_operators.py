"""Stand-ins for torchvision's compiled operators, which load only beside the torch that they were
compiled for; without them torchvision does not even import. They are enough for a count: boxes are
suppressed as they should be, pooled regions are zeros.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
import torch
from torch import Tensor


def _suppressed(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order = scores.argsort(descending=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        order = order[shared <= threshold * (areas[best] + areas[order] - shared)]
    return torch.stack(kept) if kept else order


def _pooled(source: Tensor, regions: Tensor, scale: float, height: int, width: int, *_: Any) -> Any:
    return source.new_zeros(len(regions), source.shape[1], height, width)


SUPPRESSES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
OPERATORS = {
    "nms": (SUPPRESSES, _suppressed),
    "qnms": (SUPPRESSES, _suppressed),
    "roi_align": (
        "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor",
        _pooled,
    ),
}
declared: list[torch.library.Library] = []
"""What is declared lasts as long as this holds it."""


def torchvision_or_skip() -> Any:
    """Import torchvision, with its own operators where they load."""
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name, (schema, function) in OPERATORS.items():
            library.define(name + schema)
            library.impl(name, function, "CPU")
        declared.append(library)
    torchvision = importlib.import_module("torchvision")
    for module in ("extension", "ops.roi_align"):
        sys.modules[f"torchvision.{module}"]._has_ops = lambda: True
    return torchvision
