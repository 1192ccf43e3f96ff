"""What detectors without anchors share, which find objects as peaks of heatmaps: heads,
preparation, the drawing of the load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Preparation
from archbench.zoo.layers import ConvNormReLU, chain
from archbench.zoo.ops import load
from archbench.zoo.ops.load import Objects, heatmap, to_cells

PREPARATION = Preparation(
    order="bgr",
    mean=(0.40789654, 0.44719302, 0.47026115),
    std=(0.28863828, 0.27408164, 0.27809835),
    # Theirs pad all sides, and test at a picture's own size.
    resize="fit",
)
"""What CornerNet and CenterNet do to pictures (princeton-vl/CornerNet, xingyizhou/CenterNet)."""
RARE = -2.19
"""The initial bias of heatmaps, with which hardly any cell fires."""
PEAKS = 100


def predictor(
    c_in: int, width: int, outputs: int, *, depth: int = 1, bias: float = 0.0
) -> nn.Sequential:
    """A head: `depth` 3x3 with ReLU to `width` channels and a 1x1 to the `outputs`, all with a
    bias; the last bias begins at `bias`.
    """
    last = nn.Conv2d(width, outputs, 1)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return chain(
        *(ConvNormReLU(width if i else c_in, width, 3, norm=None) for i in range(depth)), last
    )


def draw_objects(
    raw: Tensor, *, size: tuple[int, int], generator: torch.Generator
) -> list[tuple[Objects, Tensor, Tensor]]:
    """Draw the objects of each image for heatmaps like `raw` [B, C, H, W], with their centres'
    cells [N, 2] and the heatmap's logits.
    """
    _, classes, rows, columns = raw.shape
    drawn = []
    for _ in raw:
        seen = load.objects(size=size, classes=classes, generator=generator)
        centres = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
        heat = heatmap(
            centres, seen, size=size, cells=(columns, rows), classes=classes, generator=generator
        )
        drawn.append(
            (seen, to_cells(centres, size=size, cells=(columns, rows)), heat.logit(eps=1e-6))
        )
    return drawn
