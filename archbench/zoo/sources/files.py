"""Networks in files of a user's own: PATH.py:NAME, or package.module:NAME. The file is read and
never run. Torch-free.

NAME is a class or a function; @HASH after it says of which code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import os
import re
import sys
from pathlib import Path

from archbench.spec import UsageError
from archbench.spelling import did_you_mean
from archbench.zoo.catalogue.entry import Entry, Option
from archbench.zoo.catalogue.memory import remembered
from archbench.zoo.sources.code import (
    HASH_DIGITS,
    Code,
    Place,
    is_elsewhere,
    is_installed,
    read_code,
    read_source,
)
from archbench.zoo.sources.signature import (
    Function,
    Signature,
    binding,
    bindings,
    signature,
)

FORMS = "PATH.py:NAME or package.module:NAME"
TOLD = {
    "classes": ("classes", "num_classes"),
    "size": ("size",),
    "taps": ("taps",),
}
"""What a network is told that is no option of it, by the names that its argument may have."""
PREFIX = "archbench_own_"
"""What comes before the name of a file's module where an installed one has that name."""


def read_entry(name: str) -> Entry:
    """Find what a name stands for; raises UsageError where it is nothing, or of another hash."""
    where, own, wanted = _parts(name)
    place = find_place(where)
    code = read_code(place)
    called = f"{_written(where)}:{own}"
    if wanted and wanted != code.digest:
        raise UsageError(f"{called} has changed: its code is @{code.digest}, not @{wanted}")
    takes = _signature(place, called, own)
    told = {
        what: next(argument for argument in names if argument in takes.parameters)
        for what, names in TOLD.items()
        if any(argument in takes.parameters for argument in names)
    }
    options: dict[str, Option] = {
        key: option for key, option in takes.parameters.items() if key not in told.values()
    }
    return Entry(
        f"{called}@{code.digest}",
        "backbone",
        "own",
        plugin=str(place.file),
        builder=own,
        source="a file of your own",
        options=options,
        is_open=takes.is_open,
        told=told,
    )


def code_of(entry: Entry) -> Code:
    """Read the code of an entry, whose name has its hash; raises UsageError where it has changed
    before it was first asked for.
    """
    return _code(entry.name, entry.plugin)


@remembered
def _code(name: str, file: str) -> Code:
    read_entry(name)
    return read_code(find_place(_parts(name)[0]))


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    where, colon, rest = name.rpartition(":")
    return _relative(str(Path(folder, where))) + colon + rest if _is_path(where) else name


def find_place(where: str) -> Place:
    """Find the file or the module that is named; raises UsageError where there is none."""
    return _file(where) if _is_path(where) else _module(where)


def code_hash(where: str) -> str:
    """Give a hash of a file or module with the modules beside it that it imports; of the file alone
    where these cannot be read.
    """
    place = find_place(where)
    try:
        return read_code(place).digest
    except UsageError:
        return hashlib.sha256(place.file.read_bytes()).hexdigest()[:HASH_DIGITS]


def _parts(name: str) -> tuple[str, str, str]:
    """The file or module, the class or function, and the hash; empty where none is given."""
    where, _, rest = name.strip().rpartition(":")
    own, _, wanted = rest.partition("@")
    if not where or not all(part.isidentifier() for part in own.split(".")):
        raise UsageError(f"invalid network {name!r} (give a class or function: {FORMS})")
    if "@" in rest and not re.fullmatch(rf"[0-9a-f]{{{HASH_DIGITS}}}", wanted):
        raise UsageError(f"{name}: invalid hash @{wanted} ({HASH_DIGITS} hexadecimal digits)")
    return where, own, wanted


def _is_path(where: str) -> bool:
    return where.endswith(".py") or os.sep in where


def _written(where: str) -> str:
    return _relative(where) if _is_path(where) else where


def _relative(path: str) -> str:
    return os.path.relpath(path)


def _file(where: str) -> Place:
    """The place of a file: by itself, or in its package where it imports relatively."""
    if not where.endswith(".py"):
        raise UsageError(f"{where} is not a Python file (give a class or function: {FORMS})")
    file = Path(where).resolve()
    source = read_source(file)
    root = file.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    folders = tuple(dict.fromkeys([str(file.parent), str(root)]))
    if root != file.parent and any(level for level, _ in source.imports):
        inner = file.relative_to(root).with_suffix("").parts
        return Place(file, ".".join(inner).removesuffix(".__init__"), folders[::-1])
    stem = file.stem
    is_free = stem.isidentifier() and not is_elsewhere(stem, file)
    return Place(file, stem if is_free else PREFIX + stem, folders)


def _module(where: str) -> Place:
    """The place of a module by its dotted name: of the import path, then of the working folder."""
    parts = where.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"{where!r} is neither a file nor a module (give {FORMS})")
    here = Place(Path(), where, (str(Path.cwd()),))
    for folder in [*filter(None, sys.path), *here.folders]:
        place = Place(Path(), where, (str(Path(folder).resolve()),))
        file = place.find(where)
        if file:
            return Place(file, where, () if is_installed(file) else place.folders)
    editable = _by_finders(parts)
    if editable:
        return Place(editable, where, (str(editable.parents[len(parts) - 1]),))
    if here.find(parts[0]) or Path(parts[0]).is_dir():
        raise UsageError(f"there is no module {where} in {parts[0]}")
    raise UsageError(f"there is no module {where}, installed or in this folder")


def _by_finders(parts: list[str]) -> Path | None:
    """Find a module as Python would, without importing the packages that it is in."""
    path: list[str] | None = None
    origin: str | None = None
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec: importlib.machinery.ModuleSpec | None = next(filter(None, specs), None)
        if spec is None:
            return None
        origin, path = spec.origin, list(spec.submodule_search_locations or ())
    return Path(origin) if origin and origin.endswith(".py") else None


def _signature(place: Place, called: str, own: str) -> Signature:
    """What can be given to what a file calls by a name; raises UsageError where it cannot be
    called.
    """
    tree = read_source(place.file).tree
    first, *rest = own.split(".")
    bound = binding(tree, first)
    if bound is None and not _binds_unseen(tree):
        offered = [
            name
            for name, node in bindings(tree).items()
            if isinstance(node, Function | ast.ClassDef)
        ]
        there = f"there are {', '.join(offered)}" if offered else "there is none"
        hint = did_you_mean(own, offered, there, cutoff=0.6)
        raise UsageError(f"{called}: no class or function {own}; {hint}")
    value = getattr(bound, "value", None)
    if isinstance(bound, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Constant):
        raise UsageError(f"{called} is {value.value!r}, neither a class nor a function")
    if isinstance(bound, ast.AsyncFunctionDef):
        raise UsageError(f"{called} is a coroutine, which returns no network")
    return Signature({}, is_open=True) if rest else signature(tree, first)


def _binds_unseen(tree: ast.Module) -> bool:
    """Whether a module may have names that its text does not show."""
    stars = (
        alias.name == "*"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    return any(stars) or binding(tree, "__getattr__") is not None
