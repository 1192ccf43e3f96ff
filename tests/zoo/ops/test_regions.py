"""Region pooling against closed forms and references that loop over boxes, bins and samples."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from archbench.zoo.ops.regions import (
    crop_and_resize,
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
    roi_align,
    roi_pool,
    taps,
)

SIZE = (7, 10)
"""Height and width of a map in cells, odd and even, so that a swap of axes shows."""
STRIDE = 16

FRACTIONS = {
    "whole": (0.0, 0.0, 1.0, 1.0),
    "within": (0.25, 0.125, 0.75, 0.5),
    "point": (0.5, 0.5, 0.5, 0.5),
    "line": (0.25, 0.0, 0.25, 1.0),
    "corner": (1.0, 1.0, 1.0, 1.0),
    "across the border": (-0.4, 0.25, 0.55, 1.7),
    "touches from outside": (1.0, 0.0, 2.0, 1.0),
    "outside": (1.25, 1.5, 2.0, 3.0),
    "around": (-2.0, -1.0, 3.0, 2.0),
    "flipped": (0.75, 0.5, 0.25, 0.125),
}


def features(
    batch: int = 2, channels: int = 3, size: tuple[int, int] = SIZE, seed: int = 0
) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


UNIT = [1, 1]
"""An image of one pixel, whose boxes are shares of it."""


def fractions(batch: int = 2, drawn: int = 6, seed: int = 1) -> Tensor:
    """Draw boxes [B, P, 4] that reach past the image's borders, beside those that are named."""
    random = (
        torch.rand(batch, drawn, 2, 2, generator=torch.Generator().manual_seed(seed))
        .mul_(1.5)
        .sub_(0.25)
        .sort(dim=2)
        .values
    )
    named = torch.tensor(list(FRACTIONS.values())).expand(batch, -1, 4)
    return torch.cat([named, random.flatten(2)], dim=1)


def pixels(
    batch: int = 2,
    drawn: int = 6,
    size: tuple[int, int] = SIZE,
    stride: int = STRIDE,
    seed: int = 1,
) -> Tensor:
    """The same boxes in pixels; those that are drawn not at pixels."""
    return fractions(batch, drawn, seed) * torch.tensor([size[1], size[0]] * 2) * stride


def each_box(boxes: Tensor) -> list[tuple[int, list[float]]]:
    """Image and corners of each box, in the order of the output."""
    return [(image, box) for image, some in enumerate(boxes.tolist()) for box in some]


def bilinear(cells: list[list[float]], y: float, x: float) -> float:
    """The value at a place on the map."""
    total = 0.0
    for row, column in product(range(len(cells)), range(len(cells[0]))):
        total += cells[row][column] * max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
    return total


def sampled_or_zero(cells: list[list[float]], y: float, x: float) -> float:
    """TensorFlow's rule at the border."""
    return (
        bilinear(cells, y, x) if 0 <= y <= len(cells) - 1 and 0 <= x <= len(cells[0]) - 1 else 0.0
    )


def grid(low: float, high: float, samples: int, size: int) -> list[float]:
    """Where TensorFlow samples between two fractions of an axis."""
    if samples == 1:
        return [(low + high) / 2 * (size - 1)]
    return [
        low * (size - 1) + i * (high - low) * (size - 1) / (samples - 1) for i in range(samples)
    ]


def crop_by_loops(maps: Tensor, boxes: Tensor, side: int) -> Tensor:
    crops = []
    for image, (x1, y1, x2, y2) in each_box(boxes):
        rows, columns = grid(y1, y2, side, maps.shape[2]), grid(x1, x2, side, maps.shape[3])
        crops.append(
            [
                [[sampled_or_zero(cells, y, x) for x in columns] for y in rows]
                for cells in maps[image].tolist()
            ]
        )
    return torch.tensor(crops)


