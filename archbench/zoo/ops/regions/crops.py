"""Parts of maps at a fixed size with all their channels: crop and resize, RoIAlign, RoI pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor

from archbench.zoo.ops.regions.arguments import (
    check_counts,
    check_strides,
    corners_as_shares,
    corners_of,
    crops_for,
    image_of_each,
)
from archbench.zoo.ops.regions.taps import (
    Taps,
    as_rows,
    bin_edges,
    fractions_of,
    held_at_once,
    paired,
    pool_into,
    rounded,
    steps_of,
    taps_between,
    taps_in_bins,
)

CANONICAL_LEVEL, CANONICAL_SIDE = 4, 224
"""The pyramid's level for a box of an ImageNet picture's side (Lin et al., FPN, Eq. 1)."""


@torch.library.custom_op("archbench::crop_and_resize", mutates_args=())
def crop_and_resize(features: Tensor, boxes: Tensor, size: Sequence[int], side: int) -> Tensor:
    """Sample boxes bilinearly on a grid from corner to corner: maps [B, C, H, W] to crops [B*P, C,
    side, side].

    TensorFlow's tf.image.crop_and_resize, for boxes in pixels of an image of `size` (width,
    height), whose shares of it are y1 to y2: sample i of a crop lies at y1 * (H - 1) + i * (y2 -
    y1) * (H - 1) / (side - 1), that of a crop of side 1 at the middle; beyond the centres of the
    outer cells is 0. A box that ends with the image ends at the last cell, where TensorFlow's
    rounding may lose it.
    """
    out = crops_for([features], boxes, side)
    height, width = features.shape[2:]
    left, top, right, bottom = corners_as_shares(boxes, size)
    fractions = fractions_of(side, boxes.device)[:, None]
    rows, columns = (
        taps_between(top, bottom, fractions, height),
        taps_between(left, right, fractions, width),
    )
    pool_into(
        as_rows([features]),
        paired(image_of_each(boxes) * height * width, width, rows, columns),
        out,
    )
    return out


@crop_and_resize.register_fake
def _(features: Tensor, boxes: Tensor, size: Sequence[int], side: int) -> Tensor:
    return crops_for([features], boxes, side)


@torch.library.custom_op("archbench::roi_align", mutates_args=())
def roi_align(
    maps: list[Tensor], boxes: Tensor, strides: list[int], side: int, samples: int
) -> Tensor:
    """Average samples x samples bilinear points in each of side x side bins: maps [B, C, H, W] to
    [B*P, C, side, side].

    RoIAlign (He et al., Mask R-CNN, section 3) of boxes in pixels in its first form, torchvision's
    `aligned=False`: a box is at least a cell wide and high, a point beyond -1 or beyond the map's
    size is 0, one nearer is moved to the border. Of several maps, each of twice the stride of the
    one before, a box reads that of level floor(4 + log2(sqrt(area) / 224 + 1e-6)) or the nearest
    there is (Lin et al., FPN, Eq. 1); a map of stride s is level log2(s).
    """
    check_strides(maps, strides, samples)
    out = crops_for(maps, boxes, side)
    left, top, right, bottom = corners_of(boxes)
    area = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    level = (
        CANONICAL_LEVEL + (area.sqrt() / CANONICAL_SIDE + 1e-6).log2()
    ).floor().nan_to_num() - log2(strides[0])
    level = level.clamp(0, len(maps) - 1)
    images = image_of_each(boxes)
    scale, first, height, width = (
        torch.zeros_like(left),
        *(torch.zeros_like(images) for _ in range(3)),
    )
    cells = 0
    for number, (features, stride) in enumerate(zip(maps, strides, strict=True)):
        own, (batch, _, rows, columns) = level == number, features.shape
        scale = torch.where(own, 1 / stride, scale)
        height, width = torch.where(own, rows, height), torch.where(own, columns, width)
        first = torch.where(own, cells + images * rows * columns, first)
        cells += batch * rows * columns
    steps = steps_of(side, samples, boxes.device)
    down = taps_in_bins(top * scale, bottom * scale, steps / side, height)
    across = taps_in_bins(left * scale, right * scale, steps / side, width)
    taps = paired(first, width, down, across)
    pool_into(as_rows(maps), Taps(taps.cells, taps.weights / samples**2), out)
    return out


@roi_align.register_fake
def _(maps: list[Tensor], boxes: Tensor, strides: list[int], side: int, samples: int) -> Tensor:
    check_strides(maps, strides, samples)
    return crops_for(maps, boxes, side)


@torch.library.custom_op("archbench::roi_pool", mutates_args=())
def roi_pool(features: Tensor, boxes: Tensor, stride: int, side: int) -> Tensor:
    """Take the maximum in each of side x side bins of boxes in pixels: [B, C, H, W] to [B*P, C,
    side, side].

    Girshick, Fast R-CNN, section 2.1, as its Caffe layer and torchvision have it: corners are
    rounded to cells, a box of cells x1 to x2 is w = max(x2 - x1 + 1, 1) wide, bin j covers the
    cells from floor(j * w / side) to before ceil((j + 1) * w / side), cut at the map's border, and
    an empty bin is 0. Bins are exact: Caffe's fp32 gives some, such as the last of 7 in a width of
    57, a cell more.
    """
    check_counts(stride)
    out = crops_for([features], boxes, side)
    batch, channels, height, width = features.shape
    left, top, right, bottom = (rounded(corner * (1 / stride)) for corner in corners_of(boxes))
    down = bin_edges(top * side, (bottom - top + 1).clamp(min=1), side, side, height)
    across = bin_edges(left * side, (right - left + 1).clamp(min=1), side, side, width)
    index = window_index(down, across, height, width).view(4, batch, -1)
    empty = ((down[1] <= down[0])[:, :, None] | (across[1] <= across[0])[:, None]).view(
        batch, -1, 1
    )
    held = height.bit_length() * width.bit_length() * height * width + 2 * empty[0].numel()
    step = max(1, held_at_once(features) // held)
    for image, crops in enumerate(out.unflatten(0, (batch, -1))):
        for some in range(0, channels if crops.numel() else 0, step):
            table = window_maxima(features[image, some : some + step])
            best = table.index_select(0, index[0, image])
            for corner in index[1:, image]:
                torch.maximum(best, table.index_select(0, corner), out=best)
            best.masked_fill_(empty[image], 0)
            crops[:, some : some + step] = best.view(-1, side, side, best.shape[1]).permute(
                0, 3, 1, 2
            )
    return out


@roi_pool.register_fake
def _(features: Tensor, boxes: Tensor, stride: int, side: int) -> Tensor:
    check_counts(stride)
    return crops_for([features], boxes, side)


def window_maxima(features: Tensor) -> Tensor:
    """Tabulate maxima of [C, H, W] over windows of sides 2^a and 2^b from each cell on, as rows [a,
    b, H, W] of channels.

    Windows that reach past the map are left as they are: none is looked up.
    """
    channels, height, width = features.shape
    table = features.new_empty(height.bit_length(), width.bit_length(), height, width, channels)
    table[0, 0] = features.permute(1, 2, 0)
    for power in range(1, width.bit_length()):
        half, count = 1 << (power - 1), width - (1 << power) + 1
        narrow = table[0, power - 1]
        torch.maximum(
            narrow[:, :count], narrow[:, half : half + count], out=table[0, power, :, :count]
        )
    for power in range(1, height.bit_length()):
        half, count = 1 << (power - 1), height - (1 << power) + 1
        low = table[power - 1]
        torch.maximum(low[:, :count], low[:, half : half + count], out=table[power, :, :count])
    return table.view(-1, channels)


def window_index(
    down: tuple[Tensor, Tensor], across: tuple[Tensor, Tensor], height: int, width: int
) -> Tensor:
    """Find the rows [4, M * n * n] of the table of window maxima whose windows together are the
    rectangles of bins [M, n] each way.
    """
    tall, rows = _windows(*down, height)
    wide, columns = _windows(*across, width)
    plane = (tall * width.bit_length())[:, :, None] + wide[:, None]
    index = [
        (plane * height + row[:, :, None]) * width + column[:, None]
        for row in rows
        for column in columns
    ]
    return torch.stack(index).flatten(1)


def _windows(low: Tensor, high: Tensor, size: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The power of two of the two windows that cover the cells from `low` to before `high`, and
    where they start.
    """
    extent = (high - low).clamp(min=1)
    # Half a cell more keeps a rounding from changing the power.
    power = (extent + 0.5).log2().long()
    low = low.clamp(max=size - 1)
    return power, (low, low + extent - (1 << power))
