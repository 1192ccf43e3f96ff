"""What the name of a module that was handed over stands for. Torch-free."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from archbench.spec import UsageError
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources import files
from archbench.zoo.sources.program.archive import read_archive
from archbench.zoo.sources.program.images import images_of

FOLDER = "ARCHBENCH_MODULE"
"""The environment variable that names the folder in which a module travels."""
NOTE = "module.json"
PROGRAM = "module.pt2"
STATE = "state.pt"


@dataclass(frozen=True)
class Handed:
    """How a module travels."""

    name: str
    of: str
    """Its class, with the module that defines it."""
    made_by: str = ""
    """PATH.py:CLASS, which makes it anew; empty for an export."""
    input_name: str = ""
    """The argument that takes the images; empty where they come first."""

    def write(self, folder: Path) -> None:
        """Leave word in a folder."""
        (folder / NOTE).write_text(json.dumps(asdict(self)), encoding="utf-8")


def handed(name: str) -> tuple[Handed, Path]:
    """Find how a module travels and in which folder; raises UsageError where it does not."""
    folder = os.environ.get(FOLDER)
    if folder:
        note = Handed(**json.loads(Path(folder, NOTE).read_text(encoding="utf-8")))
        if note.name == name:
            return note, Path(folder)
    raise UsageError(f"{name} was a module in memory, which is gone: use archbench.measure(module)")


def read_entry(name: str) -> Entry:
    """Find what a name stands for; raises UsageError where no such module travels."""
    note, folder = handed(name.strip())
    if note.made_by:
        return replace(files.read_entry(note.made_by), name=note.name, told={})
    images = images_of(read_archive(folder / PROGRAM).graph)
    return Entry(
        note.name,
        "backbone",
        "module",
        builder=str(folder / PROGRAM),
        source="a module of your own",
        input=images.size,
        images=images,
    )


def verbatim(name: str, _: str) -> str:
    """Give a name, which is the same everywhere."""
    return name