def align_by_loops(
    maps: list[Tensor], boxes: Tensor, strides: list[int], side: int, samples: int
) -> Tensor:
    crops = []
    for image, box in each_box(boxes):
        area = max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
        level = math.floor(4 + math.log2(math.sqrt(area) / 224 + 1e-6)) - round(
            math.log2(strides[0])
        )
        level = min(max(level, 0), len(maps) - 1)
        x1, y1, x2, y2 = (corner / strides[level] for corner in box)
        tall, wide = max(y2 - y1, 1) / side, max(x2 - x1, 1) / side
        height, width = maps[level].shape[2:]
        crop = torch.zeros(maps[0].shape[1], side, side)
        for channel, cells in enumerate(maps[level][image].tolist()):
            for i, j, p, q in product(range(side), range(side), range(samples), range(samples)):
                y, x = y1 + (i + (p + 0.5) / samples) * tall, x1 + (j + (q + 0.5) / samples) * wide
                if -1 <= y <= height and -1 <= x <= width:
                    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    crop[channel, i, j] += bilinear(cells, y, x) / samples**2
        crops.append(crop)
    return torch.stack(crops)


def sensitive_align_by_loops(
    maps: Tensor, boxes: Tensor, stride: int, bins: int, samples: int
) -> Tensor:
    crops = []
    height, width = maps.shape[2:]
    for image, box in each_box(boxes):
        x1, y1, x2, y2 = (corner / stride - 0.5 for corner in box)
        crop = torch.zeros(maps.shape[1] // bins**2, bins, bins)
        for c, i, j, p, q in product(*map(range, crop.shape), range(samples), range(samples)):
            y, x = (
                low + (n + (k + 0.5) / samples) * (high - low) / bins
                for low, high, n, k in ((y1, y2, i, p), (x1, x2, j, q))
            )
            if -1 <= y <= height and -1 <= x <= width:
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                crop[c, i, j] += (
                    bilinear(maps[image, (c * bins + i) * bins + j].tolist(), y, x) / samples**2
                )
        crops.append(crop)
    return torch.stack(crops)


def rounded(x: float) -> int:
    """As C rounds: halves away from 0."""
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)


def bin_of(j: int, bins: int, tenths: int, width: int, unit: int, size: int) -> range:
    """Cells of bin j of a box that begins at `tenths` and is `width` wide, both in tenths of which
    a cell has 10 * unit.
    """
    low = (tenths * bins + j * width) // (10 * unit * bins)
    high = -(-(tenths * bins + (j + 1) * width) // (10 * unit * bins))
    return range(min(max(low, 0), size), min(max(high, 0), size))


def max_by_loops(maps: Tensor, boxes: Tensor, stride: int, side: int) -> Tensor:
    crops = []
    for image, box in each_box(boxes):
        x1, y1, x2, y2 = (rounded(corner / stride) for corner in box)
        crop = torch.zeros(maps.shape[1], side, side)
        for channel, i, j in product(range(maps.shape[1]), range(side), range(side)):
            rows = bin_of(i, side, 10 * y1, 10 * max(y2 - y1 + 1, 1), 1, maps.shape[2])
            columns = bin_of(j, side, 10 * x1, 10 * max(x2 - x1 + 1, 1), 1, maps.shape[3])
            crop[channel, i, j] = max(
                (maps[image, channel, y, x].item() for y, x in product(rows, columns)), default=0.0
            )
        crops.append(crop)
    return torch.stack(crops)


def sensitive_crop_by_loops(maps: Tensor, boxes: Tensor, bins: int, samples: int) -> Tensor:
    channels = maps.shape[1] // bins**2
    scores = torch.zeros(*boxes.shape[:2], channels)
    for image, p, i, j in product(
        range(len(boxes)), range(boxes.shape[1]), range(bins), range(bins)
    ):
        x1, y1, x2, y2 = boxes[image, p].tolist()
        wide, tall = (x2 - x1) / bins, (y2 - y1) / bins
        part = torch.tensor(
            [x1 + j * wide, y1 + i * tall, x1 + (j + 1) * wide, y1 + (i + 1) * tall],
            dtype=torch.float64,
        )
        own = maps[image : image + 1, (i * bins + j) * channels : (i * bins + j + 1) * channels]
        scores[image, p] += (
            crop_by_loops(own, part.view(1, 1, 4), samples).mean(dim=(0, 2, 3)) / bins**2
        )
    return scores


def sensitive_pool_by_loops(maps: Tensor, boxes: Tensor, stride: int, bins: int) -> Tensor:
    channels = maps.shape[1] // bins**2
    scores = torch.zeros(*boxes.shape[:2], channels)
    for image, p, c in product(range(len(boxes)), range(boxes.shape[1]), range(channels)):
        x1, y1, x2, y2 = (rounded(corner) for corner in boxes[image, p].tolist())
        for i, j in product(range(bins), range(bins)):
            rows = bin_of(i, bins, 10 * y1, max(10 * (y2 + 1 - y1), stride), stride, maps.shape[2])
            columns = bin_of(
                j, bins, 10 * x1, max(10 * (x2 + 1 - x1), stride), stride, maps.shape[3]
            )
            if len(rows) and len(columns):
                cells = maps[
                    image,
                    (c * bins + i) * bins + j,
                    rows.start : rows.stop,
                    columns.start : columns.stop,
                ]
                scores[image, p, c] += cells.mean() / bins**2
    return scores


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 5])
@pytest.mark.parametrize("size", [SIZE, (1, 4), (5, 1)], ids=str)
def test_a_crop_is_that_of_the_loops(size: tuple[int, int], side: int) -> None:
    maps, boxes = features(size=size), fractions()
    close(crop_and_resize(maps, boxes, UNIT, side), crop_by_loops(maps, boxes, side))


