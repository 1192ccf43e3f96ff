"""What is declared once is listed nowhere else: no table of five declared names or more outside the
module that declares them.

An element of a tuple, list or set counts, and so does the key of a dict. Two things are no tables:
the fields of a class, and what a function computes by name (a key whose value is no literal).
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from archbench.quantities import QUANTITIES
from archbench.reasons import Flag, Reason, Status
from archbench.settings import SETTINGS

PACKAGE = Path(__file__).parent.parent / "archbench"
DECLARED: dict[str, Collection[str]] = {
    "quantities.py": QUANTITIES.keys(),
    "reasons.py": {*Status, *Reason, *Flag},
    "settings.py": SETTINGS.keys(),
}
"""Names by the module that declares them."""
MANY = 5
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def tables(source: str, names: Collection[str]) -> list[tuple[int, list[str]]]:
    """Give the line of each literal table with the names that it lists."""
    return [
        (node.lineno, listed)
        for node, is_computing in walk(ast.parse(source), is_computing=False)
        if len(listed := [name for name in entries(node, is_computing) if name in names]) >= MANY
    ]


def walk(node: ast.AST, *, is_computing: bool) -> Iterator[tuple[ast.expr, bool]]:
    """Every expression below a node, and whether it stands in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child, is_computing
        yield from walk(child, is_computing=is_computing or isinstance(child, FUNCTIONS))


def entries(node: ast.expr, is_computing: bool) -> list[str]:
    """The texts that a display lists; of rows in it their first."""
    listed: list[ast.expr] = []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        listed = [first(element) for element in node.elts]
    elif isinstance(node, ast.Dict):
        listed = [
            key
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None and not (is_computing and not is_literal(value))
        ]
    return [entry.value for entry in listed if isinstance(entry, ast.Constant)]


def first(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Tuple | ast.List) and node.elts:
        return node.elts[0]
    return node.args[0] if isinstance(node, ast.Call) and node.args else node


def is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("module", DECLARED)
def test_nothing_that_is_declared_is_listed_again(module: str) -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}": listed
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / module
        for line, listed in tables(path.read_text(encoding="utf-8"), DECLARED[module])
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ('A = ("v", "w", "x", "y", "z")', 5),
        ('A = ["v", "w", "x", "y", other]', 0),
        ('def f():\n    return {"v", "w", "x", "y", "z"}', 5),
        ('A = {"v": make(), "w": 1, "x": 2, "y": 3, "z": 4}', 5),
        ('def f():\n    return {"v": "V", "w": 1, "x": [], "y": 3, "z": 4}', 5),
        ('def f():\n    return {"v": made, "w": 1, "x": 2, "y": 3, "z": 4}', 0),
        ('A = (("v", 1), ("w", 2), ("x", 3), Row("y"), ["z"])', 5),
        ("class A:\n    v: int\n    w: int\n    x: int\n    y: int\n    z: int", 0),
    ],
)
def test_a_table_is_found_by_its_entries(source: str, listed: int) -> None:
    assert [len(names) for _, names in tables(source, set("vwxyz"))] == ([listed] if listed else [])
