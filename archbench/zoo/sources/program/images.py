"""The images that an exported program takes, by its signature. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archbench.spec import UsageError
from archbench.zoo.catalogue.images import Images, Side

DTYPES = {6: "float16", 7: "float32", 13: "bfloat16"}
"""The numbers that torch's schema gives to what images may be of."""
TAKES = "archbench passes one batch of images [B, 3, H, W]"


def images_of(graph: Mapping[str, Any]) -> Images:
    """Read what a program takes; raises UsageError where that is no batch of images."""
    module = graph["graph_module"]
    given = [
        spec["user_input"]["arg"]
        for spec in module["signature"]["input_specs"]
        if "user_input" in spec
    ]
    if len(given) != 1 or "as_tensor" not in given[0]:
        raise UsageError(f"it takes {len(given)} inputs, but {TAKES}")
    tensor = module["graph"]["tensor_values"][given[0]["as_tensor"]["name"]]
    sides = [_side(size, graph["range_constraints"]) for size in tensor["sizes"]]
    if len(sides) != 4 or sides[1].value != 3:
        shape = ", ".join(str(side.value) for side in sides)
        raise UsageError(f"it takes a tensor [{shape}], but {TAKES}")
    if tensor["dtype"] not in DTYPES:
        raise UsageError("its input is not float32, float16 or bfloat16")
    batch, _, height, width = sides
    return Images(batch, height, width, DTYPES[tensor["dtype"]])


def _side(size: Mapping[str, Any], ranges: Mapping[str, Any]) -> Side:
    if "as_int" in size:
        fixed = _whole(size["as_int"])
        return Side(fixed, fixed, fixed)
    expression = size["as_expr"]
    hint = _whole((expression.get("hint") or {}).get("as_int", 1))
    symbol = re.fullmatch(r"(?:Symbol\('(\w+)'.*\)|(\w+))", expression["expr_str"])
    name = (symbol[1] or symbol[2]) if symbol else ""
    bounds = ranges.get(name, {})
    most = bounds.get("max_val")
    least = max(1, _whole(bounds.get("min_val") or 1))
    return Side(hint, least, None if most is None else _whole(most))


def _whole(value: Any) -> int:
    """A whole number; raises TypeError for anything else."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value
