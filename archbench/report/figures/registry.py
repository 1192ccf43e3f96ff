"""Every figure by name: where it comes from, what it needs, and what makes its data. Adding one is
a row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archbench.report.figures import cspnet, curve, dsnet, engines, huang, own, vovnet
from archbench.report.figures.contract import (
    Missing,
    Plot,
    Plots,
    legible,
    without_empty_panels,
)
from archbench.report.figures.material import Material
from archbench.report.figures.tradeoff import trade_off
from archbench.report.tables.table import Column, Table
from archbench.spec import UsageError
from archbench.spelling import did_you_mean

RECORDS, PAPER, COUNTS, WEIGHTS, NOTHING = (
    "records",
    "records, paper",
    "counts",
    "weights",
    "not drawable",
)


TAKES = {
    RECORDS: ("--source", "--overlay"),
    PAPER: ("--source", "--overlay"),
    COUNTS: ("--network",),
    WEIGHTS: ("--network", "--weights"),
    NOTHING: ("--source", "--overlay"),
}
"""The flags that make a difference to figures of some data."""
AXES = ("--x", "--y", "--group", "--log")
"""The flags of the figure of any two columns."""


@dataclass(frozen=True)
class Figure:
    """A figure by its name: title, paper and number there, and what its data are."""

    name: str
    title: str
    origin: str
    needs: str
    _make: Callable[[Material], Plots]
    has_choice: bool = False
    """Whether what stands on its axes is chosen."""

    @property
    def takes(self) -> frozenset[str]:
        """The flags that make a difference to it, of those that not all figures take."""
        return frozenset((*TAKES[self.needs], *(AXES if self.has_choice else ())))

    def to_dict(self) -> dict[str, str]:
        """Give what is known of it as plain data."""
        return {"name": self.name, "title": self.title, "after": self.origin, "from": self.needs}

    def make(self, material: Material) -> Plots:
        """Make its data; raises UsageError for a choice that cannot be."""
        if material.source == "paper" and self.needs == RECORDS and self.origin == OWN:
            return [
                Missing(
                    self.name,
                    "it has no published version; without --source paper it is drawn from records",
                )
            ]
        return [
            legible(without_empty_panels(made) if isinstance(made, Plot) else made)
            for made in self._make(material)
        ]


OWN = "ours"
FIGURES = (
    Figure("aggregation", "what layers of a block read", "VoVNet 2", WEIGHTS, vovnet.aggregation),
    Figure("efficiency", "accuracy, speed and energy", "VoVNet 3, 4", PAPER, vovnet.efficiency),
    Figure("speed-accuracy", "accuracy over time", "Huang 2", RECORDS, huang.speed_accuracy),
    Figure(
        "extractor-accuracy",
        "detector, extractor accuracy",
        "Huang 3",
        NOTHING,
        huang.refused("extractor-accuracy"),
    ),
    Figure(
        "object-size",
        "accuracy by size of objects",
        "Huang 4",
        NOTHING,
        huang.refused("object-size"),
    ),
    Figure("resolution", "accuracy by resolution", "Huang 5", NOTHING, huang.refused("resolution")),
    Figure("proposals", "time over proposals", "Huang 6a, 6b", RECORDS, huang.proposals),
    Figure("time", "time by part", "Huang 7", RECORDS, huang.time_by_part),
    Figure("flops-time", "multiply-adds over time", "Huang 8a, 8b", RECORDS, huang.flops_time),
    Figure("memory", "memory by extractor", "Huang 9", RECORDS, huang.memory),
    Figure("memory-time", "memory over time", "Huang 10a, 10b", RECORDS, huang.memory_time),
    Figure("overlap", "accuracy at two overlaps", "Huang 11", NOTHING, huang.refused("overlap")),
    Figure("csp-overview", "networks with partial stages", "CSPNet 1", PAPER, cspnet.csp_overview),
    Figure("fusion", "accuracy of ways to fuse", "CSPNet 4", PAPER, cspnet.fusion),
    Figure("layers", "computation of each layer", "CSPNet 7", COUNTS, cspnet.layers),
    Figure("layer-io", "input and output of layers", "CSPNet 8", COUNTS, cspnet.layer_io),
    Figure(
        "training-cost", "memory and time of a step", "DSNet table 9", PAPER, dsnet.training_cost
    ),
    Figure("roofline", "roofline of the device", OWN, RECORDS, own.roofline),
    Figure("explains", "what explains time, energy", OWN, RECORDS, own.explains),
    Figure("engines", "time by engine", OWN, RECORDS, engines.by_engine),
    Figure("curve", "over batch and input", OWN, RECORDS, curve.curve),
    Figure("trade-off", "any two columns (--x, --y)", OWN, PAPER, trade_off, has_choice=True),
)
TAKEN = frozenset().union(*(figure.takes for figure in FIGURES))
"""The flags that not all figures take."""


def find(name: str) -> Figure:
    """Find a figure by name, or raise UsageError with the nearest."""
    figures = {figure.name: figure for figure in FIGURES}
    if name not in figures:
        hint = did_you_mean(name, figures, "archbench plot lists them")
        raise UsageError(f"unknown plot {name!r}; {hint}")
    return figures[name]


def table() -> Table:
    """A row for each figure."""
    rows = [[figure.name, figure.title, figure.origin, figure.needs] for figure in FIGURES]
    notes = [
        "records: needs measured networks (archbench sweep). paper: --source paper draws the "
        "published figures, --overlay both. counts: counted when drawn. weights: needs a "
        "checkpoint, --weights FILE. not drawable: the paper gives no accuracies for it.",
        "archbench plot NAME draws one figure, archbench plot all every one that can be drawn.",
    ]
    return Table(
        [
            Column("plot", "left"),
            Column("", "left"),
            Column("after", "left"),
            Column("from", "left"),
        ],
        rows,
        notes=notes,
    )
