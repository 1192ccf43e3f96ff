"""The page of the Python API: signatures and docstrings, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from from_code.markdown import code, table, text

ROOT = Path(__file__).parents[2]
HEAD = """# Python API

What a program may rely on. `import archbench` loads no torch; its functions do when they are first
called. Bad input is a `UsageError`, which is a `ValueError` with a message of one line.
"""
PUBLIC = {
    "archbench.cost": "archbench/api.py",
    "archbench.build": "archbench/api.py",
    "archbench.count": "archbench/api.py",
    "archbench.measure": "archbench/measure/face/measuring.py",
    "archbench.counting.CostReport": "archbench/counting/report.py",
    "archbench.counting.Call": "archbench/counting/report.py",
    "archbench.counting.rule": "archbench/counting/rules/foreign.py",
    "archbench.counting.onnx.count": "archbench/counting/onnx/__init__.py",
    "archbench.records.Store": "archbench/records/store.py",
    "archbench.records.Record": "archbench/records/schema.py",
    "archbench.records.Metric": "archbench/records/schema.py",
    "archbench.zoo.catalogue.use_plugin": "archbench/zoo/catalogue/loading.py",
    "archbench.zoo.contracts.Backbone": "archbench/zoo/contracts.py",
    "archbench.zoo.contracts.Stage": "archbench/zoo/contracts.py",
    "archbench.zoo.contracts.Detector": "archbench/zoo/contracts.py",
    "archbench.zoo.contracts.Detections": "archbench/zoo/contracts.py",
    "archbench.zoo.contracts.Preparation": "archbench/zoo/contracts.py",
    "archbench.zoo.contracts.Prepared": "archbench/zoo/contracts.py",
}
"""Each public name, with the file that defines it."""
WIDTH = 80


def page() -> str:
    """Write the page."""
    return "\n\n".join([HEAD, *(_section(name, path) for name, path in PUBLIC.items())]) + "\n"


def _section(name: str, path: str) -> str:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    short = name.rpartition(".")[2]
    (node,) = (
        each
        for each in tree.body
        if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name == short
    )
    parts = [f"## {name}", *_described(node)]
    if isinstance(node, ast.ClassDef):
        fields = list(_fields(node))
        if fields:
            parts.append(table(["attribute", "type", "meaning"], fields))
        for method in _methods(node):
            parts += [f"### {short}.{method.name}", *_described(method)]
    return "\n\n".join(parts)


def _described(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """The signature, where it is a function, and the docstring."""
    if isinstance(node, ast.FunctionDef) and not _is_property(node):
        yield f"```python\n{_signature(node)}\n```"
    for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
        yield paragraph if paragraph.startswith("    ") else text(paragraph)


def _signature(node: ast.FunctionDef) -> str:
    """The head of a function as it is called, an argument a line where it is long."""
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = [text for text in _arguments(node.args) if text not in ("self", "cls")]
    line = f"{node.name}({', '.join(arguments)}){returned}"
    if len(line) <= WIDTH:
        return line
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f"{node.name}(\n{lines}){returned}"


def _arguments(given: ast.arguments) -> Iterator[str]:
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    yield from map(_argument, positional, defaults)
    if given.vararg:
        yield f"*{ast.unparse(given.vararg)}"
    elif given.kwonlyargs:
        yield "*"
    yield from map(_argument, given.kwonlyargs, given.kw_defaults)
    if given.kwarg:
        yield f"**{ast.unparse(given.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")


def _fields(node: ast.ClassDef) -> Iterator[list[str]]:
    """The annotated attributes of a class, and its properties, with what is said of them."""
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            is_said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            said = str(after.value.value) if is_said else ""  # type: ignore[union-attr]
            yield [code(member.target.id), code(ast.unparse(member.annotation)), text(said)]
        elif isinstance(member, ast.FunctionDef) and _is_property(member):
            returned = ast.unparse(member.returns) if member.returns else ""
            yield [code(member.name), code(returned), text(ast.get_docstring(member) or "")]


def _is_property(node: ast.FunctionDef) -> bool:
    names = {ast.unparse(decorator) for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property"})


def _methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """The public methods that say what they do."""
    for member in node.body:
        if (
            isinstance(member, ast.FunctionDef)
            and not member.name.startswith("_")
            and not _is_property(member)
            and ast.get_docstring(member)
        ):
            yield member
