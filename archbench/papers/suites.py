"""Suites: named lists of networks, in the order of a paper's rows, or a user's own out of a TOML
file. Torch-free.

Each table of `published.csv` is one, and Huang et al.'s grid. `suites.toml` gives them titles, and
holds the tables and figures that are made of others or have no figures of their own. A user's file
has the form of one suite there:

    title = "..."
    backbone, detector, size, classes, batch, mode
                            a network; a list makes a grid of all combinations
    options = { KEY = VALUE }
                            of the network; lists here too
    include = ["vovnet/table4", { ... }]
                            more rows: those of a suite, or another grid, which may have a label;
                            { suite = "vovnet/table4", batch = [1, 8] }: a suite's, called otherwise
    engine                  the engine that runs the networks, or a list of them (default: eager)
    only = { detector = ..., options = { ... } }
                            the rows that fit stay; of several values for a key one fits
    exclude = { ... } or [{ ... }, { ... }]
                            the rows that fit go

A paper's suite keeps the rows that the zoo does not build, with the reason; they fill up when it
does.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import filterfalse
from pathlib import Path
from typing import Any

from archbench.engine_names import EAGER
from archbench.files import parse_toml, read_text
from archbench.papers.grid import grid
from archbench.papers.member import Member, resolved, row_of
from archbench.papers.published import Published, figures, metrics
from archbench.papers.suite_file import NETWORK, Table, fits
from archbench.spec import Spec, UsageError, parse_options
from archbench.spelling import did_you_mean, match
from archbench.zoo import catalogue

GRID = "huang/grid"
PAIRS = "pairs"
ALL = "all"
CALL = ("batch", "mode")
"""What may be another for all rows of a suite: how its networks are called."""


@dataclass(frozen=True)
class Suite:
    """A named list of networks."""

    name: str
    title: str
    members: tuple[Member, ...]
    engines: tuple[str, ...] = (EAGER,)
    """In which engines its networks are measured where nothing else is asked for."""

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Each network once, in the order of the rows."""
        return tuple(dict.fromkeys(member.spec for member in self.members if member.spec))

    @property
    def missing(self) -> tuple[Member, ...]:
        """The rows without a network."""
        return tuple(member for member in self.members if not member.spec)


def names() -> list[str]:
    """The names of all suites: paper by paper, its figures and tables in order; `pairs` and `all`
    last.
    """
    known = dict.fromkeys([*_published(), GRID, *_described()])
    papers = list(dict.fromkeys(name.partition("/")[0] for name in known))

    def order(name: str) -> tuple[int, str, float, str]:
        paper, _, label = name.partition("/")
        word, number, letter = re.findall(r"^([a-z]*)([\d.]*)(.*)", label)[0]
        return papers.index(paper), word, float(number or 0), letter

    return [*sorted(known.keys() - {PAIRS, ALL}, key=order), PAIRS, ALL]


def suites() -> list[Suite]:
    """Every suite."""
    return [suite(name) for name in names()]


@cache
def suite(name: str) -> Suite:
    """Find a suite by any spelling of its name, or raise UsageError with names that are near it."""
    known = match(name, names())
    if known is None:
        hint = did_you_mean(name, names(), "archbench list suites shows them")
        raise UsageError(f"unknown suite {name!r}; {hint}")
    described = _described().get(known, {})
    title = described.get("title", "")
    if known == ALL:
        return Suite(known, title, _every_network())
    if known == PAIRS:
        return Suite(known, title, _every_pair())
    if known == GRID:
        return Suite(known, title, tuple(row_of(catalogue.network(spec)) for spec in grid()))
    if known in _published():
        return Suite(known, title, _published()[known])
    return _suite_of(known, Table(f"suites.toml, {known}", described))


