"""Records as one HTML page that needs nothing else: tables, a plot of any two columns, the papers'
tables, claims, figures.

The templates escape every text that they are given. The page's policy lets it load nothing and run
no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from archbench.engine_names import EAGER
from archbench.escaping import visible
from archbench.papers.suites import ALL, Suite, suites
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.claims import Verdict, verdicts_of
from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.data.configurations import Configuration, alone
from archbench.report.data.counts import network
from archbench.report.data.evidence import Evidence
from archbench.report.data.reproduction import reproduce_suite
from archbench.report.page.devices import device_cards
from archbench.report.page.folded import folded_table
from archbench.report.page.sheet import COMMAND, Sheet, SheetColumn, decimals_of, sheet
from archbench.report.page.summary import VERDICTS, summary
from archbench.report.tables import claims, reproduce
from archbench.report.tables.deciding import by_whole_time
from archbench.report.tables.table import Table, one_line
from archbench.report.tables.words import counted

TEMPLATE, STYLE = "page.html", "page.css"
SCRIPTS = ("scatter.js", "page.js")
FACETS = (
    "device",
    "engine",
    "precision",
    "backbone",
    "detector",
    "input",
    "batch",
    "mode",
    "status",
)
"""Columns that the page offers to filter by."""


@dataclass(frozen=True)
class Picture:
    """A figure that could be drawn: its SVG element and what its caption says."""

    name: str
    title: str
    svg: str
    words: Sequence[str]


@dataclass(frozen=True)
class Contents:
    """What a page is made of. `missing` are the figures that cannot be drawn, by name with the
    reason; `time` says when the page is made, in words.
    """

    records: Sequence[Record]
    pictures: Sequence[Picture]
    missing: Mapping[str, str]
    time: str
    version: str
    is_whole: bool = False
    """Whether every record has a row of its own, repeats not folded."""


@dataclass(frozen=True)
class Paper:
    """A paper's table that has `ours` rows with a figure of ours, of `rows` in all."""

    title: str
    ours: int
    rows: int
    tables: Sequence[Table]


@dataclass(frozen=True)
class Claims:
    """The papers' claims as tables: those that our figures decide, and apart from them those
    without a verdict.
    """

    count: int
    outcomes: str
    decided: Sequence[Table]
    undecided: Sequence[Table]
    undecided_count: int
    are_counts_missing: bool


def page(contents: Contents) -> str:
    """Give the whole page as text."""
    evidence, in_eager = Evidence(contents.records), Evidence(contents.records, EAGER)
    shown = _in_order(alone(evidence.setups) if contents.is_whole else evidence.configurations)
    rows = sheet(shown)
    verdicts = verdicts_of(in_eager)
    scripts = [_file(name) for name in SCRIPTS]
    return (
        _templates()
        .get_template(TEMPLATE)
        .render(
            contents=contents,
            policy=_policy(scripts),
            style=Markup(_file(STYLE)),
            scripts=[Markup(script) for script in scripts],
            headline=_headline(evidence),
            summary=summary(evidence.setups, evidence.configurations, verdicts),
            devices=device_cards(evidence.setups),
            sheet=rows,
            data=_data(rows, "records" if contents.is_whole else "configurations"),
            folded_count=len(contents.records) - len(rows.names),
            folded=folded_table([] if contents.is_whole else evidence.configurations),
            papers=_papers(in_eager),
            claims=_claims(verdicts),
            verdicts=VERDICTS,
        )
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("archbench.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else visible(str(value)),
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "counted": counted,
        "one_line": one_line,
        "padding": _padding,
        "side": _side,
    }
    return environment


def _file(name: str) -> str:
    return files("archbench.report.page").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str]) -> str:
    """The page's content security policy: nothing is fetched, and no script runs but these."""
    hashes = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: "
        "blob:; base-uri 'none'; form-action 'none'"
    )


def _in_order(configurations: Iterable[Configuration]) -> list[Configuration]:
    """By total time, all of inference before all of training."""
    return sorted(by_whole_time(configurations), key=lambda each: each.spec.mode == "train")


def _headline(evidence: Evidence) -> str:
    records = evidence.records
    failed = sum(record.status != Status.OK for record in records)
    networks = len({network(record.spec) for record in records})
    devices = [name for name in evidence.setups if name != COUNTED_ONLY]
    text = f"{counted(len(records), 'record')} of {counted(networks, 'network')}"
    if len(devices) == 1:
        text += f", measured on {devices[0]}"
    elif devices:
        text += f", measured under {len(devices)} conditions"
    return f"{text}; {failed} failed" if failed else text


def _side(column: SheetColumn) -> str:
    return "right" if column.is_number else "command" if column.name == COMMAND else "left"


def _padding(column: SheetColumn, index: int) -> str:
    """The class that lines a number's point up with those of its column: what it lacks behind it,
    and whether the point too.
    """
    if not column.is_number or not column.decimals:
        return ""
    own = decimals_of(column.texts[index])
    lacking = column.decimals - own
    return f" pad{lacking}{'' if own else 'p'}" if lacking else ""


def _data(whole: Sheet, unit: str) -> dict[str, Any]:
    """What the page's script reads; `unit` is what a row is of."""
    return {
        "unit": unit,
        "names": list(whole.names),
        "columns": [column.to_dict() for column in whole.columns],
        "shown": [column.name for column in whole.shown],
        "facets": [name for name in FACETS if whole.tells(name)],
    }


def _papers(evidence: Evidence) -> list[Paper]:
    """The papers' tables that have a figure of ours, each once: a figure's networks may be those of
    a table.
    """
    recorded = {record.spec for record in evidence.records if record.status == Status.OK}
    known = {
        frozenset(figure for member in suite.members for figure in member.figures): suite
        for suite in suites()
        if suite.name != ALL
    }
    candidates = [suite for suite in known.values() if recorded & set(suite.specs)]
    papers = (_paper(suite, evidence) for suite in candidates)
    return [paper for paper in papers if paper]


def _paper(suite: Suite, evidence: Evidence) -> Paper | None:
    reproduction = reproduce_suite(suite, evidence)
    lines = reproduction.lines
    ours = sum(any(cell.ours is not None for cell in line.cells.values()) for line in lines)
    if not ours:
        return None
    first, *others = reproduce.tables(reproduction, width=None)
    return Paper(first.title, ours, len(lines), [replace(first, title=""), *others])


def _claims(verdicts: Sequence[Verdict]) -> Claims:
    decided = [verdict for verdict in verdicts if verdict.outcome in VERDICTS]
    undecided = [verdict for verdict in verdicts if verdict.outcome not in VERDICTS]
    counts = Counter(verdict.outcome for verdict in verdicts)
    return Claims(
        count=len(verdicts),
        outcomes=", ".join(f"{count} {outcome}" for outcome, count in counts.items()),
        decided=claims.tables(decided, width=None),
        undecided=claims.tables(undecided, width=None),
        undecided_count=len(undecided),
        are_counts_missing="not counted" in counts,
    )
