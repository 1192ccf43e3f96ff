"""Which axes of a graph's input are its batch and the sides of an image. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence

CHANNELS = (1, 3, 4)
"""Channels of an image, by which one that keeps them last is told."""
BATCH_NAME = re.compile(r"(^|[^a-z])(n|b|bs|bsz)$|batch", re.IGNORECASE)

Side = int | str
"""A fixed side, or the name of a dynamic one, which may be empty."""


def image_axes(sides: Sequence[Side]) -> tuple[int, int] | None:
    """Give the axes of an image's width and height, channels first or last; None for no image."""
    rank = len(sides)
    if rank == 4:
        is_last = sides[3] in CHANNELS and sides[1] not in CHANNELS
        return (2, 1) if is_last else (3, 2)
    return (2, 1) if rank == 3 and sides[0] in CHANNELS else None


def batch_axis(sides: Sequence[Side], otherwise: int = 0) -> int:
    """Give the axis of the batch: one that is called so, else the first or another."""
    called = [axis for axis, side in enumerate(sides) if BATCH_NAME.search(str(side))]
    return called[0] if called else otherwise
