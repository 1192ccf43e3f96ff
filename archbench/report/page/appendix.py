"""The artifact appendix that reviewers ask for: hardware, versions, how it was measured, what
agrees with it, what came out, and the commands that make it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TypeAlias

from archbench.engine_names import EAGER
from archbench.escaping import visible
from archbench.papers.accuracies import DATASET
from archbench.records import Record
from archbench.report.data.claims import verdicts_of
from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.data.configurations import REPEATABLE, Configuration
from archbench.report.data.counts import network
from archbench.report.data.evidence import Evidence
from archbench.report.data.statistics import apart
from archbench.report.page.devices import DeviceCard, device_cards
from archbench.report.page.summary import summary
from archbench.report.tables.deciding import whole_time
from archbench.report.tables.table import (
    MISSING,
    Column,
    Table,
    latex_text,
    markdown_text,
)
from archbench.report.tables.words import counted

TITLE = "Artifact appendix"
LATEX_WIDTH = 90
"""Characters of a row beyond which a table is set in parts: a longer one runs off the paper."""
VIEWS = ("archbench compare", "archbench claims", "archbench report")
AGREEMENT = (
    "Counts (parameters, multiply-adds, memory access cost, activation memory) are exact: "
    "another run gives the same numbers. A time is a median; its range is the 95 % interval, or "
    "the range of the medians of several processes. Two times differ where their ranges do not "
    f"overlap and they are more than {REPEATABLE:.0%} apart; otherwise they agree. Times of "
    "another device are not to be compared."
)
SPREAD_COLUMNS = (
    Column("measured on", "left"),
    Column("configurations"),
    Column("95 % CI, half-width"),
    Column("widest"),
    Column("in several processes"),
    Column("spread of medians"),
    Column("largest"),
    Column("flagged as flawed"),
)


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    title: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Commands:
    """Lines to be typed."""

    lines: Sequence[str]


Part: TypeAlias = str | Facts | Commands | Table


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def sections(records: Sequence[Record], time: str, version: str) -> list[Section]:
    """Give the appendix of records, made at a time by a version of archbench."""
    evidence = Evidence(records)
    measured = {name: each for name, each in evidence.setups.items() if name != COUNTED_ONLY}
    cards = device_cards(measured)
    networks = len({network(record.spec) for record in records})
    made = (
        f"Made {time} by archbench {version} from {counted(len(records), 'record')} of "
        f"{counted(networks, 'network')}. Inputs and weights are listed below, under How it was "
        "measured."
    )
    results = summary(
        evidence.setups, evidence.configurations, verdicts_of(Evidence(records, EAGER))
    )
    spreads = _spreads(evidence.configurations)
    content = [
        Section(TITLE, [made, results.devices]),
        Section("Hardware and versions", [_facts(card, "environment") for card in cards]),
        Section("How it was measured", [_facts(card, "protocol") for card in cards]),
        Section("What counts as agreement", [AGREEMENT, *([spreads] if spreads.rows else [])]),
        Section("Results", _results(results.frontiers, results.claims)),
        Section("Commands", _commands(evidence.setups)),
    ]
    return [section for section in content if section.parts]


def markdown(content: Sequence[Section]) -> str:
    """Give an appendix as Markdown."""
    blocks: list[str] = []
    for place, section in enumerate(content):
        blocks.append(f"{'##' if place else '#'} {markdown_text(section.title)}")
        blocks += map(_as_markdown, section.parts)
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def latex(content: Sequence[Section]) -> str:
    """Give an appendix as LaTeX, for any document class and without a package."""
    blocks: list[str] = []
    for place, section in enumerate(content):
        blocks.append(rf"\{'subsection' if place else 'section'}*{{{latex_text(section.title)}}}")
        blocks += map(_as_latex, section.parts)
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _facts(card: DeviceCard, title: str) -> Facts:
    rows = next((table.rows for table in card.tables if table.columns[0].heading == title), [])
    return Facts(visible(card.name), rows)


def _spreads(configurations: Sequence[Configuration]) -> Table:
    """How far total times are known and repeats lie apart, a row a setup."""
    setups: dict[str, list[Configuration]] = {}
    for each in configurations:
        if whole_time(each):
            setups.setdefault(each.setup, []).append(each)
    return Table(SPREAD_COLUMNS, [[name, *_spread(each)] for name, each in setups.items()])


def _spread(configurations: Sequence[Configuration]) -> list[str]:
    times = [time for each in configurations if (time := whole_time(each)) and time.interval]
    alone = [apart(list(time.interval or ())) / 2 for time in times if time.processes == 1]
    repeated = [apart(list(time.interval or ())) for time in times if time.processes > 1]
    flawed = sum(bool(time.flaws) for each in configurations if (time := whole_time(each)))
    return [
        f"{len(configurations):,}",
        *_middle_and_most(alone),
        f"{len(repeated):,}",
        *_middle_and_most(repeated),
        f"{flawed:,}",
    ]


def _middle_and_most(shares: Sequence[float]) -> list[str]:
    return [f"{median(shares):.1%}", f"{max(shares):.1%}"] if shares else [MISSING, MISSING]


def _results(frontiers: Sequence[Table], claims: Table) -> list[Part]:
    titled = [
        replace(table, title=f"No other is faster and more accurate on {DATASET}: {table.title}")
        for table in frontiers
    ]
    return [*titled, replace(claims, title="The papers' claims on cost")]


def _commands(setups: Mapping[str, Sequence[Record]]) -> list[Part]:
    parts: list[Part] = []
    for name, records in setups.items():
        commands = dict.fromkeys(visible(record.command()) for record in records)
        parts += [f"{visible(name)}:", Commands(list(commands))]
    return [*parts, "To show the results:", Commands(VIEWS)]


def _as_markdown(part: Part) -> str:
    if isinstance(part, Table):
        return part.markdown()
    if isinstance(part, Facts):
        lines = [f"- {markdown_text(name)}: {markdown_text(value)}" for name, value in part.rows]
        return "\n".join([f"**{markdown_text(part.title)}**", "", *lines])
    if isinstance(part, Commands):
        return "\n".join(["```sh", *part.lines, "```"])
    return markdown_text(part)


def _as_latex(part: Part) -> str:
    if isinstance(part, Table):
        return "\n".join(table.latex() for table in part.split(LATEX_WIDTH))
    if isinstance(part, Facts):
        lines = [rf"\item[{{{latex_text(name)}}}] {latex_text(value)}" for name, value in part.rows]
        listed = [r"\begin{description}", *lines, r"\end{description}"] if lines else []
        return "\n".join([rf"\paragraph*{{{latex_text(part.title)}}}", *listed])
    if isinstance(part, Commands):
        # Fonts may curl a quote, which a shell then does not read.
        lines = [latex_text(line).replace("'", r"\textquotesingle{}") for line in part.lines]
        body = " \\\\\n".join(lines)
        return f"\\begin{{flushleft}}\\footnotesize\\ttfamily\n{body}\n\\end{{flushleft}}"
    return latex_text(part)