@pytest.mark.parametrize(("side", "samples"), [(1, 1), (3, 2), (2, 3)])
def test_aligned_regions_are_those_of_the_loops(side: int, samples: int) -> None:
    maps, boxes = features(), pixels()
    close(
        roi_align([maps], boxes, [STRIDE], side, samples),
        align_by_loops([maps], boxes, [STRIDE], side, samples),
    )


def test_aligned_regions_of_a_pyramid_are_those_of_the_loops() -> None:
    strides = [16, 32, 64]
    maps = [
        features(channels=2, size=size, seed=16 + size[0]) for size in ((24, 40), (12, 20), (6, 10))
    ]
    boxes = pixels(size=(24, 40))
    close(roi_align(maps, boxes, strides, 2, 2), align_by_loops(maps, boxes, strides, 2, 2))


@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("size", [SIZE, (1, 9), (16, 1)], ids=str)
def test_maxima_are_those_of_the_loops(size: tuple[int, int], side: int) -> None:
    maps, boxes = features(channels=2, size=size), pixels(size=size)
    close(roi_pool(maps, boxes, STRIDE, side), max_by_loops(maps, boxes, STRIDE, side))


@pytest.mark.parametrize(("bins", "samples"), [(1, 1), (3, 1), (3, 2), (2, 3)])
def test_position_sensitive_crops_are_those_of_the_loops(bins: int, samples: int) -> None:
    maps, boxes = features(channels=2 * bins**2), fractions(drawn=3)
    close(
        position_sensitive_crop(maps, boxes, UNIT, bins, samples),
        sensitive_crop_by_loops(maps, boxes, bins, samples),
    )


@pytest.mark.parametrize(("stride", "bins"), [(16, 1), (16, 3), (8, 2)])
def test_position_sensitive_means_are_those_of_the_loops(stride: int, bins: int) -> None:
    maps, boxes = features(channels=2 * bins**2), pixels(stride=stride)
    close(
        position_sensitive_pool(maps, boxes, stride, bins),
        sensitive_pool_by_loops(maps, boxes, stride, bins),
    )


@pytest.mark.parametrize(("bins", "samples"), [(1, 1), (3, 2), (2, 3)])
def test_position_sensitive_aligned_regions_are_those_of_the_loops(bins: int, samples: int) -> None:
    maps, boxes = features(channels=2 * bins**2), pixels(drawn=3)
    ours = position_sensitive_align(maps, boxes, STRIDE, bins, samples)
    close(ours, sensitive_align_by_loops(maps, boxes, STRIDE, bins, samples))


