"""The options that a class or a function takes, by its signature in the syntax tree. Torch-free."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archbench.spec import OptionValue, UsageError, format_value
from archbench.zoo.catalogue.entry import Option, storable

PLAIN = ("bool", "int", "float", "str")
WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number"}
MODULE_CLASSES = ("Module", "nn.Module", "torch.nn.Module")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Parameter(Option):
    """An argument of a user's own class or function, in the type of its annotation."""

    def check(self, value: OptionValue) -> OptionValue:
        """Return `value` in the argument's own type, or raise UsageError."""
        if self.type == "str":
            return format_value(value)
        if self.values or self.is_free:
            return super().check(value)
        is_flag = isinstance(value, bool)
        fits = {
            "bool": is_flag,
            "int": isinstance(value, int) and not is_flag,
            "float": isinstance(value, int | float) and not is_flag,
        }
        if not fits[self.type]:
            raise UsageError(
                f"invalid option {self.name}={format_value(value)} ({WORDS[self.type]})"
            )
        value = storable(self.name, value)
        return float(value) if self.type == "float" else value


@dataclass(frozen=True)
class Signature:
    """What can be given by name."""

    parameters: dict[str, Parameter]
    is_open: bool = False
    """Whether there may be others."""


def signature(tree: ast.Module, name: str) -> Signature:
    """Read the signature of what a module calls by a name."""
    bound = binding(tree, name)
    if isinstance(bound, Function):
        return _of_function(bound)
    if isinstance(bound, ast.ClassDef):
        return _of_class(bound, tree)
    return Signature({}, is_open=True)


def binding(tree: ast.Module, name: str) -> ast.AST | None:
    """Find what binds a name at the top of a module, the last of several; None where nothing
    does.
    """
    return bindings(tree).get(name)


def bindings(tree: ast.Module) -> dict[str, ast.AST]:
    """What binds each name at the top of a module, in branches too."""
    return {name: node for node in _statements(tree.body) for name in _bound(node)}


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            for field in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    walked = (part for target in targets if target for part in ast.walk(target))
    return [part.id for part in walked if isinstance(part, ast.Name)]


def _of_class(node: ast.ClassDef, tree: ast.Module) -> Signature:
    """The signature of `__init__`, its own or that of a base class of the module."""
    seen = {node.name}
    while not node.decorator_list and not node.keywords:
        own = bindings(ast.Module(node.body, []))
        made = own.get("__init__")
        if "__new__" in own:
            break
        if isinstance(made, Function):
            return _of_function(made, is_method=True)
        bases = [ast.unparse(base) for base in node.bases]
        if made is not None or len(bases) != 1 or bases[0] in seen:
            break
        if bases[0] in MODULE_CLASSES:
            return Signature({})
        base = binding(tree, bases[0])
        if not isinstance(base, ast.ClassDef):
            break
        seen.add(bases[0])
        node = base
    return Signature({}, is_open=True)


def _of_function(node: Function, *, is_method: bool = False) -> Signature:
    arguments = node.args
    by_place = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(by_place) - len(arguments.defaults))
    pairs = list(zip(by_place, [*defaults, *arguments.defaults], strict=True))[is_method:]
    # What is given by place alone cannot be given by name.
    pairs = [pair for pair in pairs if pair[0] not in arguments.posonlyargs]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return Signature(
        {argument.arg: _parameter(argument, default) for argument, default in pairs},
        is_open=arguments.kwarg is not None or bool(node.decorator_list),
    )


def _parameter(argument: ast.arg, default: ast.expr | None) -> Parameter:
    kind, values = _annotated(argument.annotation)
    value = _constant(default)
    if not kind and isinstance(value, bool):
        kind = "bool"
    return Parameter(
        argument.arg,
        values=values,
        type=kind,
        is_free=not kind and not values,
        default=value if isinstance(value, bool | int | float | str) else None,
        is_required=default is None,
    )


def _constant(node: ast.expr | None) -> Any:
    """The value of a constant, or of a number with its sign; None for all else."""
    try:
        return ast.literal_eval(node) if isinstance(node, ast.Constant | ast.UnaryOp) else None
    except ValueError:  # The operand is no number.
        return None


def _annotated(node: ast.expr | None) -> tuple[str, tuple[OptionValue, ...]]:
    """The plain type, or the values, that an annotation allows; neither where it says another."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return "", ()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if ast.unparse(side) != "None"]
        return _annotated(sides[0]) if len(sides) == 1 else ("", ())
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value).rpartition(".")[2]
        if outer == "Optional":
            return _annotated(node.slice)
        if outer == "Literal":
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            values = map(_constant, items)
            return "", tuple(v for v in values if isinstance(v, bool | int | float | str))
    return (node.id, ()) if isinstance(node, ast.Name) and node.id in PLAIN else ("", ())
