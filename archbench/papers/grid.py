"""The grid of Huang et al., Speed/accuracy trade-offs: which pairs of extractor and meta-architecture they have, and how.

`huang_grid.csv` holds a row for each pair and output stride: its inputs, its proposals, and why the paper lacks it where it
does. The paper sweeps proposals "between 10 and 300" and names 10, 50, 100 and 300; its 147 configurations need five counts,
of which the text leaves one open, so that the sweep here, of six, gives 175.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from archbench.papers.published import read_table
from archbench.spec import OptionValue, Spec
from archbench.zoo import registry


@dataclass(frozen=True)
class Cell:
    """One meta-architecture on one extractor at one output stride; `lacking` says why the paper does not have it, or nothing."""

    detector: str
    backbone: str
    output_stride: int
    inputs: tuple[str, ...]
    proposals: tuple[int, ...]
    lacking: str

    def specs(self) -> list[Spec]:
        """Every configuration of the cell; none where the paper lacks it."""
        if self.lacking:
            return []
        options: dict[str, OptionValue] = {}
        if "output_stride" in registry.find("backbone", self.backbone).options:
            options["output_stride"] = self.output_stride
        swept: list[dict[str, OptionValue]] = [{"proposals": count} for count in self.proposals] or [{}]
        return [
            registry.resolve(self.backbone, self.detector, size=size, classes=None, batch=1, mode="infer", **options, **counts)
            for size in self.inputs
            for counts in swept
        ]


@cache
def cells() -> tuple[Cell, ...]:
    """Every cell of the grid, in the order of the file."""
    return tuple(
        Cell(
            row["detector"], row["backbone"], int(row["output_stride"]), tuple(row["inputs"].split()),
            tuple(map(int, row["proposals"].split())), row["lacking"],
        )
        for row in read_table("huang_grid.csv")
    )  # fmt: skip


def grid() -> list[Spec]:
    """Every configuration that the paper has, with every count of proposals of the sweep."""
    return [spec for cell in cells() for spec in cell.specs()]
