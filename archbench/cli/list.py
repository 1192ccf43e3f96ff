"""`archbench list`: what can be built."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli.formats import AsJson, AsLatex, AsMarkdown, print_tables, table_width, the_format
from archbench.cli.groups import refuse
from archbench.cli.offered import NAMES, is_of_library, offered_data, offered_table
from archbench.cli.plugins import Plugins
from archbench.report.tables.table import MISSING, Column, Table
from archbench.spec import UsageError, format_value
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry, Kind, Option

if TYPE_CHECKING:
    from archbench.papers.pairs import Pair
    from archbench.papers.suites import Suite

KINDS: dict[str, Kind] = {"backbones": "backbone", "detectors": "detector"}
OPTION_WIDTH = 24
"""The characters of an option's name and values beside its meaning."""
LISTED = (*KINDS, "options", "pairs", "suites", "engines", "plots", "columns")


def _complete(incomplete: str) -> list[str]:
    return [name for name in (*LISTED, "all") if name.startswith(incomplete)]


def list_networks(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[WHAT]",
            help=f"{', '.join(LISTED)} or all (the first three); or a library's networks, all "
            "(timm:) or matching a pattern ('timm:*mobilenet*').",
            autocompletion=_complete,
        ),
    ] = "all",
    costs: Annotated[
        bool,
        typer.Option(
            "--costs", help="With pairs: show params, multiply-adds, MAC (Eq. 1) and accuracy."
        ),
    ] = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
    plugin: Plugins = None,
) -> None:
    """List backbones, detectors, their options, the papers' pairs, suites, engines, plots, or the
    columns of records.

    Example: archbench list pairs
    """
    form = the_format(json=as_json, markdown=as_markdown, latex=as_latex)
    if costs:
        _list_costs(what, form)
        return
    if is_of_library(what):
        _list_library(what, form)
        return
    if what not in (*LISTED, "all"):
        raise UsageError(
            f"invalid list {what!r} (choose from {', '.join(LISTED)}, all, "
            f"{', '.join(f'{name}:PATTERN' for name in NAMES)})"
        )
    kinds = [kind for name, kind in KINDS.items() if what in (name, "options", "all")]
    if form == "json":
        print(json.dumps(_data(what, kinds), indent=2))
    else:
        print_tables(_tables(what, kinds, table_width(form)), form)


def _list_library(what: str, form: str) -> None:
    if form == "json":
        print(json.dumps(offered_data(what), indent=2))
    else:
        print_tables([offered_table(what)], form)


def _list_costs(what: str, form: str) -> None:
    if what != "pairs":
        refuse(["--costs"], "only pairs are listed with costs", instead="list pairs")
    if form == "json":
        from archbench.report.data.pair_costs import pair_costs

        print(json.dumps([pair.row() for pair in pair_costs()], indent=2))
    else:
        from archbench.report.tables.pair_costs import table

        print_tables([table(table_width(form))], form)


def _data(what: str, kinds: list[Kind]) -> Any:
    """What is listed as plain data."""
    if what == "suites":
        from archbench.papers.suites import suites

        return [_plain_suite(suite) for suite in suites()]
    if what == "engines":
        from archbench.cli.engines_listed import engines_data

        return engines_data()
    if what == "plots":
        from archbench.report.figures import registry as plots

        return [figure.to_dict() for figure in plots.FIGURES]
    if what == "columns":
        from archbench.report.data.columns import described

        return [column.to_dict() for column in described()]
    if what == "pairs":
        from archbench.papers.pairs import pairs

        return [asdict(pair) for pair in pairs()]
    return {f"{kind}s": [_plain(entry) for entry in catalogue.entries(kind)] for kind in kinds}


