"""Region pooling in plain torch: a box's part of a feature map at a fixed size, on every device,
without a loop over boxes.

What is sampled or averaged is a weighted sum of cells: a map is laid out as rows of channels, one a
cell, and `embedding_bag` sums the rows of all boxes in one pass, so that nothing of the size
samples x channels is ever held. A maximum over a rectangle is that of four windows whose sides are
powers of two, which are tabulated.

Boxes are [B, P, 4]: P for each image of the batch, and box p of image b is crop b * P + p.
Coordinates and weights are fp32, sums at least fp32, the output has the features' dtype and memory
format. What reaches past the map counts as each paper's code has it; coordinates that are no number
give 0. There is no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log2
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

HELD_ON_CPU, HELD_ELSEWHERE = 1 << 22, 1 << 26
"""Elements of intermediate results at a time: few on the CPU, where a cache serves them, many where
launches cost.
"""
FAR = 1 << 20
"""Cells or pixels beyond which a box may end just as well, so that integers made of coordinates do
not overflow.
"""
CANONICAL_LEVEL, CANONICAL_SIDE = 4, 224
"""The pyramid's level for a box of an ImageNet picture's side (Lin et al., FPN, Eq. 1)."""


class Taps(NamedTuple):
    """Cells to sum and their weights, both [M, ..., k]: k for each output of M boxes."""

    cells: Tensor
    weights: Tensor


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
    out = _crops([features], boxes, side)
    height, width = features.shape[2:]
    left, top, right, bottom = _shares(boxes, size)
    fractions = _fractions(side, boxes.device)[:, None]
    rows, columns = (
        _between(top, bottom, fractions, height),
        _between(left, right, fractions, width),
    )
    _pool(_rows([features]), _paired(_images(boxes) * height * width, width, rows, columns), out)
    return out


@crop_and_resize.register_fake
def _(features: Tensor, boxes: Tensor, size: Sequence[int], side: int) -> Tensor:
    return _crops([features], boxes, side)


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
    _check_strides(maps, strides, samples)
    out = _crops(maps, boxes, side)
    left, top, right, bottom = _corners(boxes)
    area = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    level = (
        CANONICAL_LEVEL + (area.sqrt() / CANONICAL_SIDE + 1e-6).log2()
    ).floor().nan_to_num() - log2(strides[0])
    level = level.clamp(0, len(maps) - 1)
    images = _images(boxes)
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
    steps = _steps(side, samples, boxes.device)
    down = _in_bins(top * scale, bottom * scale, steps / side, height)
    across = _in_bins(left * scale, right * scale, steps / side, width)
    taps = _paired(first, width, down, across)
    _pool(_rows(maps), Taps(taps.cells, taps.weights / samples**2), out)
    return out


@roi_align.register_fake
def _(maps: list[Tensor], boxes: Tensor, strides: list[int], side: int, samples: int) -> Tensor:
    _check_strides(maps, strides, samples)
    return _crops(maps, boxes, side)


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
    _check_counts(stride)
    out = _crops([features], boxes, side)
    batch, channels, height, width = features.shape
    left, top, right, bottom = (_rounded(corner * (1 / stride)) for corner in _corners(boxes))
    down = _bins(top * side, (bottom - top + 1).clamp(min=1), side, side, height)
    across = _bins(left * side, (right - left + 1).clamp(min=1), side, side, width)
    index = _window_index(down, across, height, width).view(4, batch, -1)
    empty = ((down[1] <= down[0])[:, :, None] | (across[1] <= across[0])[:, None]).view(
        batch, -1, 1
    )
    held = height.bit_length() * width.bit_length() * height * width + 2 * empty[0].numel()
    step = max(1, _held(features) // held)
    for image, crops in enumerate(out.unflatten(0, (batch, -1))):
        for some in range(0, channels if crops.numel() else 0, step):
            table = _window_maxima(features[image, some : some + step])
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
    _check_counts(stride)
    return _crops([features], boxes, side)


@torch.library.custom_op("archbench::position_sensitive_crop", mutates_args=())
def position_sensitive_crop(
    features: Tensor, boxes: Tensor, size: Sequence[int], bins: int, samples: int
) -> Tensor:
    """Average bins, each sampled from channels of its own, of boxes in pixels: [B, bins*bins*C, H,
    W] to scores [B, P, C].

    R-FCN's pooling (Dai et al., Eq. 1) as TensorFlow's object detection samples it: a box is cut
    into bins x bins equal boxes, that of row i and column j is cropped to samples x samples as by
    `crop_and_resize` from channels (i * bins + j) * C and after, and all is averaged.
    """
    out = _scores(features, boxes, bins, samples)
    height, width = features.shape[2:]
    left, top, right, bottom = _shares(boxes, size)
    edges = torch.linspace(0, 1, bins + 1, device=boxes.device)[:, None]
    fractions = torch.lerp(edges[:-1], edges[1:], _fractions(samples, boxes.device))
    rows, columns = (
        _between(top, bottom, fractions, height),
        _between(left, right, fractions, width),
    )
    taps = _paired(_images(boxes) * height * width, width, rows, columns)
    index = taps.cells * bins**2 + torch.arange(bins**2, device=boxes.device).view(bins, bins, 1)
    table = _rows([features]).view(-1, out.shape[-1])
    out.copy_(
        _sums(
            table, Taps(index.flatten(1), taps.weights.flatten(1) / (bins * samples) ** 2)
        ).view_as(out)
    )
    return out


@position_sensitive_crop.register_fake
def _(features: Tensor, boxes: Tensor, size: Sequence[int], bins: int, samples: int) -> Tensor:
    return _scores(features, boxes, bins, samples)


@torch.library.custom_op("archbench::position_sensitive_align", mutates_args=())
def position_sensitive_align(
    features: Tensor, boxes: Tensor, stride: int, bins: int, samples: int
) -> Tensor:
    """Average samples x samples bilinear points in each bin, of its own channels: [B, C*bins*bins,
    H, W] to crops [B*P, C, bins, bins].

    Light-Head R-CNN's pooling (Li et al.) of boxes in pixels, as torchvision's ps_roi_align has it:
    half a cell is taken off a box's corners, a point beyond -1 or beyond the map's size is 0, one
    nearer is moved to the border. The bin of row i and column j reads channel (c * bins + i) * bins
    + j.
    """
    out = _aligned(features, boxes, stride, bins, samples)
    batch, _, height, width = features.shape
    left, top, right, bottom = (corner * (1 / stride) - 0.5 for corner in _corners(boxes))
    fractions = _steps(bins, samples, boxes.device) / bins
    images = _images(boxes)
    down = _in_bins(top, bottom, fractions, torch.full_like(images, height), least=-torch.inf)
    across = _in_bins(left, right, fractions, torch.full_like(images, width), least=-torch.inf)
    taps = _paired(images * height * width, width, down, across)
    index = taps.cells * bins**2 + torch.arange(bins**2, device=boxes.device).view(bins, bins, 1)
    table = (
        features.view(batch, -1, bins**2, height, width)
        .permute(0, 3, 4, 2, 1)
        .reshape(-1, out.shape[1])
    )
    _pool(
        table.to(torch.promote_types(table.dtype, torch.float32)),
        Taps(index, taps.weights / samples**2),
        out,
    )
    return out


@position_sensitive_align.register_fake
def _(features: Tensor, boxes: Tensor, stride: int, bins: int, samples: int) -> Tensor:
    return _aligned(features, boxes, stride, bins, samples)


@torch.library.custom_op("archbench::position_sensitive_pool", mutates_args=())
def position_sensitive_pool(features: Tensor, boxes: Tensor, stride: int, bins: int) -> Tensor:
    """Average bins, each the mean of cells of its own channel, of boxes in pixels: [B, C*bins*bins,
    H, W] to scores [B, P, C].

    R-FCN's pooling and voting (Dai et al., Eq. 1 and section 2.2) as its Caffe layer has it:
    corners are rounded to pixels, x2 then moved out by one, both divided by the stride; a box is at
    least 0.1 cells wide; a bin covers whole cells, from the floor of its start to the ceiling of
    its end, cut at the map's border; an empty one is 0. The bin of row i and column j reads channel
    (c * bins + i) * bins + j. Sums are differences of integral images in fp64, through which a
    number that is not finite reaches other boxes as well. torchvision's ps_roi_pool rounds corners
    to cells instead, makes boxes at least one wide, and leaves out the map's last row and column.
    """
    _check_counts(stride)
    out = _scores(features, boxes, bins)
    batch, _, height, width = features.shape
    left, top, right, bottom = (_rounded(corner) for corner in _corners(boxes))
    # In tenths of a pixel, where the least width, 0.1 * stride pixels, is an integer, so that no
    # bin hangs on a rounding.
    down = _bins(
        10 * top * bins,
        (10 * (bottom + 1 - top)).clamp(min=stride),
        bins,
        10 * stride * bins,
        height,
    )
    across = _bins(
        10 * left * bins,
        (10 * (right + 1 - left)).clamp(min=stride),
        bins,
        10 * stride * bins,
        width,
    )
    area = (down[1] - down[0]).clamp(min=0)[:, :, None] * (across[1] - across[0]).clamp(min=0)[
        :, None
    ]
    share = torch.where(area > 0, 1 / (area.clamp(min=1).double() * bins**2), 0)

    integral = features.new_zeros(
        batch, height + 1, width + 1, bins**2, out.shape[-1], dtype=torch.float64
    )
    integral[:, 1:, 1:] = features.view(batch, -1, bins**2, height, width).permute(0, 3, 4, 2, 1)
    integral.cumsum_(1).cumsum_(2)
    base = (_images(boxes) * (height + 1))[..., None]
    number = torch.arange(bins**2, device=boxes.device).view(bins, bins)
    index = [
        ((base + row[:, :, None]) * (width + 1) + column[:, None]) * bins**2 + number
        for row in down
        for column in across
    ]
    taps = Taps(
        torch.stack(index, -1).flatten(1),
        torch.stack([share, -share, -share, share], -1).flatten(1),
    )
    out.copy_(_sums(integral.view(-1, out.shape[-1]), taps).view_as(out))
    return out


@position_sensitive_pool.register_fake
def _(features: Tensor, boxes: Tensor, stride: int, bins: int) -> Tensor:
    _check_counts(stride)
    return _scores(features, boxes, bins)


def _crops(maps: list[Tensor], boxes: Tensor, side: int, channels: int = 0) -> Tensor:
    """Check the arguments and allocate crops [B*P, C, side, side] of the maps' channels, or so
    many, in their memory format.
    """
    _check_counts(side)
    _check(maps, boxes)
    last = all(
        one.is_contiguous(memory_format=torch.channels_last) and not one.is_contiguous()
        for one in maps
    )
    return torch.empty(
        (boxes.shape[0] * boxes.shape[1], channels or maps[0].shape[1], side, side),
        dtype=maps[0].dtype,
        device=maps[0].device,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )


def _scores(features: Tensor, boxes: Tensor, bins: int, samples: int = 1) -> Tensor:
    """Check the arguments and allocate scores [B, P, C]."""
    _check_counts(bins, samples)
    _check([features], boxes)
    if features.shape[1] % bins**2:
        raise ValueError(f"{features.shape[1]} channels are no multiple of {bins} x {bins} bins")
    return features.new_empty(boxes.shape[0], boxes.shape[1], features.shape[1] // bins**2)


def _aligned(features: Tensor, boxes: Tensor, stride: int, bins: int, samples: int) -> Tensor:
    """Check the arguments and allocate crops [B*P, C, bins, bins]."""
    _check_counts(stride)
    return _crops([features], boxes, bins, _scores(features, boxes, bins, samples).shape[-1])


def _check(maps: list[Tensor], boxes: Tensor) -> None:
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ValueError(f"boxes must be [B, P, 4], not {list(boxes.shape)}")
    for one in maps:
        if one.ndim != 4 or one.shape[0] != boxes.shape[0] or one.shape[1] != maps[0].shape[1]:
            raise ValueError(
                f"features must be [B, C, H, W], B as of boxes {list(boxes.shape)}, not "
                f"{list(one.shape)}"
            )


def _check_counts(*counts: int) -> None:
    if min(counts) < 1:
        raise ValueError("side, samples, bins and stride must be at least 1")


def _check_strides(maps: list[Tensor], strides: list[int], samples: int) -> None:
    if len(maps) != len(strides) or not maps:
        raise ValueError(f"{len(maps)} maps need as many strides, at least one, not {len(strides)}")
    _check_counts(samples, *strides)
    if any(2 * stride != following for stride, following in pairwise(strides)):
        raise ValueError(f"strides must double from map to map, not {strides}")


def _held(features: Tensor) -> int:
    return HELD_ON_CPU if features.device.type == "cpu" else HELD_ELSEWHERE


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The corners x1, y1, x2, y2 of boxes [B, P, 4], each [B*P, 1] in fp32."""
    left, top, right, bottom = boxes.float().reshape(-1, 4, 1).unbind(1)
    return left, top, right, bottom


