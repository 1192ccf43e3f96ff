"""What libraries offer, kept by their versions. Torch-free.

A library is asked for its list in a process of its own, once a version: to import it takes seconds,
and may fail.
"""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from archbench import __version__, cache, child
from archbench.spec import UsageError
from archbench.zoo.sources.library import LIBRARIES, NEEDS, Library, version_of

KEPT = "networks"
LIST_S = 300.0
"""The longest that a library may take to be imported and asked for its list."""
_may_ask: ContextVar[bool] = ContextVar("may_ask", default=True)


@dataclass(frozen=True)
class Listing:
    """What a library offers: networks by name, each with what is said of it; or why it cannot say.

    `variants` are further spellings, such as names with tags of weights.
    """

    networks: dict[str, dict[str, str]]
    variants: dict[str, dict[str, str]]
    problem: str = ""
    is_known: bool = True
    """Whether the library has been asked, now or before."""

    def matching(self, pattern: str) -> dict[str, dict[str, str]]:
        """The networks whose names match a pattern with wildcards; all for none."""
        return {
            name: said
            for name, said in self.networks.items()
            if not pattern or fnmatch.fnmatchcase(name, pattern)
        }


def look() -> dict[str, dict[str, Any]]:
    """Say of each library which version there is, how many networks it offers, or why none;
    nothing is kept.
    """
    found = {}
    for library in LIBRARIES.values():
        listing = listing_of(library, keep=False)
        found[library.name] = {
            "version": library.version,
            "networks": len(listing.networks),
            "problem": listing.problem,
            "install": library.install,
        }
    return found


@contextmanager
def unasked() -> Iterator[None]:
    """Import no library for a while: names of one that has not said before what it offers are taken
    as written.
    """
    token = _may_ask.set(False)
    try:
        yield
    finally:
        _may_ask.reset(token)


def offer_of(library: Library) -> Listing:
    """Give what a library offers, as far as that may be found now."""
    if _may_ask.get() or library.version is None:
        return listing_of(library)
    return _kept(library) or Listing({}, {}, is_known=False)


def is_taken_as_written(origin: str) -> bool:
    """Whether names of an origin are those of a library that has not said what it offers."""
    return origin in LIBRARIES and not offer_of(LIBRARIES[origin]).is_known


@lru_cache(maxsize=8)
def listing_of(library: Library, *, keep: bool = True) -> Listing:
    """Find what a library offers, as it said before where it, what it needs and archbench are as
    they were.

    What it says now is kept, unless it is told not to.
    """
    if library.version is None:
        return _listing(_nothing(f"{library.name} is not installed: {library.install}"))
    kept = _kept(library)
    if kept:
        return kept
    found = _asked(library)
    if keep and not found.get("problem"):
        cache.write(KEPT, _key(library), found)
    return _listing(found)


def _kept(library: Library) -> Listing | None:
    """What a library said before."""
    found = cache.read(KEPT, _key(library))
    return None if found is None else _listing(found)


def _key(library: Library) -> dict[str, str | None]:
    """All that a list follows from."""
    versions = {need: version_of(need) for need in NEEDS}
    return {"library": library.name, "archbench": __version__, **versions}


def _listing(found: dict[str, Any]) -> Listing:
    return Listing(found["networks"], found["variants"], found.get("problem", ""))


def _asked(library: Library) -> dict[str, Any]:
    """Ask a library for its list in a process of its own."""
    try:
        done = subprocess.run(
            child.command(__name__, library.name),
            env=child.environment(child.OFFLINE),
            capture_output=True,
            text=True,
            timeout=LIST_S,
        )
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return _nothing(f"{library.name} does not answer within {LIST_S:.0f} s")
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines()[-1:] or [
            f"its process ended with {done.returncode}"
        ]
        return _nothing(f"{library.name} does not say what it offers: {said[0]}")
    return found


def _nothing(problem: str) -> dict[str, Any]:
    return {"networks": {}, "variants": {}, "problem": problem}


def tell(name: str) -> None:
    """Print what a library offers, as JSON on one line."""
    try:
        found = import_module(f"archbench.zoo.sources.{name}").listing()
    except UsageError as error:
        found = _nothing(str(error))
    print(json.dumps(found))


if __name__ == "__main__":
    tell(sys.argv[1])
