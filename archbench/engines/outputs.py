"""How outputs of a network stand together, as plain data: what an engine gives, a list of tensors,
becomes again what the network's forward pass gives.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

OURS = "archbench."
"""Only named tuples of this package are made again; others become plain ones."""


def flattened(tree: Any) -> tuple[Any, list[Tensor]]:
    """Take a tree of tensors apart: how they stand together, as JSON can hold it, and the tensors
    in order.
    """
    if isinstance(tree, Tensor):
        return "tensor", [tree]
    if isinstance(tree, Mapping):
        form, tensors = _parts(list(tree.values()))
        return {"keys": [*map(str, tree)], "parts": form}, tensors
    if isinstance(tree, list | tuple):
        form, tensors = _parts(tree)
        return {"type": _type(tree), "parts": form}, tensors
    return {"plain": tree if isinstance(tree, bool | int | float | str) else None}, []


def together(form: Any, tensors: Sequence[Tensor]) -> Any:
    """Put tensors together in a form that `flattened` gave; ValueError where they are not as
    many.
    """
    return assembler(form)(tensors)


def assembler(form: Any) -> Callable[[Sequence[Tensor]], Any]:
    """Give what puts tensors together in a form call after call, as `together` does, its classes
    found beforehand.
    """
    make = _maker(form)

    def assemble(tensors: Sequence[Tensor]) -> Any:
        rest = iter(tensors)
        tree = make(rest)
        if left := len(list(rest)):
            raise ValueError(f"there are {left} more outputs than the network gives")
        return tree

    return assemble


def _parts(items: Sequence[Any]) -> tuple[list[Any], list[Tensor]]:
    forms, tensors = [], []
    for item in items:
        form, held = flattened(item)
        forms.append(form)
        tensors += held
    return forms, tensors


def _type(items: Sequence[Any]) -> str:
    kind = type(items)
    if hasattr(items, "_fields") and kind.__module__.startswith(OURS):
        return f"{kind.__module__}:{kind.__qualname__}"
    return "list" if isinstance(items, list) else "tuple"


def _maker(form: Any) -> Callable[[Iterator[Tensor]], Any]:
    """Give what makes a part of a tree, and takes the tensors in it."""
    if form == "tensor":
        return _taken
    if "plain" in form:
        return lambda _: form["plain"]
    parts = [_maker(part) for part in form["parts"]]
    if "keys" in form:
        return lambda rest: dict(zip(form["keys"], [make(rest) for make in parts], strict=True))
    kind = form["type"]
    if kind.startswith(OURS):
        named = pkgutil.resolve_name(kind)
        return lambda rest: named(*[make(rest) for make in parts])
    plain = list if kind == "list" else tuple
    return lambda rest: plain([make(rest) for make in parts])


def _taken(rest: Iterator[Tensor]) -> Tensor:
    tensor = next(rest, None)
    if tensor is None:
        raise ValueError("there are fewer outputs than the network gives")
    return tensor