def _shares(boxes: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The corners of boxes [B, P, 4] as shares of an image of `size` (width, height), each [B*P, 1]
    in fp32.
    """
    left, top, right, bottom = _corners(boxes)
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


def _images(boxes: Tensor) -> Tensor:
    """The image of each box, [B*P, 1]."""
    return (
        torch.arange(boxes.shape[0], device=boxes.device)[:, None]
        .expand(boxes.shape[:2])
        .reshape(-1, 1)
    )


def _rows(maps: list[Tensor]) -> Tensor:
    """Lay maps [B, C, H, W] end to end as rows [cells, C], image by image, of at least fp32."""
    channels, dtype = maps[0].shape[1], torch.promote_types(maps[0].dtype, torch.float32)
    if len(maps) == 1 and maps[0].dtype == dtype:
        return maps[0].permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    counts = [one.numel() // channels for one in maps]
    table = maps[0].new_empty(sum(counts), channels, dtype=dtype)
    for part, one in zip(table.split(counts), maps, strict=True):
        cells = one.permute(0, 2, 3, 1)
        part.view(cells.shape).copy_(cells)
    return table


def _sums(table: Tensor, taps: Taps) -> Tensor:
    """Weighted sums [N, C] of the rows of a table [cells, C] that taps [N, k] name."""
    if not len(taps.cells):
        return table.new_empty(0, table.shape[1])
    return F.embedding_bag(
        taps.cells, table, per_sample_weights=taps.weights.to(table.dtype), mode="sum"
    )


def _pool(table: Tensor, taps: Taps, out: Tensor) -> None:
    """Fill crops [M, C, side, side] with the sums of rows that taps [M, side, side, k] name."""
    step = max(1, _held(out) // max(1, out[:1].numel()))
    for part, *some in zip(out.split(step), *(each.split(step) for each in taps), strict=True):
        sums = _sums(table, Taps(*(each.flatten(0, 2) for each in some)))
        part.copy_(sums.view(len(part), *out.shape[2:], out.shape[1]).permute(0, 3, 1, 2))


def _fractions(samples: int, device: torch.device) -> Tensor:
    """Where samples lie between the ends of a box, 0 to 1 with both ends exact; a lone one in the
    middle.
    """
    return (
        torch.linspace(0, 1, samples, device=device)
        if samples > 1
        else torch.full((1,), 0.5, device=device)
    )


def _between(start: Tensor, end: Tensor, fractions: Tensor, size: int) -> Taps:
    """Taps [M, n, 2s] for fractions [n, s] of the way between ends [M, 1] that are fractions of an
    axis of `size` cells.
    """
    places = torch.lerp(start[..., None], end[..., None], fractions) * (size - 1)
    return _linear(places, (places >= 0) & (places <= size - 1), size - 1)


def _steps(side: int, samples: int, device: torch.device) -> Tensor:
    """Where points lie in `side` bins of length 1, evenly: [side, samples]."""
    return (
        torch.arange(side, device=device)[:, None]
        + (torch.arange(samples, device=device) + 0.5) / samples
    )


def _in_bins(
    start: Tensor, end: Tensor, fractions: Tensor, size: Tensor, *, least: float = 1
) -> Taps:
    """Taps [M, n, 2s] for fractions [n, s] of boxes [M, 1] in cells of an axis of `size` [M, 1]
    cells, by RoIAlign's rules.

    A box is at least `least` cells long.
    """
    start, last = start[..., None], size[..., None] - 1
    places = start + fractions * (end[..., None] - start).clamp(min=least)
    inside = (places >= -1) & (places <= last + 1)
    return _linear(places.clamp(min=0).minimum(last.to(places.dtype)), inside, last)


def _linear(places: Tensor, inside: Tensor, last: Tensor | int) -> Taps:
    """The two cells on either side of places [M, n, s] on an axis up to cell `last`, weighted
    linearly, nothing if not inside.
    """
    places = places.masked_fill(~inside, 0)
    low = places.floor()
    part = places - low
    index = torch.stack([low, low + (low < last)], -1).long()
    weight = torch.stack([1 - part, part], -1) * inside[..., None]
    return Taps(index.flatten(-2), weight.flatten(-2))


def _paired(first: Tensor, width: Tensor | int, rows: Taps, columns: Taps) -> Taps:
    """Pair taps down [M, n, k] and across [M, n, k] a map that begins at row `first` [M, 1] of a
    table: taps [M, n, n, k*k].
    """
    row = rows.cells * (width[..., None] if isinstance(width, Tensor) else width) + first[..., None]
    index = row[:, :, None, :, None] + columns.cells[:, None, :, None]
    weight = rows.weights[:, :, None, :, None] * columns.weights[:, None, :, None]
    return Taps(index.flatten(3), weight.flatten(3))


def _rounded(corner: Tensor) -> Tensor:
    """Nearest integers, halves away from 0, as C rounds."""
    corner = corner.nan_to_num().clamp(-FAR, FAR)
    whole = corner.trunc()
    return (whole + (corner - whole).mul_(2).trunc_()).long()


def _bins(start: Tensor, width: Tensor, bins: int, unit: int, size: int) -> tuple[Tensor, Tensor]:
    """First cells and ends, both [M, bins], of bins from (start + j * width) to (start + (j + 1) *
    width) units of a cell.
    """
    edges = start + torch.arange(bins + 1, device=start.device) * width
    low, high = edges[:, :-1] // unit, -(-edges[:, 1:] // unit)
    return low.clamp(0, size), high.clamp(0, size)


def _window_maxima(features: Tensor) -> Tensor:
    """Maxima of [C, H, W] over windows of sides 2^a and 2^b from each cell on, as rows [a, b, H, W]
    of channels.

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


def _window_index(
    down: tuple[Tensor, Tensor], across: tuple[Tensor, Tensor], height: int, width: int
) -> Tensor:
    """Rows [4, M * n * n] of the table of window maxima whose windows together are the rectangles
    of bins [M, n] each way.
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