def ramp(size: tuple[int, int]) -> Tensor:
    """A map that grows by 2 a cell across and by 3 a cell down from 1."""
    return (2.0 * torch.arange(size[1]) + 3.0 * torch.arange(size[0])[:, None] + 1)[None, None]


def test_a_crop_of_a_ramp_is_a_ramp() -> None:
    """On 9 x 5 cells, columns 2 to 6 at every half cell, rows 1 to 3 at every quarter."""
    crop = crop_and_resize(ramp((5, 9)), torch.tensor([[[30.0, 20.0, 90.0, 60.0]]]), [120, 80], 9)
    close(crop[0, 0], 2 * (2 + torch.arange(9) / 2) + 3 * (1 + torch.arange(9)[:, None] / 4) + 1)


def test_the_middle_of_an_aligned_bin_of_a_ramp_is_its_mean() -> None:
    """A box of 4 x 2 cells from cell (3, 1) on, in 2 x 2 bins: of middles 4 and 6, 1.5 and 2.5."""
    crop = roi_align([ramp((8, 8))], torch.tensor([[[3.0, 1.0, 7.0, 3.0]]]) * 8, [8], 2, 2)
    assert crop[0, 0].tolist() == [[13.5, 17.5], [16.5, 20.5]]


def test_a_whole_image_at_its_own_size_is_itself() -> None:
    """To the last row and column, at sides by which fp32 divides inexactly."""
    for side in range(2, 100):
        close(
            crop_and_resize(
                ramp((side, side)),
                torch.tensor([[[0.0, 0.0, 16.0, 16.0]]]) * side,
                [16 * side, 16 * side],
                side,
            ),
            ramp((side, side)),
        )


@pytest.mark.parametrize("bins", range(1, 12))
def test_the_last_sample_of_the_last_bin_is_within_the_image(bins: int) -> None:
    maps = torch.ones(1, bins**2, 38, 63)
    close(
        position_sensitive_crop(maps, torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), UNIT, bins, 3),
        torch.ones(1, 1, 1),
    )


def test_maxima_by_hand() -> None:
    """Cells 1 to 3 across, 0 to 1 down, in 2 x 2 bins: columns 1 and 2, then 2 and 3."""
    maps = torch.tensor(
        [[[[9.0, 1.0, 4.0, 2.0, 9.0], [9.0, 7.0, 3.0, 6.0, 9.0], [9.0, 9.0, 9.0, 9.0, 9.0]]]]
    )
    assert roi_pool(maps, torch.tensor([[[1.0, 0.0, 3.0, 1.0]]]), 1, 2)[0, 0].tolist() == [
        [4, 4],
        [7, 6],
    ]


def test_corners_are_rounded_away_from_0() -> None:
    """Of a map that counts its columns, boxes from 2.5 begin at column 3, and one that ends at -0.5
    ends at -1.
    """
    maps = torch.arange(1.0, 9.0).expand(1, 1, 1, 8)
    boxes = torch.tensor(
        [
            [
                [2.5, 0.0, 2.5, 0.0],
                [2.49, 0.0, 2.49, 0.0],
                [-3.0, 0.0, -0.5, 0.0],
                [-3.0, 0.0, -0.49, 0.0],
            ]
        ]
    )
    assert roi_pool(maps, boxes, 1, 1).flatten().tolist() == [4, 3, 0, 1]


def test_no_bin_hangs_on_a_rounding() -> None:
    """57 / 7 * 7 is more than 57 in fp32, which would give the last bin of a box of 57 cells one
    cell too many.
    """
    maps = torch.arange(64.0).expand(1, 1, 1, 64)
    assert roi_pool(maps, torch.tensor([[[0.0, 0.0, 56.0, 0.0]]]), 1, 7)[0, 0, 0].tolist() == [
        8,
        16,
        24,
        32,
        40,
        48,
        56,
    ]


