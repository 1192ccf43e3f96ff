"""The grid of Huang et al., Speed/accuracy trade-offs: which pairs of extractor and
meta-architecture they have, and how.

`huang_grid.csv` holds a row for each pair and output stride: its inputs, its proposals, and why the
paper lacks it where it does. The paper sweeps proposals "between 10 and 300" and names 10, 50, 100
and 300; its 147 configurations need five counts, of which the text leaves one open, so that the
sweep here, of six, gives 175.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from archbench.papers.published import read_table
from archbench.spec import OptionValue, Spec
from archbench.zoo import catalogue


@dataclass(frozen=True)
class Point:
    """One configuration of the grid by the words of the paper; `size` is the side of its input, no
    `proposals` are 0.
    """

    spec: Spec
    detector: str
    backbone: str
    size: int
    output_stride: int
    proposals: int


@dataclass(frozen=True)
class Cell:
    """One meta-architecture on one extractor at one output stride; `lacking` says why the paper
    does not have it, or nothing.
    """

    detector: str
    backbone: str
    output_stride: int
    inputs: tuple[str, ...]
    proposals: tuple[int, ...]
    lacking: str

    def points(self) -> list[Point]:
        """Every configuration of the cell; none where the paper lacks it."""
        if self.lacking:
            return []
        options: dict[str, OptionValue] = {}
        if "output_stride" in catalogue.find("backbone", self.backbone).options:
            options["output_stride"] = self.output_stride
        return [
            Point(
                self._spec(size, options | ({"proposals": count} if count else {})),
                self.detector,
                self.backbone,
                side,
                stride,
                count,
            )
            for size in self.inputs
            for count in self.proposals or (0,)
            for side, stride in [(int(size.partition("x")[0]), self.output_stride)]
        ]

    def _spec(self, size: str, options: dict[str, OptionValue]) -> Spec:
        return catalogue.resolve(
            self.backbone, self.detector, size=size, classes=None, options=options
        ).spec


@cache
def cells() -> tuple[Cell, ...]:
    """Every cell of the grid, in the order of the file."""
    return tuple(
        Cell(
            row["detector"],
            row["backbone"],
            int(row["output_stride"]),
            tuple(row["inputs"].split()),
            tuple(map(int, row["proposals"].split())),
            row["lacking"],
        )
        for row in read_table("huang_grid.csv")
    )


@cache
def points() -> tuple[Point, ...]:
    """Every configuration that the paper has, with every count of proposals of the sweep."""
    return tuple(point for cell in cells() for point in cell.points())


def grid() -> list[Spec]:
    """The networks of all configurations."""
    return [point.spec for point in points()]
