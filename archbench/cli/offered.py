"""What `archbench list LIBRARY:PATTERN` shows: the networks of a library by name."""

from __future__ import annotations

from typing import Any

from archbench.report.tables.table import MISSING, Column, Table
from archbench.spec import UsageError
from archbench.spelling import did_you_mean
from archbench.zoo.sources.library import LIBRARIES, Library
from archbench.zoo.sources.listing import listing_of

NAMES = tuple(LIBRARIES)


def is_of_library(what: str) -> bool:
    """Whether networks of a library are asked for."""
    origin, colon, _ = what.partition(":")
    return bool(colon) and origin in LIBRARIES


def offered_data(what: str) -> dict[str, Any]:
    """Give the networks that are asked for as plain data."""
    library, found = _found(what)
    networks = [{"name": f"{library.name}:{name}", **said} for name, said in found.items()]
    return {"library": library.name, "version": library.version, "networks": networks}


def offered_table(what: str) -> Table:
    """Give a row for each network that is asked for."""
    library, found = _found(what)
    rows = [
        [f"{library.name}:{name}", said.get("kind") or MISSING, said.get("input") or MISSING]
        for name, said in found.items()
    ]
    note = (
        f"{len(rows)} of the {len(listing_of(library).networks)} networks of {library.name} "
        f"{library.version}."
    )
    columns = [Column("network", "left"), Column("kind", "left"), Column("input")]
    return Table(columns, rows, notes=[note])


def _found(what: str) -> tuple[Library, dict[str, dict[str, str]]]:
    origin, _, pattern = what.partition(":")
    library = LIBRARIES[origin]
    listing = listing_of(library)
    if listing.problem:
        raise UsageError(listing.problem)
    found = listing.matching(pattern)
    if not found:
        near = did_you_mean(pattern, listing.networks, f"archbench list {origin}: shows them all")
        raise UsageError(f"no network of {origin} matches {pattern!r}; {near}")
    return library, found
