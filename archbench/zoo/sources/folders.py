"""Folders with a config.json, of which transformers makes a network: FOLDER, or FOLDER@HASH for a
configuration of that hash. Torch-free.

The configuration is read; no code that lies beside it is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archbench.files import read_text
from archbench.spec import UsageError

CONFIGURATION = "config.json"
HASH_DIGITS = 6
NAME = re.compile(rf"(.*?)(?:@([0-9a-f]{{{HASH_DIGITS}}}))?", re.DOTALL)
REMOTE_CODE = "auto_map"
"""The key under which a configuration names code of its own."""


@dataclass(frozen=True)
class Folder:
    """A folder's configuration, by its name in normal form: how it is found from the working
    folder, and a hash of what it says.
    """

    name: str
    path: str
    """Absolute."""
    input: str
    """As WIDTHxHEIGHT; empty where it says none."""


def is_folder(own: str, folder: str = os.curdir) -> bool:
    """Whether a name, which stands in a file of `folder`, is that of a folder rather than of a
    network.
    """
    where, _ = _parts(own)
    is_path = os.sep in where or where in (os.curdir, os.pardir)
    return is_path or Path(folder, where, CONFIGURATION).exists()


def read_folder(own: str) -> Folder:
    """Read a folder's configuration.

    Raises UsageError where there is none or it cannot be read, for one of another hash than is
    asked for, and for one that asks for code of its own.
    """
    where, wanted = _parts(own)
    file = Path(where, CONFIGURATION)
    if not Path(where).is_dir():
        raise UsageError(
            f"no folder {where}, and archbench downloads nothing: give a folder with a "
            f"{CONFIGURATION}, or a class (archbench list transformers:)"
        )
    said = _read(file)
    if REMOTE_CODE in said:
        raise UsageError(
            f"{file} asks for custom code ({REMOTE_CODE}), which is not run: only classes of "
            "transformers are built"
        )
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]
    if wanted and wanted != digest:
        raise UsageError(
            f"{where} is @{digest} now, not @{wanted}: its {CONFIGURATION} has changed"
        )
    return Folder(f"{_written(where)}@{digest}", str(Path(where).resolve()), _input(said))


def from_folder(own: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    where, wanted = _parts(own)
    return _written(str(Path(folder, where))) + (f"@{wanted}" if wanted else "")


def _parts(own: str) -> tuple[str, str]:
    """The folder and the hash; empty where none is given."""
    found = NAME.fullmatch(own)
    assert found
    return found[1], found[2] or ""


def _written(where: str) -> str:
    """A folder from the working folder, never in the form of a network's name."""
    path = os.path.relpath(where)
    return path if os.sep in path else f"{os.curdir}{os.sep}{path}"


def _read(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(read_text(file, "file"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{file} cannot be read: {error}") from None
    if not isinstance(said, dict):
        raise UsageError(f"{file} cannot be read: not a JSON object")
    return said


def _input(said: dict[str, Any]) -> str:
    """The input that a configuration names, which has heights before widths."""
    size = said.get("image_size")
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        return ""
    return f"{sides[1]}x{sides[0]}"