def test_negative_maxima_stay_and_empty_bins_are_0() -> None:
    maps = torch.full((1, 1, 4, 4), -5.0)
    assert roi_pool(maps, torch.tensor([[[0.0, 0.0, 7.0, 3.0]]]), 1, 2)[0, 0].tolist() == [
        [-5, 0],
        [-5, 0],
    ]


def test_position_sensitive_crops_by_hand() -> None:
    """Bins hold 1 to 4 for the first class, ten times that for the second, bin by bin; the box's
    right half is outside.
    """
    maps = (
        torch.tensor([1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0])
        .view(1, 8, 1, 1)
        .expand(1, 8, 6, 6)
    )
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 7.0, 4.0]]])
    assert position_sensitive_crop(maps, boxes, [4, 4], 2, 1).tolist() == [
        [[2.5, 25.0], [1.0, 10.0]]
    ]


def test_position_sensitive_means_by_hand() -> None:
    """Bins hold 1 to 4 for the first class, ten times that for the second, class by class; the
    box's right half is outside.
    """
    maps = (
        torch.tensor([1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0])
        .view(1, 8, 1, 1)
        .expand(1, 8, 6, 6)
    )
    boxes = torch.tensor([[[0.0, 0.0, 95.0, 95.0], [48.0, 0.0, 143.0, 95.0]]])
    assert position_sensitive_pool(maps, boxes, 16, 2).tolist() == [[[2.5, 25.0], [1.0, 10.0]]]


def test_the_end_of_a_position_sensitive_box_is_moved_by_a_pixel() -> None:
    """Of a map that counts its columns, pixels 0 to 31 are columns 0 and 1; to 32 they reach into
    column 2.
    """
    maps = torch.arange(8.0).expand(1, 1, 1, 8)
    boxes = torch.tensor(
        [
            [
                [0.0, 0.0, 31.0, 0.0],
                [0.0, 0.0, 32.0, 0.0],
                [16.0, 0.0, 16.0, 0.0],
                [14.0, 0.0, 14.0, 0.0],
                [15.0, 0.0, 15.0, 0.0],
            ]
        ]
    )
    assert position_sensitive_pool(maps, boxes, 16, 1).flatten().tolist() == [0.5, 1, 1, 0, 0.5]


