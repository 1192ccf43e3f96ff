"""Cells of a map and their weights, by the rules of the papers' code, and sums over them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

HELD_ON_CPU, HELD_ELSEWHERE = 1 << 22, 1 << 26
"""Elements of intermediate results at a time: few on the CPU, where they stay in a cache, many
where launches cost.
"""
FAR = 1 << 20
"""Cells or pixels at which coordinates are cut, so that integers made of them do not overflow."""


class Taps(NamedTuple):
    """Cells to sum and their weights, both [M, ..., k]: k for each output of M boxes."""

    cells: Tensor
    weights: Tensor


def held_at_once(features: Tensor) -> int:
    """Give how many elements of intermediate results to hold at a time on a map's device."""
    return HELD_ON_CPU if features.device.type == "cpu" else HELD_ELSEWHERE


def as_rows(maps: list[Tensor]) -> Tensor:
    """Lay maps [B, C, H, W] end to end as rows [cells, C], image by image, of at least fp32."""
    channels, dtype = maps[0].shape[1], torch.promote_types(maps[0].dtype, torch.float32)
    if len(maps) == 1 and maps[0].dtype == dtype:
        return maps[0].permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    counts = [features.numel() // channels for features in maps]
    table = maps[0].new_empty(sum(counts), channels, dtype=dtype)
    for part, features in zip(table.split(counts), maps, strict=True):
        cells = features.permute(0, 2, 3, 1)
        part.view(cells.shape).copy_(cells)
    return table


def weighted_sums(table: Tensor, taps: Taps) -> Tensor:
    """Give the weighted sums [N, C] of the rows of a table [cells, C] that taps [N, k] name."""
    if not len(taps.cells):
        return table.new_empty(0, table.shape[1])
    return F.embedding_bag(
        taps.cells, table, per_sample_weights=taps.weights.to(table.dtype), mode="sum"
    )


def pool_into(table: Tensor, taps: Taps, out: Tensor) -> None:
    """Fill crops [M, C, side, side] with the sums of rows that taps [M, side, side, k] name."""
    step = max(1, held_at_once(out) // max(1, out[:1].numel()))
    for part, *some in zip(out.split(step), *(each.split(step) for each in taps), strict=True):
        sums = weighted_sums(table, Taps(*(each.flatten(0, 2) for each in some)))
        part.copy_(sums.view(len(part), *out.shape[2:], out.shape[1]).permute(0, 3, 1, 2))


def fractions_of(samples: int, device: torch.device) -> Tensor:
    """Place samples between the ends of a box, 0 to 1 with both ends exact; a lone one in the
    middle.
    """
    return (
        torch.linspace(0, 1, samples, device=device)
        if samples > 1
        else torch.full((1,), 0.5, device=device)
    )


def taps_between(start: Tensor, end: Tensor, fractions: Tensor, size: int) -> Taps:
    """Give taps [M, n, 2s] for fractions [n, s] of the way between ends [M, 1] that are fractions
    of an axis of `size` cells.
    """
    places = torch.lerp(start[..., None], end[..., None], fractions) * (size - 1)
    return _linear(places, (places >= 0) & (places <= size - 1), size - 1)


def steps_of(side: int, samples: int, device: torch.device) -> Tensor:
    """Place points evenly in `side` bins of length 1: [side, samples]."""
    return (
        torch.arange(side, device=device)[:, None]
        + (torch.arange(samples, device=device) + 0.5) / samples
    )


def taps_in_bins(
    start: Tensor, end: Tensor, fractions: Tensor, size: Tensor, *, least: float = 1
) -> Taps:
    """Give taps [M, n, 2s] for fractions [n, s] of boxes [M, 1] in cells of an axis of `size` [M,
    1] cells, by RoIAlign's rules.

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


def paired(first: Tensor, width: Tensor | int, rows: Taps, columns: Taps) -> Taps:
    """Pair taps down [M, n, k] and across [M, n, k] a map that begins at row `first` [M, 1] of a
    table: taps [M, n, n, k*k].
    """
    row = rows.cells * (width[..., None] if isinstance(width, Tensor) else width) + first[..., None]
    index = row[:, :, None, :, None] + columns.cells[:, None, :, None]
    weight = rows.weights[:, :, None, :, None] * columns.weights[:, None, :, None]
    return Taps(index.flatten(3), weight.flatten(3))


def rounded(corner: Tensor) -> Tensor:
    """Give the nearest integers, halves away from 0, as C rounds."""
    # torch.round takes halves to the even side.
    corner = corner.nan_to_num().clamp(-FAR, FAR)
    whole = corner.trunc()
    return (whole + (corner - whole).mul_(2).trunc_()).long()


def bin_edges(
    start: Tensor, width: Tensor, bins: int, unit: int, size: int
) -> tuple[Tensor, Tensor]:
    """Give the first cells and the ends, both [M, bins], of bins from (start + j * width) to (start
    + (j + 1) * width) units of a cell.
    """
    edges = start + torch.arange(bins + 1, device=start.device) * width
    low, high = edges[:, :-1] // unit, -(-edges[:, 1:] // unit)
    return low.clamp(0, size), high.clamp(0, size)
