"""What a network is given, call after call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from torch import Tensor

BUFFERS = 2
"""Batches on the device, which are used in turn."""


class Inputs(Iterator[Tensor]):
    """Batches on a device, given in turn without end.

    Two lie there; where there are more, as of pictures, these wait in the host's memory until
    `refill` copies the next one in, so that no figure of the device's memory holds them. `place`
    gives a batch as it lies on the device.
    """

    def __init__(self, rows: Sequence[Tensor], place: Callable[[Tensor], Tensor]) -> None:
        self._resident = [place(row) for row in rows[:BUFFERS]]
        # On a CPU a placed batch may be the row itself, which refilling overwrites.
        first = (row.clone() for row in rows[:BUFFERS])
        self._waiting = cycle([*rows[BUFFERS:], *first]) if len(rows) > BUFFERS else None
        self._turn = 0

    def __next__(self) -> Tensor:
        given = self._resident[self._turn]
        self._turn = (self._turn + 1) % len(self._resident)
        return given

    def refill(self) -> None:
        """Put the batch that has waited longest in the place of the one that is given next."""
        if self._waiting is not None:
            self._resident[self._turn].copy_(next(self._waiting))
