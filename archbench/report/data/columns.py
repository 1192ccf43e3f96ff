"""The stable columns of records, for who names them: `compare --columns`, `plot trade-off --x`, a
spreadsheet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from archbench.report.data.rows import ASKED, COLUMNS, COUNTS, MEASURES, QUOTED, SOURCES
from archbench.report.page.sheet import heading_of
from archbench.report.tables.table import Column, Table

GROUPS = {
    "asked, and how it ended": ASKED,
    "counted": COUNTS,
    "measured": MEASURES,
    "quoted from a paper": SOURCES | QUOTED,
}
TYPES = {str: "text", int: "whole number", float: "number"}
UNITS = {
    "macs": "multiply-adds",
    "flops": "operations",
    "paper_flops": "operations",
    "gmacs_per_s": "1e9/s",
    "flops_per_s": "1/s",
    "fps_total": "images/s",
    "mac_eq1": "elements",
    "mac_bound": "elements",
    "cio": "elements",
    "cio_pool": "elements",
    "bn_elements": "elements",
    "bytes_all": "bytes",
    "ap_batch20": "%",
    "ap_batch32": "%",
}
"""Units that a name does not end in."""
ENDINGS = {
    "_ms": "ms",
    "_bytes": "bytes",
    "_j": "J",
    "_w": "W",
    "_img_s": "images/s",
    "fps": "images/s",
    "_ms_ci95_lo": "ms",
    "_ms_ci95_hi": "ms",
    **dict.fromkeys(("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "top1", "top5", "error"), "%"),
}
"""Units of names that end so."""
NOTE = (
    "These names and units are those of compare --csv and --json; tables for people round and "
    "scale. What was not measured is empty, and "
    "--json says why. published_* quote the paper's own figure, on its own device."
)


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
    ours = name.removeprefix("published_")
    return UNITS.get(ours) or next(
        (unit for ending, unit in ENDINGS.items() if ours.endswith(ending)), ""
    )


def tables() -> list[Table]:
    """A table for each group."""
    columns = [Column("column", "left"), Column("unit", "left"), Column("", "left")]
    made = [
        Table(columns, [_row(one) for one in described() if one.group == group], title=group)
        for group in GROUPS
    ]
    return [*made[:-1], Table(columns, made[-1].rows, made[-1].title, (NOTE,))]


def _row(column: Described) -> list[str]:
    """What a name says by itself is not said again."""
    return [
        column.name,
        column.unit,
        "" if column.what == column.name.replace("_", " ") else column.what,
    ]
