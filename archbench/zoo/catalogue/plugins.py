"""Networks from outside the zoo: which files and modules add some, and what they say of them.
Torch-free.

A plug-in holds a text `ENTRY` in the form of a family's file (`family`), with `kind` ("backbone" or
"detector", the default) and builders named without a module, and the builders.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from archbench.files import parse_toml, read_text
from archbench.spec import UsageError
from archbench.zoo.catalogue.blame import blamed
from archbench.zoo.catalogue.entry import KINDS, Entry, Kind
from archbench.zoo.catalogue.family import read_table
from archbench.zoo.catalogue.memory import remembered

PLUGIN_FILES = "ARCHBENCH_PLUGINS"
"""The environment variable that names plug-in files, in the form of PATH, so that the processes of
jobs know them too.
"""
PLUGIN_GROUP = "archbench.plugins"
"""The entry points by which installed packages offer plug-in modules."""


def plugins_in_use() -> tuple[str, ...]:
    """List what adds networks: files that were asked for, then modules that installed packages
    offer.
    """
    asked = os.environ.get(PLUGIN_FILES, "").split(os.pathsep)
    offered = sorted(point.module for point in metadata.entry_points(group=PLUGIN_GROUP))
    return tuple(dict.fromkeys([*filter(None, asked), *offered]))


@remembered
def plugged_entries() -> tuple[Entry, ...]:
    """Read the entries of all plug-ins."""
    return tuple(entry for plugin in plugins_in_use() for entry in read_plugin(plugin))


def read_plugin(plugin: str) -> list[Entry]:
    """Read the entries of a plug-in out of its source, which is not run.

    Raises UsageError where it cannot be read or says something else.
    """
    try:
        path = source_file(plugin)
    except ImportError as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error}") from None
    text = read_text(path, "plug-in")
    try:
        data = parse_toml(_entry_text(ast.parse(text)))
        kind: Kind = data.get("kind", "detector")
        if kind not in KINDS:
            raise UsageError(f"invalid kind {kind!r} (choose from backbone, detector)")
        # The types are loaded where there are plug-ins alone: commands start without.
        from archbench.zoo.catalogue.form import check_entries, check_table

        check_table(data)
        entries = read_table(kind, path.stem, data, plugin)
        check_entries(entries)
        return entries
    except (RecursionError, MemoryError):
        raise UsageError(f"plug-in {plugin} cannot be read: it is nested too deeply") from None
    except (SyntaxError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error}") from None
    except UsageError as error:
        raise UsageError(f"plug-in {plugin}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"plug-in {plugin}: its ENTRY is not that of a family: {type(error).__name__} {error}"
        ) from None


def source_file(plugin: str) -> Path:
    """Find a plug-in's file; raises ImportError where there is no module of that name."""
    if plugin.endswith(".py"):
        return Path(plugin)
    module = importlib.util.find_spec(plugin)
    if module is None or module.origin is None:
        raise ModuleNotFoundError(f"No module named {plugin!r}")
    return Path(module.origin)


def import_plugin(plugin: str) -> ModuleType:
    """Import a plug-in, a file or an installed module, once a process.

    A file finds the modules beside it, unless an installed one or one of Python's has their name.
    Raises UsageError for whatever goes wrong.
    """
    with blamed([source_file(plugin)], f"plug-in {plugin} cannot be loaded"):
        return _import_file(Path(plugin)) if plugin.endswith(".py") else import_module(plugin)


def _import_file(file: Path) -> ModuleType:
    name = f"archbench_plugin_{file.stem}"
    known = sys.modules.get(name)
    if known and known.__file__ == str(file):
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _beside(file):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _beside(file: Path) -> Iterator[None]:
    """Let a plug-in's file import the modules beside it: its folder is last on the path meanwhile.

    Another plug-in may have modules of the same names; they are out of its sight meanwhile.
    """
    folder = str(file.parent)
    others = {str(Path(plugin).parent) for plugin in plugins_in_use()} - {folder}
    hidden = {top: _modules(top) for top in _tops(others) & _offered(file.parent)}
    for modules in hidden.values():
        for name in modules:
            del sys.modules[name]
    path = None if folder in sys.path else folder
    if path:
        sys.path.append(path)
    try:
        yield
    finally:
        if path in sys.path:
            sys.path.remove(path)
        for top, modules in hidden.items():
            for name in _modules(top):
                del sys.modules[name]
            sys.modules.update(modules)


def _tops(folders: set[str]) -> set[str]:
    """The top-level modules that were imported from some folders."""
    tops = set()
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if spec and "." not in name:
            places = spec.submodule_search_locations or filter(None, [spec.origin])
            if any(str(Path(place).parent) in folders for place in places):
                tops.add(name)
    return tops


def _offered(folder: Path) -> set[str]:
    """The names of the modules and packages in a folder."""
    return {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}


def _modules(top: str) -> dict[str, ModuleType]:
    """A top-level module and those within it, as far as they are imported."""
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == top}


def _entry_text(tree: ast.Module) -> str:
    """The text that a module's source assigns to `ENTRY`."""
    for node in tree.body:
        names = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == "ENTRY" for name in names
        ):
            text: str = ast.literal_eval(node.value)
            return text
    raise UsageError("it has no ENTRY, the text that declares its networks")
