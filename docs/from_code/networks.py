"""The pages of what can be built: every network, the papers' tables, and what is approximate."""

from __future__ import annotations

from collections.abc import Iterable

from archbench.papers.pairs import pairs
from archbench.papers.suites import suites
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry, Kind
from from_code.markdown import code, table, text

NETWORKS = """# Networks

Every backbone and detector by the name that commands take; `archbench list` prints the same. Names
ignore case and punctuation: `VoVNet-39` is `vovnet39`. Any backbone goes with any detector whose
feature maps it has. Options are given as `--option KEY=VALUE`.
"""
TABLES = """# The papers' tables and figures

Each table and figure is a suite: a list of networks that `archbench sweep` measures and
`archbench list suites` lists. `archbench reproduce` sets the tables beside your own figures.

"""
APPROXIMATE = """# What is approximate, and why

A paper, its supplement or its authors' code fixes the layers of most networks, and their counts are
then exact. Where no public text lists the layers, archbench builds a network that meets the
published totals, calls it approximate in every table, and says how near it comes. What the totals
do not determine is listed and not built.

## Approximate networks

"""
NOT_BUILT = "\n## Published, not built\n\n"
PAIRS = """
## Pairs without a network

Rows of the papers' tables that no network is built for.

"""


def networks() -> str:
    """Write the page of networks."""
    parts = [NETWORKS]
    kinds: tuple[Kind, ...] = ("backbone", "detector")
    for kind in kinds:
        built = [entry for entry in catalogue.entries(kind) if not entry.published_only]
        rows = [
            [code(entry.name), entry.input, _options(entry), text(entry.source)] for entry in built
        ]
        headings = [kind, "input", "options", "source"]
        parts.append(f"## {kind.capitalize()}s\n\n{table(headings, rows)}")
    return "\n".join(parts)


def tables() -> str:
    """Write the page of the papers' tables."""
    rows = []
    for suite in suites():
        built = sum(member.spec is not None for member in suite.members)
        rows.append([code(suite.name), text(suite.title), f"{built} of {len(suite.members)}"])
    return TABLES + table(["suite", "what it is", "networks built"], rows)


def approximate() -> str:
    """Write the page of what is approximate."""
    detectors = catalogue.entries("detector")
    entries = [*catalogue.entries("backbone"), *detectors]
    named = [(entry.name, entry.approximate) for entry in entries]
    named += [
        (f"{entry.name} on {family}", pairing.fields.get("approximate", ""))
        for entry in detectors
        for family, pairing in entry.on.items()
    ]
    missing = [pair for pair in pairs() if pair.status == "not built"]
    return (
        APPROXIMATE
        + _by_reason(named)
        + NOT_BUILT
        + _by_reason((entry.name, entry.published_only) for entry in entries)
        + PAIRS
        + _by_reason((f"{pair.backbone} + {pair.detector}", pair.why) for pair in missing)
    )


def _by_reason(named: Iterable[tuple[str, str]]) -> str:
    """A row for each reason, with the names that share it."""
    names: dict[str, list[str]] = {}
    for name, why in named:
        if why:
            names.setdefault(why, []).append(code(name))
    rows = [
        [", ".join(shared), text(f"{why[:1].upper()}{why[1:]}.")] for why, shared in names.items()
    ]
    return table(["networks", "why"], rows)


def _options(entry: Entry) -> str:
    return ", ".join(
        code(option.name) for option in entry.options.values() if option.is_taken_by(entry.name)
    )