@pytest.mark.parametrize(
    ("side", "stride"),
    [(56, 4), (111, 4), (112, 8), (223, 8), (224, 16), (447, 16), (448, 32), (2000, 32), (0, 4)],
)
def test_a_box_reads_the_level_of_its_size(side: int, stride: int) -> None:
    """FPN's Eq. 1: 224 pixels are level 4, of stride 16."""
    strides = [4, 8, 16, 32]
    maps = [torch.full((1, 1, 2048 // each, 2048 // each), float(each)) for each in strides]
    box = torch.tensor([[[8.0, 8.0, 8.0 + side, 8.0 + side]]])
    assert roi_align(maps, box, strides, 1, 2).item() == stride


@pytest.mark.parametrize("strides", [[8, 16], [16, 32], [32, 64]], ids=str)
def test_levels_that_are_not_there_are_the_nearest(strides: list[int]) -> None:
    maps = [torch.full((1, 1, 64, 64), float(each)) for each in strides]
    boxes = torch.tensor([[[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 2000.0, 2000.0]]])
    found = roi_align(maps, boxes, strides, 1, 1).flatten().tolist()
    assert found == [strides[0], min(strides[1], 64)]


OPERATORS: dict[str, tuple[Any, Callable[..., tuple[Any, ...]]]] = {
    "crop_and_resize": (crop_and_resize, lambda maps, boxes: (maps, boxes, UNIT, 3)),
    "roi_align": (
        roi_align,
        lambda maps, boxes: ([maps, maps[:, :, ::2, ::2]], boxes * 100, [8, 16], 3, 2),
    ),
    "roi_pool": (roi_pool, lambda maps, boxes: (maps, boxes * 100, 16, 3)),
    "position_sensitive_crop": (
        position_sensitive_crop,
        lambda maps, boxes: (maps, boxes, UNIT, 2, 2),
    ),
    "position_sensitive_pool": (
        position_sensitive_pool,
        lambda maps, boxes: (maps, boxes * 100, 16, 2),
    ),
    "position_sensitive_align": (
        position_sensitive_align,
        lambda maps, boxes: (maps, boxes * 100, 16, 2, 2),
    ),
}
every_operator = pytest.mark.parametrize("name", OPERATORS)


def run(name: str, maps: Tensor, boxes: Tensor) -> Tensor:
    operator, arguments = OPERATORS[name]
    return operator(*arguments(maps, boxes))


@every_operator
@pytest.mark.parametrize(
    "box",
    [
        *FRACTIONS.values(),
        (math.inf, 0, math.inf, 1),
        (math.nan, 0, 1, math.nan),
        (-1e30, -1e30, 1e30, 1e30),
    ],
)
def test_any_box_gives_finite_numbers(name: str, box: tuple[float, ...]) -> None:
    assert run(name, features(1, 8), torch.tensor([[box]])).isfinite().all()


@every_operator
def test_no_boxes_give_no_crops(name: str) -> None:
    out = run(name, features(2, 8), torch.empty(2, 0, 4))
    shapes = {
        "position_sensitive_align": (0, 2, 2, 2),
        "position_sensitive_crop": (2, 0, 2),
        "position_sensitive_pool": (2, 0, 2),
    }
    assert out.shape == shapes.get(name, (0, 8, 3, 3))


@every_operator
def test_each_image_has_its_boxes(name: str) -> None:
    maps, boxes = features(3, 8), fractions(3)
    together = run(name, maps, boxes)
    apart = [run(name, maps[i : i + 1], boxes[i : i + 1]) for i in range(3)]
    assert torch.equal(together, torch.cat(apart))


@every_operator
def test_the_answer_does_not_depend_on_how_it_is_cut(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, boxes = features(2, 8), fractions()
    whole = run(name, maps, boxes)
    for held in (1, 2000):
        monkeypatch.setattr(taps, "HELD_ON_CPU", held)
        assert torch.equal(run(name, maps, boxes), whole)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_only_the_output_is_rounded_to_the_features_dtype(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8).to(dtype), fractions()
    out = run(name, maps, boxes)
    assert out.dtype == dtype
    if dtype == torch.float64:
        close(out.float(), run(name, maps.float(), boxes))
    else:
        assert torch.equal(out, run(name, maps.float(), boxes).to(dtype))


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_format_is_the_features(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8).to(dtype), fractions()
    plain, last = (
        run(name, maps, boxes),
        run(name, maps.to(memory_format=torch.channels_last), boxes),
    )
    assert plain.is_contiguous()
    torch.testing.assert_close(last, plain)
    if last.ndim == 4 and name != "roi_align":
        assert last.is_contiguous(memory_format=torch.channels_last)


def test_a_pyramid_in_channels_last_gives_channels_last() -> None:
    maps = [features(size=size).to(memory_format=torch.channels_last) for size in ((8, 8), (4, 4))]
    assert roi_align(maps, pixels(), [8, 16], 3, 2).is_contiguous(memory_format=torch.channels_last)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_on_the_meta_device_it_has_its_shape(
    name: str, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    maps, boxes = features(2, 8).to(dtype, memory_format=memory_format), fractions()
    real, shape = run(name, maps, boxes), run(name, maps.to("meta"), boxes.to("meta"))
    assert (shape.device.type, shape.shape, shape.dtype, shape.stride()) == (
        "meta",
        real.shape,
        real.dtype,
        real.stride(),
    )


@every_operator
def test_torch_accepts_the_operator(name: str) -> None:
    operator, arguments = OPERATORS[name]
    torch.library.opcheck(
        operator,
        arguments(features(1, 8), fractions(1)),
        test_utils=("test_schema", "test_faketensor"),
    )


@every_operator
def test_features_that_want_a_gradient_are_taken(name: str) -> None:
    assert run(name, features(1, 8).requires_grad_(), fractions(1)).isfinite().all()


def test_counting_does_not_load_the_compiler() -> None:
    code = """
import sys, archbench, torch
from archbench.zoo.ops.regions import (
    crop_and_resize, position_sensitive_crop, position_sensitive_pool, roi_align, roi_pool
)

class Head(torch.nn.Module):
    def forward(self, images):
        boxes, low = images.new_empty(1, 9, 4), images[:, :, ::2, ::2]
        return (
            crop_and_resize(images, boxes, [32, 32], 3),
            roi_align([images, low], boxes, [8, 16], 3, 2),
            roi_pool(images, boxes, 16, 3),
            position_sensitive_crop(images, boxes, [32, 32], 2, 2),
            position_sensitive_pool(images, boxes, 16, 2),
        )

report = archbench.count(Head(), (1, 8, 32, 32))
print(report.uncounted or None, {'sympy', 'torch._dynamo'} & sys.modules.keys() or None)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["None", "None"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(5, 4), UNIT, 2),
            "boxes must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(2, 1, 5), UNIT, 2),
            "boxes must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(1, 5, 4), UNIT, 2),
            "features must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(3, 8, 8), torch.empty(3, 5, 4), UNIT, 2),
            "features must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(2, 5, 4), UNIT, 0),
            "at least 1",
        ),
        (lambda: roi_pool(torch.empty(2, 3, 8, 8), torch.empty(2, 5, 4), 0, 7), "at least 1"),
        (
            lambda: roi_align([torch.empty(2, 3, 8, 8)], torch.empty(2, 5, 4), [8, 16], 7, 2),
            "as many strides",
        ),
        (
            lambda: roi_align([torch.empty(2, 3, 8, 8)] * 2, torch.empty(2, 5, 4), [8, 32], 7, 2),
            "must double",
        ),
        (
            lambda: roi_align(
                [torch.empty(2, 3, 8, 8), torch.empty(2, 4, 4, 4)],
                torch.empty(2, 5, 4),
                [8, 16],
                7,
                2,
            ),
            "features must be",
        ),
        (
            lambda: position_sensitive_crop(
                torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), UNIT, 3, 1
            ),
            "no multiple",
        ),
        (
            lambda: position_sensitive_align(
                torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), 16, 3, 2
            ),
            "no multiple",
        ),
        (
            lambda: position_sensitive_pool(torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), 16, 3),
            "no multiple",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused_on_every_device(
    call: Callable[[], Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call()
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        call()


def torchvision_ops() -> Any:
    """torchvision's operators, or skip where it is not installed or does not fit this torch."""
    try:
        from torchvision import ops  # type: ignore[import-not-found,unused-ignore]

        ops.roi_pool(torch.zeros(1, 1, 2, 2), torch.zeros(1, 5), 1)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"no torchvision with operators: {str(error).splitlines()[0]}")
    return ops


def test_pooling_is_torchvision_s() -> None:
    ops, maps = torchvision_ops(), features(2, 8, (38, 50))
    boxes = pixels(2, 50, (38, 50))
    plain = list(boxes.unbind(0))
    close(
        roi_align([maps], boxes, [STRIDE], 7, 2),
        ops.roi_align(maps, plain, 7, 1 / STRIDE, 2, aligned=False),
    )
    close(roi_pool(maps, boxes, STRIDE, 6), ops.roi_pool(maps, plain, 6, 1 / STRIDE))
    close(
        position_sensitive_align(maps, boxes, STRIDE, 2, 2),
        ops.ps_roi_align(maps, plain, 2, 1 / STRIDE, 2),
    )


@pytest.mark.gpu
@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuda_gives_what_the_cpu_gives(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8, (38, 50)).to(dtype), fractions(2, 50)
    ours = run(name, maps.cuda(), boxes.cuda()).cpu()
    if dtype == torch.float32:
        close(ours, run(name, maps, boxes))
    else:
        torch.testing.assert_close(ours, run(name, maps, boxes))
