"""A paper's table as printed, ours beside each figure: what was counted, and what one device
measured.

Times, memory and energy of the paper belong to its card. What can be held against it from any
device is the order in which the rows lie: the rank agreement below a column is Spearman's rho
between the paper's figures and ours.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from archbench.papers import Published, metrics, own_rule
from archbench.papers.suites import Member, Suite
from archbench.records import Record
from archbench.report.data.configurations import (
    Configuration,
    Figure,
    configurations,
    measured_places,
)
from archbench.report.data.counts import Count, Counts
from archbench.report.data.statistics import spearman
from archbench.report.tables.compare import named_lines
from archbench.report.tables.table import MISSING, Column, Table
from archbench.report.tables.words import PUBLISHED, explain

LEAST_RANKED = 3
"""Rows below which an order says nothing."""
WIDTH = 80
LABEL_WIDTH = 32
APPROXIMATE = "~"
FLAWED = "*"
NOT_COUNTED, NOT_MEASURED, NOT_BUILT, PROCEDURE = (
    "not_counted",
    "not_measured",
    "not_built",
    "procedure",
)
UNKNOWN = re.compile(r"^no (backbone|detector) is called .*")
COLUMNS = (
    "source",
    "label",
    "dataset",
    "backbone",
    "detector",
    "input",
    "options",
    "approximate",
    "not_built",
    "metric",
    "published",
    "ours",
    "ratio",
    "column",
    "missing",
    "device",
    "processes",
    "flags",
    "rho",
    "rho_n",
)


@dataclass(frozen=True)
class Cell:
    """A published figure, ours in the paper's unit, or why there is none."""

    published: Published
    column: str
    """Our word for it; empty where it is quoted only."""
    ours: float | None = None
    figure: Figure | None = None
    missing: str = ""
    place: str = ""
    """Where it was measured."""

    @property
    def ratio(self) -> float | None:
        """Ours over the paper's."""
        return (
            self.ours / self.published.value
            if self.ours is not None and self.published.value
            else None
        )

    @property
    def flaws(self) -> list[str]:
        """The flags for which our figure is not ranked."""
        return self.figure.flaws if self.figure else []


@dataclass(frozen=True)
class Line:
    """A row of the table: its label, its network, and its figures by column."""

    label: str
    member: Member
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Reproduction:
    """A table with ours beside it. `places`: where the measured figures are from; `others`: rows
    measured elsewhere, by place.
    """

    suite: Suite
    lines: Sequence[Line]
    places: Sequence[str]
    others: Mapping[str, int]
    with_flawed: bool = False

    @cached_property
    def columns(self) -> list[str]:
        """The keys of the columns, in the paper's order: a metric, and the data set where a row has
        it for several.
        """
        return list(dict.fromkeys(key for line in self.lines for key in line.cells))

    @cached_property
    def compared(self) -> list[str]:
        """The columns that have one of ours."""
        return [key for key in self.columns if metrics()[metric_of(key)].ours]

    def agreement(self, key: str) -> tuple[float | None, int]:
        """Spearman's rho between the paper's figures and ours in a column, and of how many rows;
        approximate rows are left out.
        """
        cells = [
            line.cells[key]
            for line in self.lines
            if key in line.cells and not line.member.approximate
        ]
        pairs = [
            (cell.published.value, cell.ours)
            for cell in cells
            if cell.ours is not None and (self.with_flawed or not cell.flaws)
        ]
        rho = (
            spearman([paper for paper, _ in pairs], [ours for _, ours in pairs])
            if len(pairs) >= LEAST_RANKED
            else None
        )
        return rho, len(pairs)


def reproduce(
    suite: Suite,
    records: Sequence[Record],
    *,
    device: str = "",
    with_flawed: bool = False,
    count: Count | None = None,
) -> Reproduction:
    """Set what records have of the suite's networks beside the paper's figures.

    Measured figures are of one place, that with most rows among those whose name has `device` in
    it; figures that the paper has of a CPU are of a CPU.
    """
    source = _Source(suite, records, device, count)
    labels = Counter(member.label for member in suite.members)
    lines = []
    for member in suite.members:
        cells = {key: source.cell(member, figure) for key, figure in _keys(member).items()}
        where = (
            f", {member.figures[0].dataset}" if labels[member.label] > 1 and member.figures else ""
        )
        lines.append(Line(f"{member.label}{where}", member, cells))
    places = dict.fromkeys(
        place for place in (source.place, source.cpu_place) if place in source.used
    )
    others = {place: len(found) for place, found in source.places.items() if place not in places}
    return Reproduction(suite, lines, list(places), others, with_flawed)


def metric_of(key: str) -> str:
    """The metric of a column's key."""
    return key.partition(" ")[0]


