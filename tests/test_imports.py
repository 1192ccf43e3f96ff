"""Who may import whom (DESIGN.md), read from the source, and what a light command may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
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

WORDS = [
    "quantity",
    "quantities",
    "spec",
    "spelling",
    "escaping",
    "setting",
    "engine_names",
    "settings",
    "reasons",
    "cache",
    "child",
    "files",
    "tracebacks",
    "locks",
]
"""What lies at the bottom: declarations, and how texts are read and written."""
MAY_IMPORT = {
    "quantity": [],
    "quantities": ["quantity"],
    "spec": [],
    "escaping": [],
    "spelling": [],
    "reasons": [],
    "cache": ["files"],
    "child": [],
    "files": ["spec"],
    "tracebacks": [],
    "locks": [],
    "setting": ["spec"],
    "engine_names": ["spec", "spelling"],
    "settings": ["setting", "engine_names", "spec", "escaping"],
    "shapes": [],
    "graph_axes": [],
    "zoo": [*("spec", "spelling", "cache", "child", "files", "tracebacks", "shapes", "graph_axes")],
    "counting": ["quantities", "spec", "files", "tracebacks", "shapes", "graph_axes"],
    "records": WORDS,
    "engines": [*WORDS, "zoo", "counting"],
    "papers": ["spec", "spelling", "engine_names", "files", "zoo.catalogue"],
    "api": ["spec", "tracebacks", "zoo", "counting", "papers"],
    "known": ["cache", "spec", "zoo.catalogue", "counting", "api"],
    "measure": [*WORDS, "api", "known", "engines", "records"],
    "report": [*WORDS, "records", "papers"],
}
"""The parts that each part of the package may import besides itself."""
FREE = {"cli", "__main__"}
"""The command line, which may import all."""
ROOMS = {
    "measure": {
        "power": [],
        "machine": ["power"],
        "roofline": ["machine"],
        "job": ["machine", "power", "roofline"],
        "sweep": ["job", "machine", "power"],
        "aggregation": ["job"],
        "face": ["job"],
    },
    "report": {
        "data": [],
        "tables": ["data"],
        "figures": ["data", "tables"],
        "page": ["data", "tables", "figures"],
    },
}
"""The rooms of its own part that each room may import besides itself."""
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
        "archbench.known",
        "archbench.engines",
    )
    or name.split(".")[1:2] in (["spelling"], ["records"], ["papers"], ["cli"])
    or name.startswith(("archbench.zoo.catalogue", "archbench.counting.onnx"))
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


def is_within(module: str, parts: Iterable[str]) -> bool:
    return any(
        module == f"archbench.{part}" or module.startswith(f"archbench.{part}.") for part in parts
    )


def of_ours(module: str) -> list[str]:
    """What a module imports of the package itself."""
    names = everywhere(module) - {"archbench"}
    return sorted(name for name in names if name.split(".")[0] == "archbench")


def upward(module: str) -> list[str]:
    """What a module imports and may not."""
    part, room = ([*module.split(".")[1:3], "", ""])[:2]
    if part in FREE:
        return []
    allowed = [part, *MAY_IMPORT[part]] if part else ["api", "spec", "measure.face"]
    found = [name for name in of_ours(module) if not is_within(name, allowed)]
    if room:
        rooms = [f"{part}.{other}" for other in (room, *ROOMS.get(part, {}).get(room, ()))]
        found += [
            name
            for name in of_ours(module)
            if part in ROOMS and is_within(name, [part]) and not is_within(name, rooms)
        ]
    return found


def test_imports_go_down_only() -> None:
    assert {module: names for module in MODULES if (names := upward(module))} == {}


def test_every_part_and_every_room_has_its_rule() -> None:
    parts = [name.split(".")[1:] for name in MODULES if "." in name]
    assert {part for part, *_ in parts} == MAY_IMPORT.keys() | FREE
    for part, rooms in ROOMS.items():
        assert {room for of, *rest in parts if of == part for room in rest[:1]} == rooms.keys()


def test_one_module_alone_imports_the_binding_of_the_driver() -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
    doors = [name for name, text in texts.items() if re.search("import.*pynvml", text)]
    assert doors == ["archbench.measure.power.nvml"]


def test_light_modules_load_nothing_heavy() -> None:
    found = {
        f"{module} loads {name}": by
        for module in LIGHT
        for name, by in loads(module).items()
        if name.split(".")[0] in HEAVY
    }
    assert found == {}


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
