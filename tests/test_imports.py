"""Who may import whom (DESIGN.md), read from the source, and what a light command may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "archbench"
MODULES = {
    ".".join(("archbench", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

MAY_IMPORT = {
    "cache": [],
    "quantity": [],
    "quantities": ["quantity"],
    "spec": [],
    "escaping": [],
    "spelling": [],
    "reasons": [],
    "settings": ["spec", "escaping"],
    "shapes": ["shapes"],
    "zoo": ["spec", "spelling", "shapes", "zoo"],
    "counting": ["quantities", "spec", "shapes", "counting"],
    "records": ["quantity", "quantities", "spec", "escaping", "settings", "reasons", "records"],
    "api": ["spec", "zoo", "counting", "papers"],
    "measure": ["cache", "quantities", "spec", "settings", "reasons", "api", "records", "measure"],
    "papers": ["spec", "spelling", "zoo.catalogue", "papers"],
    "report": [
        "quantity",
        "quantities",
        "spec",
        "spelling",
        "escaping",
        "settings",
        "reasons",
        "records",
        "papers",
        "report",
    ],
}
FACE = {
    "build": "archbench.api",
    "cost": "archbench.api",
    "count": "archbench.api",
    "UsageError": "archbench.spec",
}
"""What `from archbench import ...` stands for."""

HEAVY = {"torch", "pandas", "matplotlib"}
LIGHT = [
    name
    for name in MODULES
    if name
    in (
        "archbench",
        "archbench.spec",
        "archbench.escaping",
        "archbench.settings",
        "archbench.quantities",
        "archbench.counting.report",
    )
    or name.split(".")[1:2] in (["spelling"], ["records"], ["papers"], ["cli"])
    or name.startswith("archbench.zoo.catalogue")
]


def imported(node: ast.AST, module: str) -> Iterator[str]:
    """Give the full names of what an import statement of a module imports: modules of the package,
    or anything else's name.
    """
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module} has a relative import"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            face = FACE.get(alias.name) if node.module == "archbench" else None
            yield submodule if submodule in MODULES else face or str(node.module)


def everywhere(module: str) -> set[str]:
    """What a module imports anywhere, in functions and for type checking too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return {name for node in ast.walk(tree) for name in imported(node, module)}


@cache
def on_loading(module: str) -> frozenset[str]:
    """What a module imports when it is loaded: at the top level, not in functions and not for type
    checking.
    """

    def visit(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            yield from imported(child, module)
            yield from visit(child)

    return frozenset(visit(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def loads(module: str) -> dict[str, str]:
    """Everything that loading a module loads, packages on the way included, and the module that
    asks for it.
    """
    found = {module: ""}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        parents = [
            ".".join(current.split(".")[:depth]) for depth in range(1, current.count(".") + 1)
        ]
        for name in [*parents, *(on_loading(current) if current in MODULES else ())]:
            if name not in found:
                found[name] = current
                waiting += [name] if name in MODULES else []
    return found


def is_within(module: str, parts: list[str]) -> bool:
    return any(
        module == f"archbench.{part}" or module.startswith(f"archbench.{part}.") for part in parts
    )


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    part = ([*module.split("."), ""])[1]
    own = {name for name in everywhere(module) if name.split(".")[0] == "archbench"} - {"archbench"}
    if part == "":
        assert own <= {"archbench.api", "archbench.spec"}
    elif part != "cli":
        assert [name for name in sorted(own) if not is_within(name, MAY_IMPORT[part])] == []


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    loaded = loads(module)
    assert {name: by for name, by in loaded.items() if name.split(".")[0] in HEAVY} == {}


@pytest.mark.parametrize("module", ["archbench", "archbench.spec", "archbench.zoo.catalogue"])
def test_torch_is_not_loaded_by(module: str) -> None:
    """Neither by the module nor by making a spec, in a fresh process."""
    ask = (
        "; archbench.zoo.catalogue.resolve('vovnet39', 'refinedet')"
        if module.endswith("catalogue")
        else ""
    )
    code = f"import sys, {module}{ask}; print(sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_part_of_the_package_has_its_rule() -> None:
    parts = {name.split(".")[1] for name in MODULES if "." in name}
    assert parts <= MAY_IMPORT.keys() | {"cli"}
