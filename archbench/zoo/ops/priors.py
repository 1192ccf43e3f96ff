"""Default boxes (anchors, priors) on a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from archbench.zoo.ops.boxes import clip, to_corners


def grid_priors(
    cells: tuple[int, int],
    stride: float | tuple[float, float],
    shapes: Sequence[tuple[float, float]],
) -> Tensor:
    """Centre each shape (width, height in pixels) on each cell of a map of `cells` (columns, rows):
    [cells * shapes, 4].

    The order is row, column, shape; centres are at (index + 0.5) * stride (one, or one along x and
    one along y), corners are not clipped. Where torch's default device is the meta device there is
    nothing but the shape.
    """
    columns, rows = cells
    if torch.get_default_device().type == "meta":
        return torch.empty(columns * rows * len(shapes), 4)
    along_x, along_y = stride if isinstance(stride, tuple) else (stride, stride)
    y, x = torch.meshgrid(
        (torch.arange(rows) + 0.5) * along_y, (torch.arange(columns) + 0.5) * along_x, indexing="ij"
    )
    centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
    sizes = torch.tensor(shapes, dtype=centres.dtype).expand(len(centres), -1, 2)
    return to_corners(torch.cat([centres, sizes], dim=-1)).reshape(-1, 4)


class Priors(nn.Module):
    """Default boxes [N, 4], those of all maps end to end, that move with their network and stay
    fp32: bf16 has 8 bits for a pixel.

    Boxes are cut at the border of an image of the size `within` (width, height), if any.
    """

    def __init__(self, maps: Sequence[Tensor], *, within: tuple[int, int] | None = None) -> None:
        super().__init__()
        if maps[0].is_meta:
            # On the meta device torch.cat and clamp would load torch's compiler.
            boxes = torch.empty(sum(map(len, maps)), 4, device="meta")
        else:
            boxes = torch.cat([*maps])
            boxes = clip(boxes, within) if within else boxes
        self.boxes = nn.Buffer(boxes, persistent=False)

    def __len__(self) -> int:
        return len(self.boxes)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Priors:
        # nn.Module casts buffers as it does weights.
        exact = self.boxes
        super()._apply(fn, recurse)
        if self.boxes.dtype != exact.dtype:
            self.boxes = nn.Buffer(exact.to(self.boxes.device), persistent=False)
        return self