def _tables(what: str, kinds: list[Kind], width: int | None) -> list[Table]:
    """What is listed as tables; sources are cut where they would be wider than `width`."""
    if what == "suites":
        from archbench.papers.suites import suites

        return [_suites(suites())]
    if what == "engines":
        from archbench.cli.engines_listed import engines_table

        return [engines_table()]
    if what == "plots":
        from archbench.report.figures import registry as plots

        return [plots.table()]
    if what == "columns":
        from archbench.report.tables import columns

        return columns.tables()
    if what == "pairs":
        return [_pairs()]
    networks = [] if what == "options" else [_networks(kind, width) for kind in kinds]
    return [*networks, *([_options(kinds, width)] if what in ("options", "all") else [])]


def _pairs() -> Table:
    """A row for each pair of the papers' tables, and whether it builds."""
    from archbench.papers.pairs import pairs

    listed = pairs()
    rows = [
        [pair.backbone or MISSING, pair.detector, _labels(pair), pair.status] for pair in listed
    ]
    reasons: dict[str, list[str]] = {}
    for pair in listed:
        if pair.why:
            reasons.setdefault(pair.why, []).append(
                f"{pair.backbone} + {pair.detector}".removeprefix(" + ")
            )
    built = sum(pair.status in ("builds", "approximate") for pair in listed)
    notes = [
        f"{built} of {len(listed)} published pairs build; so does any other pair whose backbone "
        "has the feature maps that the detector needs."
    ]
    notes += [f"{why}: {', '.join(names)}" for why, names in reasons.items()]
    columns = [
        Column("backbone", "left"),
        Column("detector", "left"),
        Column("tables", "left"),
        Column("", "left"),
    ]
    return Table(columns, rows, notes=notes)


def _suites(listed: list[Suite]) -> Table:
    """A row for each suite, and how much of it builds."""
    rows = [
        [
            suite.name,
            suite.title,
            str(len(suite.members) - len(suite.missing)),
            str(len(suite.members)),
        ]
        for suite in listed
    ]
    columns = [Column("suite", "left"), Column("", "left"), Column("build"), Column("of")]
    return Table(
        columns,
        rows,
        notes=[
            "archbench sweep SUITE measures one; --dry-run shows its networks, and why some rows "
            "do not build."
        ],
    )


def _plain_suite(suite: Suite) -> dict[str, Any]:
    members = [
        {
            "label": member.label,
            "command": catalogue.network(member.spec).command if member.spec else None,
            "why": member.why or None,
            "approximate": member.approximate or None,
        }
        for member in suite.members
    ]
    return {
        "name": suite.name,
        "title": suite.title,
        "builds": len(members) - len(suite.missing),
        "of": len(members),
        "members": members,
    }


def _labels(pair: Pair) -> str:
    """The papers and their tables: vovnet 4 6, cspnet 4."""
    papers: dict[str, list[str]] = {}
    for source in pair.sources:
        paper, _, label = source.partition("/")
        papers.setdefault(paper, []).append(label.removeprefix("table"))
    return ", ".join(" ".join([paper, *labels]) for paper, labels in papers.items())


def _networks(kind: Kind, width: int | None) -> Table:
    rows = []
    listed = catalogue.entries(kind)
    taken = (
        max(len(entry.name) for entry in listed)
        + max(len(_input(entry)) for entry in listed)
        + len("classes")
        + 3 * len("  ")
    )
    for entry in listed:
        classes = str(entry.classes) if entry.classes else "-"
        rows.append(
            [
                entry.name,
                _input(entry),
                classes,
                _short(_same_as(entry) or entry.source, width and width - taken),
            ]
        )
    columns = [
        Column(f"{kind}s", "left"),
        Column("input"),
        Column("classes"),
        Column("source, or the same as", "left"),
    ]
    return Table(columns, rows, notes=_remarks(listed))