def _keys(member: Member) -> dict[str, Published]:
    """A row's figures by the key of their column."""
    found: dict[str, Published] = {}
    times = Counter(figure.metric for figure in member.figures)
    for figure in member.figures:
        found.setdefault(
            f"{figure.metric} {figure.dataset}" if times[figure.metric] > 1 else figure.metric,
            figure,
        )
    return found


class _Source:
    """Where our figures come from: the counts of each network, and the configurations of one
    place.
    """

    def __init__(
        self, suite: Suite, records: Sequence[Record], device: str, count: Count | None
    ) -> None:
        wanted = set(suite.specs)
        self.counts = Counts(records, count)
        made = [one for one in configurations(records) if one.spec in wanted]
        self.places = {
            place: found
            for place, found in measured_places(made).items()
            if device.casefold() in place.casefold()
        }
        self.place = next(iter(self.places), "")
        self.cpu_place = next(
            (place for place, found in self.places.items() if _is_cpu(found[0])), ""
        )
        self.used: set[str] = set()

    def cell(self, member: Member, published: Published) -> Cell:
        metric = metrics()[published.metric]
        rule = own_rule(published)
        word = (rule.ours if rule else "") or metric.ours
        if not word:
            return Cell(published, "")
        if member.spec is None:
            return Cell(published, word, missing=NOT_BUILT)
        if metric.is_counted:
            value = self.counts.value(member.spec, word, rule.formula if rule else "")
            return (
                Cell(published, word, missing=NOT_COUNTED)
                if value is None
                else Cell(published, word, value * float(metric.convert))
            )
        if not published.holds_for(member.spec):
            return Cell(published, word, missing=PROCEDURE)
        place = self.cpu_place if published.metric.startswith("cpu_") else self.place
        one = next((one for one in self.places.get(place, ()) if one.spec == member.spec), None)
        figure = one.figure(word) if one else None
        if one is None or figure is None:
            return Cell(published, word, missing=one.reason(word) if one else NOT_MEASURED)
        self.used.add(place)
        return Cell(published, word, figure.value * float(metric.convert), figure, place=place)


def _is_cpu(one: Configuration) -> bool:
    return one.newest.environment.get("device") == "cpu"


def rows(made: Reproduction) -> list[dict[str, Any]]:
    """Give a row for each published figure, in the paper's units, with ours beside it."""
    found = []
    for line in made.lines:
        for key, cell in line.cells.items():
            figure, published = cell.figure, cell.published
            rho, n = made.agreement(key) if cell.column else (None, 0)
            found.append(
                {
                    "source": published.source,
                    "label": published.label,
                    "dataset": published.dataset or None,
                    "backbone": published.backbone or None,
                    "detector": published.detector,
                    "input": published.input or None,
                    "options": published.options or None,
                    "approximate": line.member.approximate or None,
                    "not_built": line.member.why or None,
                    "metric": published.metric,
                    "published": published.value,
                    "ours": cell.ours,
                    "ratio": cell.ratio,
                    "column": cell.column or None,
                    "missing": cell.missing or None,
                    "device": cell.place or None,
                    "processes": figure.processes if figure else None,
                    "flags": ";".join(figure.flags) or None if figure else None,
                    "rho": rho,
                    "rho_n": n or None,
                }
            )
    return found


def tables(made: Reproduction, *, width: int | None = WIDTH) -> list[Table]:
    """Give the table for people: ours and the ratio below each row of the paper's figures, then
    what is quoted alone.
    """
    drawn = []
    title = f"{made.suite.name}: {made.suite.title}".rstrip(": ")
    if made.compared:
        compared = _compared(made, title, width)
        drawn += compared.split(width) if width else [compared]
        drawn = [*drawn[:-1], replace(drawn[-1], notes=_notes(made))]
    quoted = [key for key in made.columns if key not in made.compared]
    if quoted:
        lines = [
            row
            for line in made.lines
            for row in named_lines(_label(line.label, width), [_paper(line, key) for key in quoted])
        ]
        heading = (
            "quoted from the paper, nothing of ours to set beside it"
            if made.compared
            else f"{title}; all quoted"
        )
        table = Table([Column("", "left"), *(_column(key) for key in quoted)], lines, title=heading)
        drawn += table.split(width) if width else [table]
    return drawn


