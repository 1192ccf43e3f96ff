"""Import a user's own file and call what is asked of it.

It finds the modules beside it last, after whatever is installed; nothing is compiled into its
folder.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archbench.spec import OptionValue, UsageError
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources.code import Code, module_file, read_code
from archbench.zoo.sources.files import code_of

MOST_TEXT = 200
"""Characters of a default that is no plain value."""


def make(entry: Entry, arguments: dict[str, Any]) -> Any:
    """Call the class or function of an entry; a module that is there already is given as it is."""
    found = _found(entry)
    if isinstance(found, nn.Module) and not arguments:
        return found
    if not callable(found):
        kind = type(found).__name__
        raise UsageError(f"it is of type {kind}, neither a class nor a function")
    return found(**arguments)


def _found(entry: Entry) -> Any:
    """What an entry names in its module; the working folder is then the one that it went to."""
    loaded = load(code_of(entry))
    if loaded.folder:
        os.chdir(loaded.folder)
    found: Any = loaded.module
    for part in entry.builder.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{entry.plugin} has no {part}")
        found = getattr(found, part)
    return found


def settled(entry: Entry, given: Mapping[str, OptionValue]) -> dict[str, Any]:
    """Give every option with its value: as given, or the signature's default; None and what is no
    plain value as Python writes it.
    """
    with importable(entry):
        found = _found(entry)
        try:
            signature = None if isinstance(found, nn.Module) else inspect.signature(found)
        except (TypeError, ValueError):
            signature = None
        defaults = {
            name: _plain(parameter.default)
            for name, parameter in (signature.parameters if signature else {}).items()
            if parameter.default is not parameter.empty and name not in entry.told.values()
        }
    return {**defaults, **given}


def _plain(value: Any) -> OptionValue:
    return value if isinstance(value, bool | int | float | str) else repr(value)[:MOST_TEXT]


def facts(entry: Entry) -> dict[str, Any]:
    """Give the file of an entry, and the modules beside it that were loaded unseen."""
    unhashed = code_of(entry).unhashed()
    return {"code_file": entry.plugin} | ({"code_unhashed": unhashed} if unhashed else {})


@contextmanager
def importable(entry: Entry) -> Iterator[None]:
    """Let modules beside a file be imported for a while, after all that is installed.

    Modules of the same names from elsewhere are out of sight meanwhile. The working folder is
    afterwards as it was: names of files are read from it.
    """
    code = code_of(entry)
    here = Path.cwd()
    folders = [folder for folder in code.place.folders if folder not in sys.path]
    hidden = _foreign(code)
    for name in hidden:
        del sys.modules[name]
    written = sys.dont_write_bytecode
    sys.path += folders
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        os.chdir(here)
        sys.dont_write_bytecode = written
        for folder in folders:
            if folder in sys.path:
                sys.path.remove(folder)
        sys.modules.update(hidden)


@dataclass(frozen=True)
class Loaded:
    """A module, and the folder that it made the working one; None where it left that alone."""

    module: ModuleType
    folder: Path | None


@lru_cache(maxsize=16)
def load(code: Code) -> Loaded:
    """Import a module, once a process for what it and the modules beside it say."""
    before = Path.cwd()
    module = _imported(code)
    after = Path.cwd()
    return Loaded(module, after if after != before else None)


def _imported(code: Code) -> ModuleType:
    place = code.place
    if read_code(place) != code:
        raise UsageError(f"{place.file} has changed in the meantime")
    if not place.folders:
        return importlib.import_module(place.module)
    for name in code.modules:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    # What a file makes once stays real where its networks are built by shape.
    with torch.device("cpu"), torch.inference_mode(mode=False):
        if "." in place.module:
            return importlib.import_module(place.module)
        # The text itself, since what Python has compiled of it before may be of another second's.
        spec = importlib.util.spec_from_file_location(place.module, place.file)
        assert spec
        module = sys.modules[place.module] = importlib.util.module_from_spec(spec)
        try:
            exec(compile(place.file.read_bytes(), str(place.file), "exec"), vars(module))
        except BaseException:
            sys.modules.pop(place.module, None)
            raise
    return module


def _foreign(code: Code) -> dict[str, ModuleType]:
    """The loaded modules that have the name of one beside a file and are from elsewhere."""
    return {
        name: module
        for name, path in code.modules.items()
        if code.place.folders
        and (module := sys.modules.get(name)) is not None
        and module_file(module) != str(path)
    }
