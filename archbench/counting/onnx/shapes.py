"""Types of what a node writes: by onnx's own inference, by a standard operator that it is like, or
by what the file says.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto
from onnx.checker import ValidationError
from onnx.defs import OpSchema, SchemaError, get_schema, onnx_opset_version
from onnx.helper import make_opsetid, make_tensor_type_proto
from onnx.shape_inference import InferenceError, infer_node_outputs

from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.values import (
    RULED,
    Shape,
    Value,
    channels_first,
    channels_last,
    tensor_value,
    value_of,
)
from archbench.spec import UsageError

Types = list[TypeProto | None]
Values = Sequence[Value | None]

TAGS = re.compile(r"\[\w*Error\]\s*")
"""How onnx begins what it says."""
SAME = frozenset(
    (
        *("Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu"),
        *("Selu", "Clip", "Softplus", "Softmax", "LogSoftmax", "Identity", "Erf", "Exp", "Sqrt"),
        *("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "RotaryEmbedding", "GroupNorm", "Dropout"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SkipGroupNorm"),
        *("SimplifiedLayerNormalization", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"),
        *("BatchNormalization", "InstanceNormalization", "Mish", "Neg", "Log", "Abs"),
    )
)
"""Operators whose first output has the type of their first input, and the rest of no interest but
for `SUM_AT`.
"""
SUM_AT = {"SkipLayerNormalization": 3, "SkipSimplifiedLayerNormalization": 3, "SkipGroupNorm": 1}
"""Where some of them give the sum that they normalise, which has that type too."""
TYPE_AT: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (2,),
    "DequantizeLinear": (1,),
    "MatMulIntegerToFloat": (2,),
    "QAttention": (3,),
    "EmbedLayerNormalization": (2,),
    "QLinearConv": (7,),
    "QLinearConcat": (1, 2),
    "QGemm": (8, 1),
}
"""Operators of com.microsoft whose output has the type of another input than the first: that of
the first of these that is given, and bytes where none is.
"""
LIKE: dict[str, tuple[str, Collection[int]]] = {
    **dict.fromkeys(
        ("QuantizeLinear", "DequantizeLinear", "BiasAdd", "BiasSoftmax"), ("Identity", (0,))
    ),
    "GridSample": ("GridSample", (0, 1)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "QGemm": ("Gemm", (0, 3)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
    "QLinearConv": ("Conv", (0, 3)),
    "QLinearConcat": ("Concat", range(2, sys.maxsize, 3)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
}
"""Operators of com.microsoft whose output has the shape of a standard one's of some of their
inputs, which are all read as real numbers.
"""


class Inference:
    """Finds the types of what nodes write, in a model of these operator sets."""

    def __init__(self, model: str, opsets: Mapping[str, int], ir_version: int) -> None:
        self._model = model
        self._opsets = opsets
        self._ir_version = ir_version
        self._schemas: dict[tuple[str, str], OpSchema | None] = {}

    def types(self, node: Node, inputs: Values) -> Types:
        """Give the type of each output, None where it is not known.

        Raises UsageError where a node cannot take what it reads.
        """
        unknown: Types = [None] * len(node.outputs)
        first = inputs[0] if inputs else None
        if node.domain not in RULED:
            return unknown
        if node.op in SAME and first is not None and first.shape is not None:
            return [
                first.type if name and place in (0, SUM_AT.get(node.op)) else None
                for place, name in enumerate(node.outputs)
            ]
        if node.domain and node.op in OWN:
            with contextlib.suppress(ValueError, IndexError, TypeError, ZeroDivisionError):
                shape = OWN[node.op](node, inputs)
                element = _element(node, inputs)
                return [shape and make_tensor_type_proto(element, shape), *unknown[1:]]
            return unknown
        if node.domain and node.op in LIKE:
            return self._like(node, inputs)
        schema = self._schema(node)
        return self._by_schema(schema, node, inputs) if schema else unknown

    def _by_schema(self, schema: OpSchema, node: Node, inputs: Values) -> Types:
        named = {
            name: value
            for name, value in zip(node.inputs, inputs, strict=True)
            if name and value is not None
        }
        types = {name: value.type for name, value in named.items()}
        data = {name: value.tensor for name, value in named.items() if value.tensor is not None}
        try:
            found = infer_node_outputs(
                schema, node.proto, types, data, None, self.opset_ids, self._ir_version
            )
        except ValidationError as error:
            raise UsageError(
                f"{self._model} is not a valid model: {node.op} {node.name!r}: {_reason(error)}"
            ) from None
        except (InferenceError, ValueError, RuntimeError) as error:
            if all(value.is_known for value in named.values()):
                raise UsageError(
                    f"{self._model} does not fit its input: {node.op} {node.name!r}: "
                    f"{_reason(error)}"
                ) from None
            found = {}
        return [found.get(name) for name in node.outputs]

    def _like(self, node: Node, inputs: Values) -> Types:
        """Find the type of an operator's output by that of a standard one."""
        op, at = LIKE[node.op]
        taken = [value for index, value in enumerate(inputs) if value and index in at]
        if not taken or not all(value.is_known for value in taken):
            return [None]
        first, *others = (value.sides for value in taken)
        is_last = bool(node.attribute("channels_last", 0))
        shapes = [channels_first(first) if is_last else first, *others]
        found = self._of_standard(op, node, shapes)
        if found is None:
            return [None]
        sides = channels_last(found) if is_last else found
        return [make_tensor_type_proto(_element(node, inputs), sides)]

    def _of_standard(self, op: str, node: Node, shapes: Sequence[Shape]) -> Shape | None:
        """The shape that a standard operator gives tensors, with the attributes of a node."""
        standard = get_schema(op, onnx_opset_version())
        names = [str(index) for index in range(len(shapes))]
        proto = NodeProto(op_type=op, input=names, output=["out"])
        proto.attribute.extend(
            each for each in node.proto.attribute if each.name in standard.attributes
        )
        like = Node(proto, op, "", node.name, tuple(names), ("out",))
        values = [tensor_value(TensorProto.FLOAT, sides) for sides in shapes]
        return value_of(self._by_schema(standard, like, values)[0]).shape

    @cached_property
    def opset_ids(self) -> list[OperatorSetIdProto]:
        """The operator sets as onnx writes them."""
        return [make_opsetid(name, version) for name, version in self._opsets.items()]

    def _schema(self, node: Node) -> OpSchema | None:
        key = node.domain, node.op
        if key not in self._schemas:
            try:
                version = self._opsets.get(node.domain, onnx_opset_version())
                self._schemas[key] = get_schema(node.op, version, node.domain)
            except (SchemaError, TypeError):
                self._schemas[key] = None
        return self._schemas[key]

    def knows(self, node: Node) -> bool:
        """Whether the installed onnx knows an operator."""
        return self._schema(node) is not None


