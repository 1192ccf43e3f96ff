"""Networks of libraries, named LIBRARY:NAME. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

from archbench.spec import UsageError
from archbench.spelling import did_you_mean
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources.library import LIBRARIES
from archbench.zoo.sources.listing import listing_of

TOLD = ("size", "classes", "taps")
"""What a network is told of a spec."""


def read_entry(name: str) -> Entry:
    """Find what a name stands for; raises UsageError where the library has no such network.

    A library that is missing or broken is said by the entry, which then cannot be built.
    """
    origin, _, own = name.strip().partition(":")
    library = LIBRARIES[origin]
    listing = listing_of(library)
    said = listing.networks.get(own) or listing.variants.get(own)
    if not (said or listing.problem or is_folder(own)):
        near = did_you_mean(own, listing.networks, f"archbench list {origin}: shows them all")
        raise UsageError(f"{library.name} has no network {own!r}; {near}")
    return Entry(
        f"{origin}:{own}",
        "backbone",
        origin,
        builder=own,
        source=library.source,
        input=(said or {}).get("input", ""),
        options={option.name: option for option in library.options},
        is_open=True,
        told={what: what for what in TOLD},
        published_only=listing.problem,
    )


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    origin, colon, own = name.partition(":")
    return f"{origin}{colon}{os.path.relpath(Path(folder, own))}" if is_folder(own) else name


def is_folder(own: str) -> bool:
    """Whether a name is that of a folder rather than of a network."""
    return os.sep in own or own in (os.curdir, os.pardir) or Path(own, "config.json").is_file()
