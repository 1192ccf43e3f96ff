"""Where names of points go: beside their marks, over nothing. Places in pixels, y upwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

GAPS_PX = (3, 9, 18, 30, 46, 64, 88, 116)
"""Distances from the mark that are tried, the nearest first."""
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Right, left, above, below and the corners, the preferred first."""
NEAR_PX = 12
"""Gap between a mark and its name up to which no line joins them."""
STEPS = 16
MOST_TRIES = 20_000
MARGIN_PX = 2


class Box(NamedTuple):
    """A rectangle."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def grown(self, by: float) -> Box:
        """The rectangle with a margin, or without one for a negative `by`."""
        return Box(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def holds(self, other: Box) -> bool:
        """Whether the other lies within."""
        return (
            self.x0 <= other.x0
            and other.x1 <= self.x1
            and self.y0 <= other.y0
            and other.y1 <= self.y1
        )

    def touched(self, others: Sequence[Box]) -> int:
        """How many of the others it covers in part."""
        x0, y0, x1, y1 = self
        return sum(1 for a0, b0, a1, b1 in others if a0 < x1 and x0 < a1 and b0 < y1 and y0 < b1)


def place_names(
    marks: Sequence[Box],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Sequence[Box]],
    frame: Box,
) -> list[Box | None]:
    """Find a box for each name (width, height) by its mark: within the frame, over no mark,
    obstacle or other name.

    Where there is no such place a name covers what matters least, marks last; `obstacles` are
    groups, the weightiest first. Where names find no room beside one another, as many have a place
    as come first; the others have none.
    """
    choices = []
    for mark, size in zip(marks, sizes, strict=True):
        inside = [box for box in _around(mark, *size) if frame.holds(box)] or [
            next(_around(mark, *size))
        ]
        costs = [
            tuple(
                box.grown(MARGIN_PX).touched(group) + _crossed(mark, box, group)
                for group in (marks, *obstacles[:1])
            )
            + tuple(box.grown(MARGIN_PX).touched(group) for group in obstacles[1:])
            for box in inside
        ]
        choices.append(sorted(zip(costs, range(len(inside)), inside, strict=True)))
    free = [sum(not any(cost) for cost, *_ in ranked) for ranked in choices]
    boxes = [[box for *_, box in ranked] for ranked in choices]
    order = sorted(range(len(boxes)), key=lambda index: free[index])
    return _choose(boxes, order) or _choose_some(
        [[box for cost, _, box in ranked if not cost[0]] for ranked in choices], order
    )


def _crossed(mark: Box, box: Box, others: Sequence[Box]) -> int:
    """How many of the others the line from a mark to its name far away would cross; those that lie
    on the mark are crossed by any line.
    """
    if box.grown(NEAR_PX).touched([mark]):
        return 0
    x, y = mark.centre
    to_x, to_y = min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
    points = [(x + (to_x - x) * i / STEPS, y + (to_y - y) * i / STEPS) for i in range(1, STEPS)]
    return sum(
        1
        for other in others
        if not mark.touched([other])
        and any(Box(a, b, a, b).grown(1).touched([other]) for a, b in points)
    )


def _around(mark: Box, width: float, height: float) -> Iterator[Box]:
    """Boxes of a size beside a mark, the preferred ones first."""
    x, y = mark.centre
    across, along = (mark.x1 - mark.x0 + width) / 2, (mark.y1 - mark.y0 + height) / 2
    for gap in GAPS_PX:
        for right, up in SIDES:
            left = x + right * (0.75 * across if up else across + gap) - width / 2
            bottom = y + up * (along + gap) - height / 2
            yield Box(left, bottom, left + width, bottom + height)


def _choose(choices: Sequence[Sequence[Box]], order: Sequence[int]) -> list[Box | None] | None:
    """One box for each name so that no two touch, names settled in `order`; None where none is
    found.
    """
    chosen: dict[int, Box] = {}
    tries = 0

    def settle(depth: int) -> bool:
        nonlocal tries
        if depth == len(order):
            return True
        index = order[depth]
        for box in choices[index]:
            tries += 1
            if tries > MOST_TRIES:
                return False
            if not box.grown(MARGIN_PX).touched(list(chosen.values())):
                chosen[index] = box
                if settle(depth + 1):
                    return True
                del chosen[index]
        return False

    return [chosen[index] for index in range(len(choices))] if settle(0) else None


def _choose_some(choices: Sequence[Sequence[Box]], order: Sequence[int]) -> list[Box | None]:
    """One box for each name for which there is one left that touches none of those before it."""
    chosen: dict[int, Box] = {}
    for index in order:
        free = (
            box for box in choices[index] if not box.grown(MARGIN_PX).touched(list(chosen.values()))
        )
        if box := next(free, None):
            chosen[index] = box
    return [chosen.get(index) for index in range(len(choices))]
