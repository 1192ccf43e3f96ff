"""How outputs of a network stand together, as plain data: what an engine gives, a list of tensors,
becomes again what the network's forward pass gives.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
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
    rest = list(tensors)
    tree = _built(form, rest)
    if rest:
        raise ValueError(f"there are {len(rest)} more outputs than the network gives")
    return tree


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


def _built(form: Any, rest: list[Tensor]) -> Any:
    if form == "tensor":
        if not rest:
            raise ValueError("there are fewer outputs than the network gives")
        return rest.pop(0)
    if "plain" in form:
        return form["plain"]
    parts = [_built(part, rest) for part in form["parts"]]
    if "keys" in form:
        return dict(zip(form["keys"], parts, strict=True))
    kind = form["type"]
    if kind.startswith(OURS):
        return pkgutil.resolve_name(kind)(*parts)
    return parts if kind == "list" else tuple(parts)
