"""What the name of an exported program stands for, PATH.pt2 or PATH.pt2@HASH. Torch-free."""

from __future__ import annotations

import os
import re
from pathlib import Path

from archbench.spec import HASH, UsageError
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources import ALLOW_CODE
from archbench.zoo.sources.program.archive import read_archive
from archbench.zoo.sources.program.images import images_of
from archbench.zoo.sources.program.trust import foreign_code


def read_entry(name: str) -> Entry:
    """Find the file that a name stands for; raises UsageError where it is no program, is another
    than the hash says, or holds code that may not run.
    """
    written, at, digest = _parts(name)
    path, wanted = Path(written), at + digest
    if wanted and not re.fullmatch(HASH, wanted):
        raise UsageError(f"{name}: invalid hash {wanted} (6 hexadecimal digits)")
    archive = read_archive(path)
    if wanted not in ("", f"@{archive.digest}"):
        raise UsageError(f"{written} is @{archive.digest} now, not {wanted}: the file has changed")
    found = "" if os.environ.get(ALLOW_CODE) else foreign_code(archive)
    if found:
        raise UsageError(f"{written} contains {found}: give --allow-code if you trust it")
    try:
        images = images_of(archive.graph)
    except UsageError as error:
        raise UsageError(f"{written} cannot be run: {error}") from None
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{written} has no readable signature: {type(error).__name__} {error}"
        ) from None
    return Entry(
        f"{os.path.relpath(path)}@{archive.digest}",
        "backbone",
        "program",
        builder=str(path.resolve()),
        source="an exported program of your own",
        input=images.size,
        images=images,
    )


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    path, at, digest = _parts(name)
    return os.path.relpath(Path(folder, path)) + at + digest


def _parts(name: str) -> tuple[str, str, str]:
    """The path, an @ where a hash follows, and the hash."""
    path, ending, rest = name.strip().rpartition(".pt2")
    return path + ending, rest[:1], rest[1:]
