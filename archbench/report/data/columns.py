"""The stable columns of records, for who names them: `compare --columns`, `plot trade-off --x`, a
spreadsheet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from archbench.quantities import COUNTED, MEASURED, QUANTITIES
from archbench.quantity import PLAIN_UNITS, Quantity
from archbench.report.data.headings import PUBLISHED
from archbench.report.data.rows import ACCURACY, ASKED, COLUMNS, ENGINE, LATER, QUOTED, SOURCES

QUOTES = "published_"
GROUPS = {
    "asked, and how it ended": ASKED,
    "counted": COUNTED,
    "measured": {name: row for name, row in MEASURED.items() if not row.is_later},
    "quoted from a paper": SOURCES | QUOTED,
    "spread of total times": LATER,
    "published accuracy, of one data set": ACCURACY,
    "what ran the network": ENGINE,
}
TYPES = {str: "text", int: "whole number", float: "number"}
HEADINGS = {
    "record_id": "record",
    "time_utc": "made (UTC)",
    "device_uuid": "card",
    "accuracy": "AP on COCO, mAP on VOC",
    "accuracy_dataset": "data set of the accuracy",
    "accuracy_source": "table with the accuracy",
}
"""Headings of what was asked, where a name says too little."""


@dataclass(frozen=True)
class Described:
    """A column: its name, the unit and type of its values, what it is, and what it is one of."""

    name: str
    unit: str
    type: str
    what: str
    group: str

    def to_dict(self) -> dict[str, str]:
        """Give it as plain data."""
        return asdict(self)


def described() -> list[Described]:
    """Every stable column in its order."""
    return [
        Described(
            name,
            unit_of(name),
            TYPES[COLUMNS[name]],
            heading_of(name).removeprefix("paper: ").removesuffix(" (%)"),
            group,
        )
        for group, names in GROUPS.items()
        for name in names
    ]


def unit_of(name: str) -> str:
    """The unit in which a column is stored; empty for texts, plain numbers and ratios."""
    row = quantity_of(name)
    if row:
        return "" if row.unit in PLAIN_UNITS else row.unit
    return "%" if name == "accuracy" else QUOTED[name].unit if name in QUOTED else ""


def heading_of(name: str) -> str:
    """A column's heading for people; of a published figure, with whose it is."""
    ours = name.removeprefix(QUOTES)
    if ours in QUANTITIES:
        heading = QUANTITIES[ours].title
    else:
        plain = ours.removesuffix(f"_{unit_of(name)}").replace("_", " ")
        heading = HEADINGS.get(ours) or PUBLISHED.get(ours, plain).replace("\n", " ")
    return f"paper: {heading}" if name.startswith(QUOTES) else heading


def quantity_of(name: str) -> Quantity | None:
    """The figure that a column holds, ours or a paper's; None for what is none of our words."""
    return QUANTITIES.get(QUOTED[name].ours if name in QUOTED else name)
