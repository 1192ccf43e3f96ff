"""The images that an exported network takes: batch and sides, each fixed or free. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from archbench.spec import UsageError


@dataclass(frozen=True)
class Side:
    """One size of an input: what the network was exported with, 0 where its file does not say, and
    what it may be.
    """

    value: int
    least: int
    most: int | None

    def check(self, what: str, asked: int) -> None:
        """Raise UsageError, which says what is possible, for a size that cannot be."""
        if self.least == self.most:
            if asked != self.value:
                raise UsageError(f"invalid {what} {asked} (exported for {self})")
        elif asked < self.least or (self.most is not None and asked > self.most):
            raise UsageError(f"invalid {what} {asked} (takes {self})")

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.value} alone"
        return f"{self.least} to {self.most}" if self.most else f"{self.least} or more"


@dataclass(frozen=True)
class Images:
    """Images [batch, 3, height, width] that a network was exported with."""

    batch: Side
    height: Side
    width: Side
    dtype: str = "float32"

    @property
    def size(self) -> str:
        """The size that it was exported with, as WIDTHxHEIGHT; empty where that is not known."""
        sides = self.width, self.height
        is_known = all(side.value or side.most is not None for side in sides)
        return "x".join(str(side.value) for side in sides) if is_known else ""

    def check(self, size: tuple[int, int], batch: int) -> None:
        """Raise UsageError for a size (width, height) or a batch that it does not take."""
        self.width.check("width", size[0])
        self.height.check("height", size[1])
        self.batch.check("batch", batch)
