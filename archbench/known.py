"""Counts of networks that were counted before, kept in the user's cache folder. Torch-free.

A count follows from the spec, the code that makes it, the libraries that it is from, torch and
Python: all of these are the key, so that one that another version made is never found. What a
user's own code has a part in, as a plug-in or as a rule of counting, is counted anew, since what
such code reads is not known.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache as once
from pathlib import Path
from typing import Any

import msgspec

from archbench import __version__, cache
from archbench.counting.report import CostReport
from archbench.spec import MODULE, ONNX, ORIGINS, Spec
from archbench.zoo import catalogue

KIND = "count"
MOST_BYTES = 64 << 20
"""What all counts together may take in the folder."""
VARIABLE = "ARCHBENCH_COUNT_ANEW"
"""The environment variable by which all is counted anew, and nothing kept."""
SOURCES = (".py", ".toml", ".csv")
"""Endings of the package's files that a count can follow from."""


def find_cost(spec: Spec) -> CostReport:
    """Give the count of a spec's network: one made before, or one made now and kept.

    A graph is counted anew: its file is all that the count follows from, and quickly read. Raises
    what `api.cost_spec` raises.
    """
    if spec.origin == ONNX:
        from archbench.counting.onnx import count

        return count(spec.backbone, size=(spec.width, spec.height), batch=spec.batch)
    key = _key(spec)
    found = cache.read(KIND, key) if key else None
    if found is not None:
        try:
            return report_of(found)
        except msgspec.ValidationError:
            pass
    from archbench.api import cost_spec

    report = cost_spec(spec)
    # What was edited while this process loaded it may have been counted by half of either.
    if key and _written() == _written_at_first():
        cache.write(KIND, key, msgspec.to_builtins(report), most_bytes=MOST_BYTES)
    return report


def is_ours(spec: Spec) -> bool:
    """Whether none of a user's own code, which may read anything, has a part in a network."""
    if spec.origin in (ONNX, MODULE):
        return spec.origin == ONNX
    return not catalogue.network(spec).plugin_files


def plugins_of(spec: Spec) -> tuple[str, ...]:
    """The files of plug-ins that a network is from; none where no part of it is listed by one."""
    return () if spec.origin in (ONNX, MODULE) else catalogue.network(spec).plugins


def libraries_of(spec: Spec) -> dict[str, str | None]:
    """The versions of the library that a network is from, and of what that stands on."""
    return catalogue.network(spec).libraries if spec.origin in ORIGINS else {}


def code_of(spec: Spec) -> str:
    """Give a hash of the plug-ins' code that a network is from; empty where no part of it is of
    one, so that its name tells all.
    """
    return "" if spec.origin in (ONNX, MODULE) else catalogue.network(spec).plugin_hash


def report_of(data: Any) -> CostReport:
    """Read a report out of plain data; raises msgspec.ValidationError where that is none."""
    return msgspec.convert(data, CostReport)


def _key(spec: Spec) -> dict[str, Any] | None:
    """All that a count follows from; None where that is not known."""
    torch = _torch_version()
    if not torch or os.environ.get(VARIABLE) or _has_rules() or not is_ours(spec):
        return None
    return {
        "archbench": __version__,
        "code": code_at_first(),
        "torch": torch,
        "python": platform.python_version(),
        "spec": spec.to_dict(),
        "libraries": libraries_of(spec),
    }


def _has_rules() -> bool:
    """Whether a user has registered rules of counting in this process."""
    rules = sys.modules.get("archbench.counting.rules.foreign")
    return bool(rules and rules.registered)


@once
def _torch_version() -> str | None:
    """The version of torch that is installed, by its metadata."""
    from importlib import metadata

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


@once
def code_at_first() -> str:
    """The code that this process runs, found once and before it counts."""
    _written_at_first()
    return _code()


@once
def _written_at_first() -> list[tuple[str, int, int]]:
    """When the files of that code had been written."""
    return _written()


def _written() -> list[tuple[str, int, int]]:
    """Each file that a count can follow from, when it was written or changed in any way, and its
    size: what tells of an edit without reading it.
    """
    items = _files(str(Path(__file__).parent))
    found = ((item.path, item.stat()) for item in items)
    return [(path, status.st_ctime_ns, status.st_size) for path, status in found]


def _code() -> str:
    """A hash of all files of the package that a count can follow from, names and contents."""
    package = str(Path(__file__).parent)
    digest = hashlib.sha256()
    for item in _files(package):
        text = Path(item.path).read_bytes()
        digest.update(f"{item.path.removeprefix(package)}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    """All such files in a folder and those within it, in the order of their names."""
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.is_dir():
            yield from _files(item.path)
        elif item.name.endswith(SOURCES):
            yield item
