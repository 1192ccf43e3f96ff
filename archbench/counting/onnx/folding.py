"""Data of small tensors that follow from shapes and constants: what exporters compute shapes
with.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from onnx import TensorProto
from onnx.helper import make_tensor
from onnx.numpy_helper import from_array, to_array

from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.reading import MOST_DATA
from archbench.counting.onnx.values import Value, tensor_value

FOLDS = frozenset(
    (
        *("Gather", "Concat", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Slice", "Transpose"),
        *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Floor", "Ceil", "Round"),
        *("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Xor"),
        *("Where", "Range", "Expand", "ConstantOfShape", "ReduceProd", "ReduceSum", "ReduceMax"),
        *("ReduceMin", "Identity", "Split", "Tile", "Flatten", "Clip", "Sqrt", "Pow", "Sum"),
        *("GatherElements", "GatherND", "ScatterElements", "ScatterND", "CastLike", "Sign"),
        *("ArgMax", "ArgMin", "CumSum", "Exp", "Log", "Reciprocal", "BitShift", "Pad"),
    )
)
"""Operators that are computed where all that they read is known."""


def folded(
    node: Node, inputs: Sequence[Value | None], outputs: Sequence[Value], opsets: Mapping[str, int]
) -> list[TensorProto | None]:
    """Compute what a node writes where that is known and small; None for all else."""
    unknown: list[TensorProto | None] = [None] * len(outputs)
    given = [value for value in inputs if value is not None]
    if node.domain or not outputs:
        return unknown
    if node.op in ("Shape", "Size") and given:
        return [_of_shape(node, given[0])]
    if node.op not in FOLDS or any(value.tensor is None for value in given):
        return unknown
    if not all(out.is_known and prod(out.sides) <= MOST_DATA for out in outputs):
        return unknown
    return _computed(node, inputs, opsets) or unknown


def _of_shape(node: Node, source: Value) -> TensorProto | None:
    import numpy as np

    if not source.is_known:
        return None
    if node.op == "Size":
        return from_array(np.array(source.size, dtype=np.int64)) if source.size < 2**63 else None
    kept = source.sides[slice(node.attribute("start", 0), node.attribute("end"))]
    return from_array(np.array(kept, dtype=np.int64))


def _computed(
    node: Node, inputs: Sequence[Value | None], opsets: Mapping[str, int]
) -> list[TensorProto | None] | None:
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    named = {
        name: array_of(value)
        for name, value in zip(node.inputs, inputs, strict=True)
        if name and value is not None
    }
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = ReferenceEvaluator(node.proto, opsets=dict(opsets)).run(None, named)
        return [from_array(np.asarray(each)) for each in found]
    except Exception:
        # The reference raises whatever its operators do: such data is not known.
        return None


def known(tensor: TensorProto) -> Value:
    """Make the value of a tensor that was computed."""
    value = tensor_value(tensor.data_type, tensor.dims)
    value.tensor, value.is_constant = tensor, True
    return value


def whole(value: int) -> Value:
    """Make the value of a whole number."""
    return known(make_tensor("", TensorProto.INT64, [], [value]))


def array_of(value: Value) -> Any:
    """The data of a tensor as numpy holds it; None where it is not known."""
    try:
        return None if value.tensor is None else to_array(value.tensor)
    except (TypeError, ValueError, KeyError, OverflowError):
        return None


def number(value: Value | None) -> int | None:
    """The one number that a tensor holds, where that is known."""
    found = numbers(value)
    return found[0] if found and len(found) == 1 else None


def numbers(value: Value | None) -> list[int] | None:
    """The numbers that a tensor holds, where they are known."""
    held = array_of(value) if value is not None else None
    try:
        return None if held is None else [int(each) for each in held.reshape(-1)]
    except (TypeError, ValueError, OverflowError):
        return None