def _compared(made: Reproduction, title: str, width: int | None) -> Table:
    """The rows as printed with ours below, and the rank agreement of each column."""
    lines: list[list[str]] = []
    for line in made.lines:
        if not any(key in line.cells for key in made.compared):
            continue
        mark = f" {APPROXIMATE}" if line.member.approximate else ""
        ours = [_ours(line, key) for key in made.compared]
        lines += [[text, *[""] * len(ours)] for text in _label(f"{line.label}{mark}", width)]
        lines += [["  paper", *(_paper(line, key) for key in made.compared)]]
        lines += [["  ours", *ours]] if line.member.spec else [["  not built", *[""] * len(ours)]]
        ratios = [_ratio(line, key) for key in made.compared]
        lines += [["  ours / paper", *ratios]] if any(ratios) else []
        lines.append([])
    agreement = [made.agreement(key) for key in made.compared]
    lines.append(
        ["rank agreement", *(MISSING if rho is None else f"{rho:.2f}" for rho, _ in agreement)]
    )
    lines.append(["  of rows", *(str(n) if n else "" for _, n in agreement)])
    return Table([Column("", "left"), *(_column(key) for key in made.compared)], lines, title=title)


def _label(text: str, width: int | None) -> list[str]:
    """A label in lines, where a table is narrow."""
    return textwrap.wrap(text, LABEL_WIDTH, subsequent_indent="  ") if width else [text]


def _column(key: str) -> Column:
    metric, _, dataset = key.partition(" ")
    return Column("\n".join(filter(None, [PUBLISHED.get(metric, metric), dataset])))


def _paper(line: Line, key: str) -> str:
    return f"{line.cells[key].published.value:.10g}" if key in line.cells else ""


def _ours(line: Line, key: str) -> str:
    """Our figure with as many decimals as the paper's and one more, an asterisk where it has a
    flaw.
    """
    cell = line.cells.get(key)
    if cell is None:
        return ""
    if cell.ours is None:
        return MISSING
    decimals = len(f"{cell.published.value:.10g}".partition(".")[2])
    decimals += cell.figure is not None or decimals > 0
    return f"{cell.ours:.{decimals}f}{FLAWED if cell.flaws else ''}"


def _ratio(line: Line, key: str) -> str:
    ratio = line.cells[key].ratio if key in line.cells else None
    return "" if ratio is None else f"{ratio:.3f}" if ratio < 10 else f"{ratio:.1f}"


def _notes(made: Reproduction) -> list[str]:
    """Where ours are from, what marks mean, what is missing and what would fill it."""
    cells = [cell for line in made.lines for cell in line.cells.values()]
    notes = (
        [
            f"ours: measured on {' and '.join(made.places)}; the paper's on its own card, so that "
            "ranks compare and times do not."
        ]
        if made.places
        else []
    )
    flagged = dict.fromkeys(flaw for cell in cells for flaw in cell.flaws)
    if flagged:
        ranked = "ranked all the same" if made.with_flawed else "not ranked; --flagged ranks it"
        notes.append(f"{FLAWED} {', '.join(flagged)}: {ranked}")
    notes += [
        f"{APPROXIMATE} {line.label}: approximate, not ranked: {line.member.approximate}"
        for line in made.lines
        if line.member.approximate
    ]
    notes += _missing(made, cells)
    if made.others:
        elsewhere = "; ".join(
            f"{count} of its networks on {place}" for place, count in made.others.items()
        )
        notes.append(f"Left out, measured elsewhere: {elsewhere}. --device chooses.")
    rules = dict.fromkeys(
        rule.note for rule in (own_rule(cell.published) for cell in cells) if rule
    )
    return [*notes, *rules]


def _missing(made: Reproduction, cells: Sequence[Cell]) -> list[str]:
    """Why figures are missing, and the command that makes those that a record would have."""
    notes = []
    unbuilt: dict[str, list[str]] = {}
    for line in made.lines:
        if line.member.spec is None:
            why = UNKNOWN.sub(r"the zoo has no \1 of that name", line.member.why)
            unbuilt.setdefault(why, []).append(line.label)
    notes += [f"not built, {why}: {'; '.join(who)}" for why, who in unbuilt.items()]
    reasons: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.missing and cell.missing != NOT_BUILT:
            reasons.setdefault(cell.missing, {})[
                PUBLISHED[cell.published.metric].replace("\n", " ")
            ] = None
    if reasons.pop(PROCEDURE, None):
        notes.append(
            "A row of several passes an image (multi-scale, several crops) has counts of its "
            "network alone."
        )
    counts, times = reasons.pop(NOT_COUNTED, {}), reasons.pop(NOT_MEASURED, {})
    if counts:
        notes.append(
            "No record has the counts of some rows: --count counts them now, archbench sweep "
            f"{made.suite.name} records them."
        )
    if times:
        notes.append(f"No record of some rows: archbench sweep {made.suite.name} measures them.")
    return notes + [
        f"{explain(reason)} ({reason}): {', '.join(words)}" for reason, words in reasons.items()
    ]
