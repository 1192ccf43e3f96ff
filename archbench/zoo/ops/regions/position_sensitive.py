"""Region pooling in which each bin reads channels of its own (R-FCN), as three frameworks do it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archbench.zoo.ops.regions.arguments import (
    aligned_for,
    check_counts,
    corners_as_shares,
    corners_of,
    image_of_each,
    scores_for,
)
from archbench.zoo.ops.regions.taps import (
    Taps,
    as_rows,
    bin_edges,
    fractions_of,
    paired,
    pool_into,
    rounded,
    steps_of,
    taps_between,
    taps_in_bins,
    weighted_sums,
)


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
    out = scores_for(features, boxes, bins, samples)
    height, width = features.shape[2:]
    left, top, right, bottom = corners_as_shares(boxes, size)
    edges = torch.linspace(0, 1, bins + 1, device=boxes.device)[:, None]
    fractions = torch.lerp(edges[:-1], edges[1:], fractions_of(samples, boxes.device))
    rows, columns = (
        taps_between(top, bottom, fractions, height),
        taps_between(left, right, fractions, width),
    )
    taps = paired(image_of_each(boxes) * height * width, width, rows, columns)
    index = taps.cells * bins**2 + torch.arange(bins**2, device=boxes.device).view(bins, bins, 1)
    table = as_rows([features]).view(-1, out.shape[-1])
    out.copy_(
        weighted_sums(
            table, Taps(index.flatten(1), taps.weights.flatten(1) / (bins * samples) ** 2)
        ).view_as(out)
    )
    return out


@position_sensitive_crop.register_fake
def _(features: Tensor, boxes: Tensor, size: Sequence[int], bins: int, samples: int) -> Tensor:
    return scores_for(features, boxes, bins, samples)


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
    out = aligned_for(features, boxes, stride, bins, samples)
    batch, _, height, width = features.shape
    left, top, right, bottom = (corner * (1 / stride) - 0.5 for corner in corners_of(boxes))
    fractions = steps_of(bins, samples, boxes.device) / bins
    images = image_of_each(boxes)
    down = taps_in_bins(top, bottom, fractions, torch.full_like(images, height), least=-torch.inf)
    across = taps_in_bins(left, right, fractions, torch.full_like(images, width), least=-torch.inf)
    taps = paired(images * height * width, width, down, across)
    index = taps.cells * bins**2 + torch.arange(bins**2, device=boxes.device).view(bins, bins, 1)
    table = (
        features.view(batch, -1, bins**2, height, width)
        .permute(0, 3, 4, 2, 1)
        .reshape(-1, out.shape[1])
    )
    pool_into(
        table.to(torch.promote_types(table.dtype, torch.float32)),
        Taps(index, taps.weights / samples**2),
        out,
    )
    return out


@position_sensitive_align.register_fake
def _(features: Tensor, boxes: Tensor, stride: int, bins: int, samples: int) -> Tensor:
    return aligned_for(features, boxes, stride, bins, samples)


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
    check_counts(stride)
    out = scores_for(features, boxes, bins)
    batch, _, height, width = features.shape
    left, top, right, bottom = (rounded(corner) for corner in corners_of(boxes))
    # In tenths of a pixel, where the least width, 0.1 * stride pixels, is an integer, so that no
    # bin hangs on a rounding.
    down = bin_edges(
        10 * top * bins,
        (10 * (bottom + 1 - top)).clamp(min=stride),
        bins,
        10 * stride * bins,
        height,
    )
    across = bin_edges(
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
    _sum_along(integral, 1)
    _sum_along(integral, 2)
    base = (image_of_each(boxes) * (height + 1))[..., None]
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
    out.copy_(weighted_sums(integral.view(-1, out.shape[-1]), taps).view_as(out))
    return out


@position_sensitive_pool.register_fake
def _(features: Tensor, boxes: Tensor, stride: int, bins: int) -> Tensor:
    check_counts(stride)
    return scores_for(features, boxes, bins)


def _sum_along(values: Tensor, dim: int) -> None:
    """Put, in the place of each element, the sum of all up to it.

    A card has no deterministic `cumsum` of floating numbers (PyTorch,
    torch.use_deterministic_algorithms): where such are asked for, partial sums are doubled in
    length until they are whole.
    """
    if not torch.are_deterministic_algorithms_enabled():
        values.cumsum_(dim)
        return
    length, size = 1, values.shape[dim]
    while length < size:
        before = values.narrow(dim, 0, size - length).clone()
        values.narrow(dim, length, size - length).add_(before)
        length *= 2
