"""Names of points: over no mark, no obstacle, no other name, within the frame."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from archbench.report.figures.placement import Box, place_names

FRAME = Box(0, 0, 600, 400)


def mark(x: float, y: float) -> Box:
    return Box(x, y, x, y).grown(7)


def test_a_lone_name_stands_to_the_right() -> None:
    (box,) = place_names([mark(300, 200)], [(80, 12)], [], FRAME)
    assert box == Box(310, 194, 390, 206)


def test_at_the_right_edge_it_stands_to_the_left() -> None:
    (box,) = place_names([mark(580, 200)], [(80, 12)], [], FRAME)
    assert box.x1 < 580


def test_an_obstacle_is_evaded() -> None:
    wall = [Box(308, 150, 320, 250)]
    (box,) = place_names([mark(300, 200)], [(80, 12)], [wall], FRAME)
    assert not box.touched(wall)


def test_of_two_evils_the_lighter_is_covered() -> None:
    everywhere = [FRAME]
    heavy = [Box(0, 0, 300, 400)]
    (box,) = place_names([mark(300, 200)], [(80, 12)], [heavy, everywhere], FRAME)
    assert not box.touched(heavy)


def test_a_name_too_long_for_the_frame_is_placed_all_the_same() -> None:
    assert len(place_names([mark(300, 200)], [(900, 12)], [], FRAME)) == 1


@pytest.mark.parametrize("seed", range(30))
def test_names_of_crowded_points_do_not_overlap(seed: int) -> None:
    chance = random.Random(seed)
    marks = [mark(chance.uniform(100, 500), chance.uniform(180, 220)) for _ in range(6)]
    boxes = place_names(marks, [(110, 13)] * 6, [], FRAME)
    assert all(not first.touched([second]) for first, second in combinations(boxes, 2))
    assert all(FRAME.holds(box) for box in boxes)


def test_names_of_points_in_one_place_do_not_overlap() -> None:
    boxes = place_names([mark(300, 200)] * 6, [(90, 12)] * 6, [], FRAME)
    assert all(not first.touched([second]) for first, second in combinations(boxes, 2))


def test_a_mark_below_another_is_named_clear_of_bars() -> None:
    """A line from it crosses the other whatever its way: that is no reason to cover bars."""
    mark, over = Box(200, 200, 208, 208), Box(196, 196, 212, 212)
    bars = [Box(200, 100, 208, 300), Box(150, 195, 260, 212)]
    (name, _) = place_names([mark, over], [(60, 10), (60, 10)], [[], bars], Box(0, 0, 500, 500))
    assert name
    assert not name.touched(bars)
