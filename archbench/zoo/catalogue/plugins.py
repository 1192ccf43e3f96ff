"""Networks from outside the zoo: which files and modules add some, and what they say of them.
Torch-free.

A plug-in holds a text `ENTRY` in the form of a family's file (`family`), with `kind` ("backbone" or
"detector", the default) and builders named without a module, and the builders.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import tomllib
from importlib import metadata
from pathlib import Path

from archbench.spec import UsageError
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
    offered = sorted(point.value for point in metadata.entry_points(group=PLUGIN_GROUP))
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
        data = tomllib.loads(_entry_text(ast.parse(path.read_text(encoding="utf-8"))))
        kind: Kind = data.get("kind", "detector")
        if kind not in KINDS:
            raise UsageError(f"its kind is {kind!r}, not backbone or detector")
        return read_table(kind, path.stem, data, plugin)
    except OSError as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error.strerror}") from None
    except (SyntaxError, tomllib.TOMLDecodeError, ImportError) as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error}") from None
    except UsageError as error:
        raise UsageError(f"plug-in {plugin}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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


def _entry_text(tree: ast.Module) -> str:
    """The text that a module's source assigns to `ENTRY`."""
    for node in tree.body:
        names = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == "ENTRY" for name in names
        ):
            text: str = ast.literal_eval(node.value)
            return text
    raise UsageError("it has no ENTRY, the text that says what it adds")
