"""Where names of points go: beside their marks, over nothing. Places in pixels, y upwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

GAPS_PX = (3, 9, 18, 30, 46, 64)
"""Distances from the mark that are tried, the nearest first."""
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Right, left, above, below and the corners, the preferred first."""
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
        return self.x0 <= other.x0 and other.x1 <= self.x1 and self.y0 <= other.y0 and other.y1 <= self.y1

    def touched(self, others: Sequence[Box]) -> int:
        """How many of the others it covers in part."""
        x0, y0, x1, y1 = self
        return sum(1 for a0, b0, a1, b1 in others if a0 < x1 and x0 < a1 and b0 < y1 and y0 < b1)


def place_names(
    marks: Sequence[Box], sizes: Sequence[tuple[float, float]], obstacles: Sequence[Sequence[Box]], frame: Box
) -> list[Box]:  # fmt: skip
    """Find a box for each name (width, height) by its mark: within the frame, over no mark, obstacle or other name.

    Where there is no such place a name covers what matters least, marks last; `obstacles` are groups, the weightiest first.
    Names cover one another only where no other arrangement is found.
    """
    choices = []
    for mark, size in zip(marks, sizes, strict=True):
        inside = [box for box in _around(mark, *size) if frame.holds(box)] or [next(_around(mark, *size))]
        costs = [tuple(box.grown(MARGIN_PX).touched(group) for group in (marks, *obstacles)) for box in inside]
        choices.append(sorted(zip(costs, range(len(inside)), inside, strict=True)))
    free = [sum(not any(cost) for cost, *_ in ranked) for ranked in choices]
    boxes = [[box for *_, box in ranked] for ranked in choices]
    return _choose(boxes, sorted(range(len(boxes)), key=lambda index: free[index])) or [places[0] for places in boxes]


def _around(mark: Box, width: float, height: float) -> Iterator[Box]:
    """Boxes of a size beside a mark, the preferred ones first."""
    x, y = mark.centre
    across, along = (mark.x1 - mark.x0 + width) / 2, (mark.y1 - mark.y0 + height) / 2
    for gap in GAPS_PX:
        for right, up in SIDES:
            left = x + right * (0.75 * across if up else across + gap) - width / 2
            bottom = y + up * (along + gap) - height / 2
            yield Box(left, bottom, left + width, bottom + height)


def _choose(choices: Sequence[Sequence[Box]], order: Sequence[int]) -> list[Box] | None:
    """One box for each name so that no two touch, names settled in `order`; None where none is found."""
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