def _remarks(listed: Sequence[Entry]) -> list[str]:
    """What is remarked on networks, with the names that share it; "dsod on vovnet" where it is said
    of a detector on backbones of one family.
    """
    names: dict[str, list[str]] = {}
    for entry in listed:
        elsewhere = {f" on {family}": form for family, form in _others(entry).items()}
        for where, form in {"": entry, **elsewhere}.items():
            remark = _remark(form)
            if remark and f"{entry.same_as}{where}" not in names.setdefault(remark, []):
                names[remark].append(f"{entry.name}{where}")
    return [f"{', '.join(shared)}: {remark}" for remark, shared in names.items() if shared]


def _remark(entry: Entry) -> str:
    if entry.approximate:
        return f"approximate: {entry.approximate}"
    return entry.published_only or entry.note


def _others(entry: Entry) -> dict[str, Entry]:
    """A detector as it is on the families of backbones that something else is remarked for."""
    forms = {family: entry.on_family(family) for family in entry.on}
    return {family: form for family, form in forms.items() if _remark(form) != _remark(entry)}


def _options(kinds: list[Kind], width: int | None) -> Table:
    """A row for each option, with the families that take it; on lines of `width`, its values stand
    below its name and those families below its meaning.
    """
    families: dict[tuple[str, str, str], list[str]] = {}
    for kind in kinds:
        for entry in catalogue.entries(kind):
            for option in entry.options.values():
                takers = families.setdefault((option.name, _choices(option), option.help), [])
                if entry.family not in takers:
                    takers.append(entry.family)
    every = len({entry.family for entry in catalogue.entries("backbone")})
    rows = [
        [
            "every backbone" if len(takers) == every > 1 else ", ".join(takers),
            name,
            choices,
            meaning,
        ]
        for (name, choices, meaning), takers in families.items()
    ]
    headings = ["taken by", "option", "values", "meaning"]
    if width:
        rows = [line for row in rows for line in _stacked(row, width)]
        headings = ["option\n  values", "meaning\n  taken by"]
    return Table(
        [Column(heading, "left") for heading in headings],
        rows,
        notes=[
            "Give options as --option KEY=VALUE. Unless a rule says otherwise, the first value is "
            "the default."
        ],
    )


def _choices(option: Option) -> str:
    """The values that an option takes, or a number's type and default."""
    if option.values or not isinstance(option.default, int | float):
        return " ".join(map(format_value, option.values)) or option.type
    return f"{option.type}, {option.default} by default"


def _stacked(row: Sequence[str], width: int) -> Iterator[list[str]]:
    """The lines of an option in two columns that take `width` characters together."""
    takers, name, choices, meaning = row
    fold = partial(wrap, break_on_hyphens=False)
    left = [name, *(f"  {line}" for line in fold(choices, OPTION_WIDTH - 2))]
    beside = width - OPTION_WIDTH - 2
    right = [*fold(meaning, beside), *(f"  {line}" for line in fold(takers, beside - 2))]
    yield from map(list, zip_longest(left, right, fillvalue=""))


def _input(entry: Entry) -> str:
    return "x".join(map(str, entry.size))


def _same_as(entry: Entry) -> str:
    preset = ";".join(f"{key}={format_value(value)}" for key, value in entry.preset.items())
    return f"= {entry.same_as};{preset}" if entry.same_as else ""


def _short(source: str, width: int | None) -> str:
    return (
        source
        if width is None or len(source) <= width
        else source[: width - 3].rstrip(" ,;") + "..."
    )


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "family": entry.family,
        "source": entry.source,
        "input": entry.input,
        "classes": entry.classes,
        "same_as": entry.same_as,
        "preset": entry.preset,
        "levels": list(entry.levels),
        "note": entry.note,
        "approximate": entry.approximate or None,
        "published_only": entry.published_only or None,
        "on": {
            family: {"note": form.note, "approximate": form.approximate or None}
            for family, form in _others(entry).items()
        },
        "options": {
            o.name: {"values": list(o.values) or o.type, "default": o.default, "help": o.help}
            for o in entry.options.values()
        },
    }
