"""Our figures beside those of a paper's table: what was counted, and what one device measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from archbench.engine_names import EAGER
from archbench.papers import Published, metrics, own_rule
from archbench.papers.member import Member
from archbench.papers.suites import Suite
from archbench.reasons import Flag, Reason
from archbench.report.data.configurations import (
    Configuration,
    Estimate,
    measured_setups,
    of_one_card,
)
from archbench.report.data.counts import Count, Counts
from archbench.report.data.evidence import Evidence
from archbench.report.data.statistics import spearman
from archbench.spec import Spec

LEAST_RANKED = 3
"""Rows below which an order says nothing."""


@dataclass(frozen=True)
class Cell:
    """A published figure, ours in the paper's unit, or why there is none."""

    published: Published
    column: str
    """Our word for it; empty where it is quoted only."""
    ours: float | None = None
    estimate: Estimate | None = None
    missing: Reason | None = None
    setup: str = ""
    """What it was measured with."""

    @property
    def ratio(self) -> float | None:
        """Ours over the paper's."""
        return (
            self.ours / self.published.value
            if self.ours is not None and self.published.value
            else None
        )

    @property
    def flaws(self) -> list[Flag]:
        """The flags for which our figure is not ranked."""
        return self.estimate.flaws if self.estimate else []


@dataclass(frozen=True)
class Line:
    """A row of the table: its label, its network, and its figures by column."""

    label: str
    member: Member
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Reproduction:
    """A table with ours beside it. `setups`: what the measured figures are from; `others`: rows
    measured elsewhere, by setup.
    """

    suite: Suite
    lines: Sequence[Line]
    setups: Sequence[str]
    others: Mapping[str, int]
    with_flawed: bool = False
    timed: Sequence[tuple[str, Configuration]] = ()
    """What was measured of the rows on a card, by their labels."""
    engine: str = EAGER
    """What measured, or would measure, its figures."""

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


def reproduce_suite(
    suite: Suite,
    evidence: Evidence,
    *,
    device: str = "",
    with_flawed: bool = False,
    count: Count | None = None,
) -> Reproduction:
    """Set what records have of the suite's networks beside the paper's figures.

    Measured figures are of one setup, that with most rows among those whose name has `device` in
    it; figures that the paper has of a CPU are of a CPU.
    """
    source = _Source(suite, evidence, device, count)
    labels = Counter(member.label for member in suite.members)
    lines = []
    for member in suite.members:
        cells = {key: source.cell(member, figure) for key, figure in _keys(member).items()}
        where = (
            f", {member.figures[0].dataset}" if labels[member.label] > 1 and member.figures else ""
        )
        lines.append(Line(f"{member.label}{where}", member, cells))
    setups = dict.fromkeys(
        setup for setup in (source.setup, source.cpu_setup) if setup in source.used
    )
    others = {setup: len(rows) for setup, rows in source.setups.items() if setup not in setups}
    timed = [
        (line.label, source.setups[source.setup][line.member.spec])
        for line in lines
        if line.member.spec in source.setups.get(source.setup, {})
    ]
    engine = evidence.engine or EAGER
    return Reproduction(suite, lines, list(setups), others, with_flawed, timed, engine)


def metric_of(key: str) -> str:
    """The metric of a column's key."""
    return key.partition(" ")[0]


def _keys(member: Member) -> dict[str, Published]:
    """A row's figures by the key of their column."""
    keys: dict[str, Published] = {}
    times = Counter(figure.metric for figure in member.figures)
    for figure in member.figures:
        key = f"{figure.metric} {figure.dataset}" if times[figure.metric] > 1 else figure.metric
        keys.setdefault(key, figure)
    return keys


class _Source:
    """Where our figures come from: the counts of each network, and the configurations of one
    setup.
    """

    def __init__(self, suite: Suite, evidence: Evidence, device: str, count: Count | None) -> None:
        wanted = set(suite.specs)
        self.counts = Counts(evidence.counted, count)
        asked = [each for each in evidence.configurations if each.spec in wanted]
        self.setups = {
            setup: {each.spec: each for each in measured}
            for setup, measured in measured_setups(asked).items()
            if device.casefold() in setup.casefold()
        }
        self.setup = next(iter(self.setups), "")
        self.cpu_setup = next(
            (setup for setup, by_spec in self.setups.items() if _is_cpu(by_spec)), ""
        )
        self.used: set[str] = set()
        self._alike: dict[tuple[str, str], dict[Spec, Configuration]] = {}

    def cell(self, member: Member, published: Published) -> Cell:
        metric = metrics()[published.metric]
        rule = own_rule(published)
        word = (rule.ours if rule else "") or metric.ours
        if not word:
            return Cell(published, "")
        if member.spec is None:
            return Cell(published, word, missing=Reason.NOT_BUILT)
        if metric.is_counted:
            value = self.counts.value(member.spec, word, rule.formula if rule else "")
            return (
                Cell(published, word, missing=Reason.NOT_COUNTED)
                if value is None
                else Cell(published, word, value * float(metric.convert))
            )
        if not published.holds_for(member.spec):
            return Cell(published, word, missing=Reason.PROCEDURE)
        setup = self.cpu_setup if published.metric.startswith("cpu_") else self.setup
        configuration = self._measured(setup, word).get(member.spec)
        if configuration is None:
            return Cell(published, word, missing=Reason.NOT_MEASURED)
        estimate = configuration.estimate(word)
        if estimate is None:
            return Cell(published, word, missing=configuration.reason(word))
        self.used.add(setup)
        ours = estimate.value * float(metric.convert)
        return Cell(published, word, ours, estimate, setup=setup)

    def _measured(self, setup: str, word: str) -> dict[Spec, Configuration]:
        """The configurations of a setup whose figures may stand in one column."""
        key = (setup, word)
        if key not in self._alike:
            alike = of_one_card(self.setups.get(setup, {}).values(), word)
            self._alike[key] = {each.spec: each for each in alike}
        return self._alike[key]


def _is_cpu(configurations: Mapping[Spec, Configuration]) -> bool:
    configuration = next(iter(configurations.values()))
    return configuration.newest.environment.get("device") == "cpu"