def read_suite(path: Path) -> Suite:
    """Read a user's own suite; raises UsageError with the file and the place in it for what cannot
    be.
    """
    try:
        data = parse_toml(read_text(path, "suite"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"suite {path} is not valid TOML: {error}") from None
    table = Table(str(path), data, str(path.parent))
    own = _suite_of(path.stem, table)
    for grid_table in (table, *table.tables("include")):
        grid_table.check_networks()
    return own


@cache
def _described() -> dict[str, dict[str, Any]]:
    """The tables of `suites.toml` by the name of the suite."""
    return tomllib.loads(
        resources.files("archbench.papers").joinpath("suites.toml").read_text(encoding="utf-8")
    )


@cache
def _published() -> dict[str, tuple[Member, ...]]:
    """The rows of each published table; several rows of one network under one label are one."""
    rows: dict[tuple[object, ...], list[Published]] = {}
    for figure in figures():
        rows.setdefault((figure.source, figure.label, figure.classes, figure.batch), []).append(
            figure
        )
    tables: dict[str, list[Member]] = {}
    for row in rows.values():
        tables.setdefault(row[0].source, []).append(_published_row(row))
    return {source: tuple(members) for source, members in tables.items()}


def _published_row(row: list[Published]) -> Member:
    """The network of a published row, at the batch and in the mode that its figures are of."""
    first = row[0]
    trains = any(metrics()[figure.metric].protocol == "train" for figure in row)
    given = {
        "backbone": first.backbone,
        "detector": first.detector,
        "size": first.input or None,
        "classes": first.classes,
    }
    given |= {"batch": first.batch, "mode": "train" if trains else "infer"}
    member = resolved(given, parse_options(first.options.split(";") if first.options else []))
    if not first.backbone:
        why = "the paper does not say what its backbone is"
        member = replace(member, why=why, kind_of_why="")
    return replace(member, label=first.label, figures=tuple(row))


def _every_network() -> tuple[Member, ...]:
    """The first row of every network that is published or in the grid."""
    rows: dict[object, Member] = {}
    for name in (*_published(), GRID):
        for member in suite(name).members:
            asked = member.figures[0] if member.figures else None
            unbuilt = (
                (member.backbone, member.detector, asked.input, asked.options, asked.classes)
                if asked
                else ()
            )
            rows.setdefault(member.spec or unbuilt, member)
    return tuple(rows.values())


def _every_pair() -> tuple[Member, ...]:
    """Every pair of backbone and detector that is published or in the grid, once: at its smallest
    input, with the fewest options set.
    """
    rows: dict[str, Member] = {}
    for member in _every_network():
        if member.detector:
            spec = member.spec
            pair = f"{spec.backbone} + {spec.detector}" if spec else member.label
            rows[pair] = min(rows.get(pair, member), member, key=_extent)
    return tuple(replace(member, label=pair, figures=()) for pair, member in rows.items())


def _extent(member: Member) -> tuple[int, int]:
    """The pixels of a row's network, and how many options are not as they usually are."""
    return (
        (member.spec.width * member.spec.height, len(member.spec.options))
        if member.spec
        else (0, 0)
    )


def _suite_of(name: str, table: Table) -> Suite:
    """Make the suite that a table of a TOML file describes."""
    table.check_keys("title", "engine", *NETWORK, "options", "include", "only", "exclude")
    members = _networks(table)
    for included in table.tables("include"):
        included.check_keys("suite", *NETWORK, "options", "label")
        members += _of_suite(included) if "suite" in included.data else _networks(included)
        table.check_rows(len(members))
    for rule in table.tables("only"):
        members = list(filter(fits(rule), members))
    for rule in table.tables("exclude"):
        left = list(filterfalse(fits(rule), members))
        if len(left) == len(members):
            raise rule.error("it fits no row of the suite")
        members = left
    if not members:
        raise table.error('it names no network; backbone = "vovnet39" would be one')
    return Suite(name, table.text("title"), tuple(members), table.engines())


def _networks(table: Table) -> list[Member]:
    """The networks of a table's grid."""
    if "backbone" not in table.data:
        if table.data.keys() & {*NETWORK, "options", "label"}:
            raise table.error("it has no backbone")
        return []
    rows = [resolved(*asked) for asked in table.combinations()]
    return [replace(row, label=table.text("label") or row.label) for row in rows]


def _of_suite(table: Table) -> list[Member]:
    """The rows of the suite that a table names, called as it says."""
    table.check_keys("suite", *CALL)
    name, calls = table.text("suite"), [call for call, _ in table.combinations()]
    with table.placing():
        members = suite(name).members
    table.check_rows(len(members) * len(calls))
    with table.placing():
        return [member.called(call) for member in members for call in calls]
