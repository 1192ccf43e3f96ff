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
    only = { detector = ..., options = { ... } }
                            the rows that fit stay; of several values for a key one fits
    exclude = { ... } or [{ ... }, { ... }]
                            the rows that fit go

A paper's suite keeps the rows that the zoo does not build, with the reason; they fill up when it
does.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import filterfalse, product
from pathlib import Path
from typing import Any

from archbench.papers.grid import grid
from archbench.papers.pairs import approximation
from archbench.papers.published import Published, figures, metrics
from archbench.spec import OptionValue, Spec, UsageError, format_value, parse_options, parse_size
from archbench.zoo.catalogue import registry

GRID = "huang/grid"
PAIRS = "pairs"
ALL = "all"
NETWORK: dict[str, tuple[type, ...]] = {
    "backbone": (str,),
    "detector": (str,),
    "size": (int, str),
    "classes": (int,),
    "batch": (int,),
    "mode": (str,),
}
"""The keys of a network in a suite's file and the types of their values; its options have a table.
"""
CALL = ("batch", "mode")
"""What may be another for all rows of a suite: how its networks are called."""
OPTION_TYPES = (bool, int, float, str)
TYPE_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Member:
    """One row of a suite: its network, or why there is none, and the figures that the paper printed
    of it.
    """

    label: str
    spec: Spec | None
    why: str = ""
    """Why the zoo does not build it; empty where it does."""
    approximate: str = ""
    """In what the network is only near the paper's."""
    backbone: str = ""
    """As the row names it."""
    detector: str | None = None
    figures: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Suite:
    """A named list of networks."""

    name: str
    title: str
    members: tuple[Member, ...]

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
    folded = {registry.fold(known): known for known in names()}
    known = folded.get(registry.fold(name))
    if known is None:
        near = difflib.get_close_matches(registry.fold(name), folded, n=2, cutoff=0.7)
        hint = (
            f"did you mean {' or '.join(folded[spelling] for spelling in near)}?"
            if near
            else "archbench list suites shows them"
        )
        raise UsageError(f"no suite is called {name!r}; {hint}")
    described = _described().get(known, {})
    title = described.get("title", "")
    if known == ALL:
        return Suite(known, title, _every_network())
    if known == PAIRS:
        return Suite(known, title, _every_pair())
    if known == GRID:
        return Suite(known, title, tuple(_row(spec) for spec in grid()))
    if known in _published():
        return Suite(known, title, _published()[known])
    return _suite_of(known, _Table(f"suites.toml, {known}", described))


def read_suite(path: Path) -> Suite:
    """Read a user's own suite; raises UsageError with the file and the place in it for what cannot
    be.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"suite {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"suite {path} is no TOML: {error}") from None
    table = _Table(str(path), data)
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
    member = _resolved(given, parse_options(first.options.split(";") if first.options else []))
    why = member.why if first.backbone else "the paper does not say what its backbone is"
    return replace(member, label=first.label, why=why, figures=tuple(row))


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


def _row(spec: Spec) -> Member:
    base = registry.find("backbone", spec.backbone)
    head = registry.find("detector", spec.detector) if spec.detector else None
    return Member(str(spec), spec, "", approximation(base, head), spec.backbone, spec.detector)


def _resolved(given: dict[str, Any], options: dict[str, OptionValue]) -> Member:
    """The network that is asked for, as `resolve` takes it, or why it cannot be built."""
    backbone, detector = given["backbone"], given.get("detector")
    try:
        row = _row(registry.resolve(**given | options))
    except UsageError as error:
        row = Member(
            " + ".join(filter(None, (backbone, detector))), None, str(error).partition(";")[0]
        )
    return replace(row, backbone=backbone, detector=detector)


@dataclass(frozen=True)
class _Table:
    """A table of a TOML file, and the words for where it stands."""

    place: str
    data: dict[str, Any]

    def error(self, message: str) -> UsageError:
        return UsageError(f"{self.place}: {message}")

    def check_keys(self, *known: str) -> None:
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise self.error(
                    f"no key {key}; "
                    f"{f'did you mean {near[0]}?' if near else 'there are ' + ', '.join(known)}"
                )

    def values(self, key: str, types: tuple[type, ...]) -> list[Any]:
        """The values under a key, one or a list of them; none where it is not there."""
        listed = self.data.get(key, [])
        listed = listed if isinstance(listed, list) else [listed]
        for value in listed:
            if type(value) not in types:
                raise self.error(
                    f"{key} is {value!r}: it takes "
                    f"{' or '.join(TYPE_WORDS[kind] for kind in types)}"
                )
        if key in self.data and not listed:
            raise self.error(f"{key} is an empty list")
        return listed

    def text(self, key: str) -> str:
        """The text under a key; empty where it is not there."""
        return "".join(self.values(key, (str,))[:1])

    def tables(self, key: str) -> list[_Table]:
        """The tables under a key, one or a list of them; a text is the table of the suite that it
        names.
        """
        listed = self.data.get(key, [])
        listed = listed if isinstance(listed, list) else [listed]
        numbered = [
            (f"{key} {number}" if len(listed) > 1 else key, data)
            for number, data in enumerate(listed, start=1)
        ]
        return [
            self._table(place, {"suite": data} if isinstance(data, str) else data)
            for place, data in numbered
        ]

    def _table(self, key: str, data: Any) -> _Table:
        if not isinstance(data, dict):
            raise self.error(f"{key} is {data!r}: it takes a table, such as {{ KEY = VALUE }}")
        return _Table(f"{self.place}, {key}", data)

    def network(self) -> dict[str, list[Any]]:
        """The values of each key of a network that is there."""
        return {key: self.values(key, types) for key, types in NETWORK.items() if key in self.data}

    def options(self) -> dict[str, list[OptionValue]]:
        """The values of each option of a network that is there."""
        table = self._table("options", self.data.get("options", {}))
        return {key: table.values(key, OPTION_TYPES) for key in table.data}

    def combinations(self) -> list[tuple[dict[str, Any], dict[str, OptionValue]]]:
        """Every network of the grid, as `resolve` takes it; the first key's values change last."""
        network, options = self.network(), self.options()
        rows = product(*network.values(), *options.values())
        return [
            (
                dict(zip(network, row, strict=False)),
                dict(zip(options, row[len(network) :], strict=True)),
            )
            for row in rows
        ]

    def check_networks(self) -> None:
        """Raise UsageError for a name that nothing has, and for a grid of which nothing can be
        built.
        """
        if "backbone" not in self.data:
            return
        try:
            for name in self.values("backbone", (str,)):
                registry.find("backbone", name)
            for name in self.values("detector", (str,)):
                registry.find_detector(name)
            if not any(_resolved(*asked).spec for asked in self.combinations()):
                given, options = self.combinations()[0]
                registry.resolve(**given | options)
        except UsageError as error:
            raise self.error(str(error)) from None


