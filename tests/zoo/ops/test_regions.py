"""Region pooling against closed forms and references that loop over boxes, bins and samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from region_loops import (
    SIZE,
    STRIDE,
    UNIT,
    align_by_loops,
    close,
    crop_by_loops,
    features,
    fractions,
    max_by_loops,
    pixels,
    sensitive_align_by_loops,
    sensitive_crop_by_loops,
    sensitive_pool_by_loops,
)
from torch import Tensor

from archbench.zoo.ops.regions import (
    crop_and_resize,
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
    roi_align,
    roi_pool,
)


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
