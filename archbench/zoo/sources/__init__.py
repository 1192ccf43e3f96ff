"""Networks from elsewhere, named ORIGIN:NAME: an origin is two modules, found through one table.

One reads what a name stands for and runs nothing of it (torch-free); the other makes it. `building`
turns what is made into a whole network or a backbone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from archbench.spec import FILE, MODULE, ONNX, PROGRAM, OptionValue, UsageError, origin_of
from archbench.tracebacks import first_line

if TYPE_CHECKING:
    from archbench.zoo.catalogue.entry import Entry


@dataclass(frozen=True)
class Source:
    """The modules of an origin."""

    reading: str
    """Has `read_entry(name) -> Entry`, and `verbatim(name, folder) -> str`, the name as it is
    written from the working folder where it stands in a file of that folder.
    """
    making: str
    """Has `make(entry, arguments) -> object`, which calls what the name stands for,
    `importable(entry)`, within which its code may import, and `facts(entry)` for environments.
    """


LIBRARIES = "archbench.zoo.sources.libraries"
PROGRAMS = "archbench.zoo.sources.program"
MODULES = "archbench.zoo.sources.module"
SOURCES = {
    ONNX: Source("archbench.zoo.sources.graphs", "archbench.zoo.sources.graphs"),
    PROGRAM: Source(f"{PROGRAMS}.reading", f"{PROGRAMS}.network"),
    MODULE: Source(f"{MODULES}.reading", f"{MODULES}.network"),
    FILE: Source("archbench.zoo.sources.files", "archbench.zoo.sources.loading"),
    "timm": Source(LIBRARIES, "archbench.zoo.sources.timm"),
    "torchvision": Source(LIBRARIES, "archbench.zoo.sources.torchvision"),
    "transformers": Source(LIBRARIES, "archbench.zoo.sources.transformers"),
}


ALLOW_CODE = "ARCHBENCH_ALLOW_CODE"
"""The environment variable by which code in files may run, so that the processes of jobs know."""


def allow_code() -> None:
    """Let what files hold besides graphs and tensors run, in this process and those it starts."""
    os.environ[ALLOW_CODE] = "1"


def read_entry(name: str) -> Entry:
    """Find what a backbone's name from elsewhere stands for; raises UsageError where it is
    nothing.
    """
    reading = import_module(_source(name).reading)
    try:
        entry: Entry = reading.read_entry(name)
    except UsageError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        # No path can have a null byte or a name of any length, and links may lead in circles.
        why = error.strerror if isinstance(error, OSError) else first_line(error)
        raise UsageError(f"{name!r} cannot be read: {why}") from None
    return entry


def verbatim(name: str, folder: str) -> str:
    """Give a backbone's name, which stands in a file of a folder, as it is written from the working
    folder.
    """
    if not origin_of(name):
        return name
    written: str = import_module(_source(name).reading).verbatim(name, folder)
    return written


def make(entry: Entry, arguments: dict[str, Any]) -> Any:
    """Make what an entry from elsewhere stands for: whatever its code gives."""
    with importable(entry):
        return import_module(_source(entry.name).making).make(entry, arguments)


def importable(entry: Entry) -> AbstractContextManager[None]:
    """Let the code of an entry import what it may for a while."""
    if not entry.origin:
        return nullcontext()
    found: AbstractContextManager[None] = import_module(_source(entry.name).making).importable(
        entry
    )
    return found


def facts(entry: Entry) -> dict[str, Any]:
    """Give what an environment says of where an entry is from."""
    found: dict[str, Any] = import_module(_source(entry.name).making).facts(entry)
    return found


def versions(origin: str) -> dict[str, str | None]:
    """Give the versions of an origin that is a library and of what it stands on; empty for any
    other.
    """
    found: dict[str, str | None] = import_module("archbench.zoo.sources.library").versions(origin)
    return found


def settled(entry: Entry, given: Mapping[str, OptionValue]) -> dict[str, Any]:
    """Give every option of a user's own network with its value; of any other what was `given`."""
    if origin_of(entry.name) != FILE:
        return dict(given)
    found: dict[str, Any] = import_module(_source(entry.name).making).settled(entry, given)
    return found


def _source(name: str) -> Source:
    origin = origin_of(name)
    if origin not in SOURCES:
        raise UsageError(f"{name}: this version of archbench cannot build networks of {origin}")
    return SOURCES[origin]