def _suite_of(name: str, table: _Table) -> Suite:
    """Make the suite that a table of a TOML file describes."""
    table.check_keys("title", *NETWORK, "options", "include", "only", "exclude")
    members = _networks(table)
    for included in table.tables("include"):
        included.check_keys("suite", *NETWORK, "options", "label")
        members += _of_suite(included) if "suite" in included.data else _networks(included)
    for rule in table.tables("only"):
        members = list(filter(_fits(rule), members))
    for rule in table.tables("exclude"):
        left = list(filterfalse(_fits(rule), members))
        if len(left) == len(members):
            raise rule.error("it fits no row of the suite")
        members = left
    if not members:
        raise table.error('it names no network; backbone = "vovnet39" would be one')
    return Suite(name, table.text("title"), tuple(members))


def _networks(table: _Table) -> list[Member]:
    """The networks of a table's grid."""
    if "backbone" not in table.data:
        if table.data.keys() & {*NETWORK, "options", "label"}:
            raise table.error("it has no backbone")
        return []
    rows = [_resolved(*asked) for asked in table.combinations()]
    return [replace(row, label=table.text("label") or row.label) for row in rows]


def _of_suite(table: _Table) -> list[Member]:
    """The rows of the suite that a table names, called as it says."""
    table.check_keys("suite", *CALL)
    try:
        members = suite(table.text("suite")).members
        calls = [call for call, _ in table.combinations()]
        return [_called(member, call) for member in members for call in calls]
    except UsageError as error:
        raise table.error(str(error)) from None


def _called(member: Member, call: dict[str, Any]) -> Member:
    """A row at another batch or in another mode, with those of its figures that still hold."""
    if not member.spec or not call:
        return member
    old = member.spec
    given: dict[str, Any] = {
        "size": old.size,
        "classes": old.classes,
        "batch": old.batch,
        "mode": old.mode,
    }
    spec = registry.resolve(old.backbone, old.detector, **given | call | dict(old.options))
    return replace(
        member,
        spec=spec,
        figures=tuple(figure for figure in member.figures if figure.holds_for(spec)),
    )


def _fits(rule: _Table) -> Callable[[Member], bool]:
    """Whether a row has one of the values that a rule gives for each key."""
    rule.check_keys(*NETWORK, "options", "label")
    labels = {"label": rule.values("label", (str,))} if "label" in rule.data else {}
    network, options = labels | rule.network(), rule.options()
    return lambda member: (
        all(any(_has(member, key, value) for value in values) for key, values in network.items())
        and all(
            any(_has_option(member, key, value) for value in values)
            for key, values in options.items()
        )
    )


def _has(member: Member, key: str, value: Any) -> bool:
    """Whether a row has a value; one without a network has nothing but its names."""
    spec = member.spec
    if key == "label":
        return member.label == value
    if key == "backbone":
        return _canonical(value) == _canonical(spec.backbone if spec else member.backbone)
    if key == "detector":
        name, side = _detector(value)
        of_row, _ = _detector((spec.detector if spec else member.detector) or "")
        return name == of_row and (
            side is None or (spec is not None and (side, side) == (spec.width, spec.height))
        )
    if spec is None:
        return False
    return (
        parse_size(value) == (spec.width, spec.height)
        if key == "size"
        else getattr(spec, key) == value
    )


def _has_option(member: Member, key: str, value: OptionValue) -> bool:
    if member.spec is None:
        return False
    base, head = registry.values(member.spec)
    options = base | head
    return key in options and format_value(options[key]) == format_value(value)


def _canonical(backbone: str) -> str:
    try:
        return registry.find("backbone", backbone).name
    except UsageError:
        return registry.fold(backbone)


def _detector(name: str) -> tuple[str, int | None]:
    try:
        entry, side = registry.find_detector(name)
    except UsageError:
        return registry.fold(name), None
    return entry.name, side