def _reason(error: Exception) -> str:
    """What onnx says of a node, without where it says it."""
    return TAGS.sub("", str(error).strip()).partition("\n")[0].strip(" :") or "it cannot be"


def _element(node: Node, inputs: Values) -> int:
    """The type of the elements that an operator of com.microsoft writes."""
    given = (inputs[at] for at in TYPE_AT.get(node.op, (0,)) if at < len(inputs))
    return next((value.dtype for value in given if value), TensorProto.UINT8)


def _fused_matmul(node: Node, inputs: Values) -> list[int] | None:
    first, second = inputs[:2]
    if first is None or second is None or not (first.is_known and second.is_known):
        return None
    if node.attribute("transBatchA") or node.attribute("transBatchB"):
        return None
    a, b = list(first.sides), list(second.sides)
    if node.attribute("transA"):
        a[-2:] = a[:-3:-1]
    if node.attribute("transB"):
        b[-2:] = b[:-3:-1]
    if len(a) < 2 or len(b) < 2:
        return None
    return [*np.broadcast_shapes(tuple(a[:-2]), tuple(b[:-2])), a[-2], b[-1]]


def _packed_matmul(node: Node, inputs: Values) -> list[int] | None:
    source = inputs[0]
    if source is None or not source.is_known:
        return None
    return [*source.sides[:-1], int(node.attribute("N", 0))]


def _fused_attention(node: Node, inputs: Values) -> list[int] | None:
    """Attention that projects its input [B, S, C] by one matrix [C, q + k + v]."""
    source, weight = inputs[:2]
    if source is None or weight is None or not (source.is_known and weight.is_known):
        return None
    sizes = node.attribute("qkv_hidden_sizes")
    return [*source.sides[:-1], sizes[-1] if sizes else weight.sides[-1] // 3]


def _attention(node: Node, inputs: Values) -> list[int] | None:
    """Attention of queries [B, S, heads x E], or of all three packed [B, S, heads, 3, E]."""
    query = inputs[0]
    if query is None or not query.is_known:
        return None
    sides = query.sides
    if len(sides) == 5:
        return [*sides[:2], sides[2] * sides[4]]
    value = inputs[2] if len(inputs) > 2 else None
    depth = value.sides[-1] if value and value.is_known and len(value.sides) == 3 else sides[-1]
    if node.op == "MultiHeadAttention":
        return [*sides[:-1], depth]
    heads, shared = (node.attribute(name, 1) for name in ("num_heads", "kv_num_heads"))
    is_packed = len(inputs) < 2 or inputs[1] is None
    return [*sides[:-1], sides[-1] * heads // (heads + 2 * shared) if is_packed else sides[-1]]


def _embedded(node: Node, inputs: Values) -> list[int] | None:
    """Embeddings of tokens [B, S] from a table of words [V, C]."""
    tokens, _, words = inputs[:3]
    if tokens is None or words is None or not (tokens.is_known and words.is_known):
        return None
    return [*tokens.sides, words.sides[-1]]


OWN: dict[str, Callable[[Node, Values], Any]] = {
    "FusedMatMul": _fused_matmul,
    "MatMulNBits": _packed_matmul,
    "Attention": _fused_attention,
    "QAttention": _fused_attention,
    "MultiHeadAttention": _attention,
    "GroupQueryAttention": _attention,
    "EmbedLayerNormalization": _embedded,
}
"""Shapes of what operators of com.microsoft write."""
