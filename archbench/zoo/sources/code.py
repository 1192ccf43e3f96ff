"""A user's own code, read and never run: a module, the modules beside it that it imports, and a
hash of all of them. Torch-free.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from archbench.files import read_text
from archbench.spec import UsageError

HASH_DIGITS = 6
INSTALLED = ("site-packages", "dist-packages")
NOT_OWN = (Path(ast.__file__).parent, Path(__file__).parents[2])
"""Folders of Python's own modules and of archbench."""
MOST_MODULES = 1000
"""Modules that a network may be made of."""
SILENT = ("ctx", "kind", "type_comment", "type_ignores")
"""Fields of a syntax tree that say nothing about what it does."""


@dataclass(frozen=True)
class Place:
    """Where a module lies: its file, the name that it is imported by, and the folders, last on the
    import path, from which it and the modules beside it are.
    """

    file: Path
    module: str
    folders: tuple[str, ...]

    def find(self, name: str) -> Path | None:
        """Find a module in the folders; None where there is none, or a folder without code."""
        for folder in self.folders:
            base = Path(folder, *name.split("."))
            for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
                if path.is_file():
                    return path
        return None


@dataclass(frozen=True)
class Code:
    """A module with all that it imports of the modules beside it, by their names."""

    place: Place
    digest: str
    modules: Mapping[str, Path] = field(compare=False)

    def unhashed(self) -> list[str]:
        """Name the modules beside it that this process has loaded and the hash does not cover."""
        known = {str(path) for path in self.modules.values()}
        loaded = ((name, module_file(module)) for name, module in [*sys.modules.items()])
        return sorted(name for name, file in loaded if self._is_own(file) and file not in known)

    def _is_own(self, file: str) -> bool:
        path = Path(file)
        return not is_installed(path) and any(
            path.is_relative_to(folder) for folder in self.place.folders
        )


@dataclass(frozen=True)
class Source:
    """The text of a module: its tree, what it imports, and its hash."""

    tree: ast.Module
    imports: tuple[tuple[int, str], ...]
    """Levels of relative imports, 0 for none, and names after the points."""
    digest: str


def is_installed(path: Path) -> bool:
    """Whether a file is of an installed package, of Python itself or of archbench."""
    return any(part in INSTALLED for part in path.parts) or any(
        path.is_relative_to(folder) for folder in NOT_OWN
    )


def module_file(module: Any) -> str:
    """The file that a loaded module is from; empty where it is from none."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else ""


def read_source(file: Path) -> Source:
    """Read a module's text; raises UsageError where it cannot be read or is no Python."""
    # Editors may begin a file with a mark of its encoding.
    text = read_text(file, "file").removeprefix("\ufeff")
    try:
        return _parsed(text)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else error
        raise UsageError(f"{file.name} is not valid Python: {said} ({file}{line})") from None
    except (RecursionError, MemoryError):
        raise UsageError(f"{file.name} cannot be read: it is nested too deeply") from None


def read_code(place: Place) -> Code:
    """Read a module and, one after another, the modules beside it that it imports.

    Raises UsageError where one cannot be read, and for one beside it that an installed module has
    the name of: which of the two is meant is not known.
    """
    modules: dict[str, Path] = {}
    digest = hashlib.sha256()
    waiting = list(_with_packages(place.module)) if "." in place.module else [place.module]
    while waiting:
        name = waiting.pop(0)
        path = place.file if name == place.module else place.find(name)
        if path is None or path in modules.values():
            continue
        if len(modules) == MOST_MODULES:
            raise UsageError(f"{place.file.name} imports more than {MOST_MODULES} modules of yours")
        _check_shadow(name, path, place)
        source = read_source(path)
        modules[name] = path
        called = "" if path == place.file else name
        digest.update(f"{called}\0{source.digest}\0".encode())
        for level, wanted in source.imports:
            full = _absolute(level, wanted, name, is_package=path.name == "__init__.py")
            waiting += _with_packages(full)
    return Code(place, digest.hexdigest()[:HASH_DIGITS], modules)


def is_elsewhere(top: str, path: Path) -> bool:
    """Whether an installed module, or one of Python's, has the name of a file's."""
    if top in sys.builtin_module_names:
        return True
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(top, None)
        except Exception:  # Another's finder may raise anything.
            continue
        if spec is not None:
            return bool(spec.origin) and not _is_same(spec.origin, path)
    return False


def _is_same(origin: str | None, path: Path) -> bool:
    try:
        return Path(origin or "").samefile(path)
    except OSError:
        return False


def _check_shadow(name: str, path: Path, place: Place) -> None:
    if "." in name or is_installed(path) or (name == place.module and "." not in place.module):
        return
    if is_elsewhere(name, path):
        raise UsageError(
            f"{place.file.name} imports {name}, which is both {path.name} beside it and an "
            "installed module: rename yours"
        )


def _with_packages(name: str) -> Iterator[str]:
    """The packages of a module, outermost first, and itself."""
    parts = name.split(".") if name else []
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _absolute(level: int, wanted: str, module: str, *, is_package: bool) -> str:
    """The full name of what a module imports; empty where that would be above its packages."""
    if not level:
        return wanted
    parts = module.split(".")
    kept = parts[: len(parts) - level + is_package]
    return ".".join([*kept, *filter(None, [wanted])]) if kept else ""


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Source:
    with warnings.catch_warnings():
        # Python warns of texts as it reads them, and does so again where the file is run.
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    parts: list[str] = []
    _write(tree, parts)
    found = tuple(dict.fromkeys(_imports(tree)))
    return Source(tree, found, hashlib.sha256("\0".join(parts).encode()).hexdigest())


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What is imported anywhere; what is imported from a module may be a module in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield node.level, base
            for alias in node.names:
                yield node.level, f"{base}.{alias.name}" if base else alias.name


def _write(node: Any, parts: list[str]) -> None:
    """Write down a syntax tree without positions and docstrings, alike under every Python: fields
    of later versions are empty where they are not used.
    """
    if isinstance(node, ast.AST):
        parts.append(f"({type(node).__name__}")
        for name, value in ast.iter_fields(node):
            if name in SILENT or value is None or value == []:
                continue
            parts.append(name)
            _write(_without_docstring(node, value) if name == "body" else value, parts)
        parts.append(")")
    elif isinstance(node, list):
        for item in node:
            _write(item, parts)
        parts.append("]")
    else:
        parts.append(ascii(node))


def _without_docstring(node: ast.AST, body: Any) -> Any:
    has_docstring = isinstance(
        node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    )
    first = body[0].value if has_docstring and isinstance(body[0], ast.Expr) else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return body[1:] if is_text else body
