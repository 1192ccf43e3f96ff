"""Every entry that there is: those of the zoo's files and those of plug-ins. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

from archbench.spec import UsageError
from archbench.spelling import fold
from archbench.zoo.catalogue import family
from archbench.zoo.catalogue.entry import KINDS, Entry, Kind
from archbench.zoo.catalogue.memory import forget, remembered
from archbench.zoo.catalogue.plugins import PLUGIN_FILES, plugged_entries


@remembered
def entries(kind: Kind) -> tuple[Entry, ...]:
    """List the entries of a kind: families in alphabetical order, rows in the order of their file,
    then those of plug-ins.
    """
    files = sorted(family.FOLDERS[kind].glob("*.toml"))
    own = [entry for file in files for entry in family.read_family(kind, file.stem)]
    return (*own, *(entry for entry in plugged_entries() if entry.kind == kind))


@remembered
def entries_by_name(kind: Kind) -> dict[str, Entry]:
    """Index entries by folded name and alias; two that fold alike are a mistake in the files."""
    index: dict[str, Entry] = {}
    for entry in entries(kind):
        for name in (entry.name, *entry.aliases):
            if index.setdefault(fold(name), entry) is not entry:
                if entry.plugin:
                    raise UsageError(
                        f"plug-in {entry.plugin}: a {kind} called {name} already exists"
                    )
                raise ValueError(f"two networks are called {name}")
    return index


def use_plugin(file: str | Path) -> None:
    """Add the networks of a Python file, for this process and those that it starts.

    The file is read without being run until one of its networks is built. Raises UsageError where
    it cannot be read or has a name that is taken.
    """
    path = str(Path(file).resolve())
    if os.pathsep in path:
        raise UsageError(f"plug-in {path}: its path has a {os.pathsep!r}, which parts the paths")
    before = os.environ.get(PLUGIN_FILES, "")
    os.environ[PLUGIN_FILES] = os.pathsep.join(
        dict.fromkeys([*filter(None, before.split(os.pathsep)), path])
    )
    forget()
    try:
        for kind in KINDS:
            entries_by_name(kind)
    except UsageError:
        os.environ[PLUGIN_FILES] = before
        forget()
        raise
