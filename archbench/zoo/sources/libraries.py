"""Networks of libraries, named LIBRARY:NAME, or transformers:FOLDER. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from archbench.spec import UsageError
from archbench.spelling import did_you_mean
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources.folders import from_folder, is_folder, read_folder
from archbench.zoo.sources.library import LIBRARIES, Library
from archbench.zoo.sources.listing import offer_of

TOLD = ("size", "classes", "taps")
"""What a network is told of a spec."""
WITH_FOLDERS = "transformers"
"""The library that makes networks of folders as well."""
HUB = "hf-hub:"
"""What comes before a name of a hub."""
NOT_ASKED = (
    "has a default input size that only {0} knows, which is not imported to plan; give a size, or "
    "run archbench list {0}: once"
)


def read_entry(name: str) -> Entry:
    """Find what a name stands for; raises UsageError where the library has no such network.

    A library that is missing or broken is said by the entry, which then cannot be built. Where none
    may be asked, a name is taken as written.
    """
    origin, _, own = name.strip().partition(":")
    library = LIBRARIES[origin]
    if origin == WITH_FOLDERS and is_folder(own):
        folder = read_folder(own)
        return _entry(library, folder.name, builder=folder.path, size=folder.input)
    listing = offer_of(library)
    said = listing.networks.get(own) or listing.variants.get(own)
    may_be = not listing.is_known and not _is_of_hub(own)
    if not (said or listing.problem or may_be):
        raise UsageError(f"{library.name} has no network {own!r}; {_near(library, own)}")
    entry = _entry(library, own, builder=own, size=(said or {}).get("input", ""))
    return entry if listing.is_known else replace(entry, why_no_input=NOT_ASKED.format(origin))


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    origin, colon, own = name.partition(":")
    if origin == WITH_FOLDERS and is_folder(own, folder):
        return f"{origin}{colon}{from_folder(own, folder)}"
    return name


def _entry(library: Library, name: str, *, builder: str, size: str) -> Entry:
    return Entry(
        f"{library.name}:{name}",
        "backbone",
        library.name,
        builder=builder,
        source=library.source,
        input=size,
        options={option.name: option for option in library.options},
        is_open=True,
        told={what: what for what in TOLD},
        published_only=offer_of(library).problem,
    )


def _is_of_hub(own: str) -> bool:
    return own.startswith(HUB) or "/" in own


def _near(library: Library, own: str) -> str:
    """What is said of a name that a library does not have."""
    if _is_of_hub(own):
        return "nothing is downloaded from a hub"
    networks = offer_of(library).networks
    return did_you_mean(own, networks, f"archbench list {library.name}: shows them all")
