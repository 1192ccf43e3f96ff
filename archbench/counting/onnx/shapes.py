"""Types of what a node writes: by onnx's own inference, by a standard operator that it is like, or
by what the file says.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto
from onnx.checker import ValidationError
from onnx.defs import OpSchema, SchemaError, get_schema, onnx_opset_version
from onnx.helper import make_opsetid, make_tensor_type_proto
from onnx.shape_inference import InferenceError, infer_node_outputs

from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.values import RULED, Value
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
LIKE: dict[str, tuple[str, tuple[int, ...]]] = {
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "QGemm": ("Gemm", (0, 3)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
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
                return [shape and make_tensor_type_proto(TensorProto.FLOAT, shape), *unknown[1:]]
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
        taken = [value for value in (inputs[i] for i in at if i < len(inputs)) if value]
        if not all(value.is_known for value in taken):
            return [None]
        proto = NodeProto()
        proto.CopyFrom(node.proto)
        names = [str(index) for index in range(len(taken))]
        del proto.input[:]
        proto.input.extend(names)
        standard = get_schema(op, onnx_opset_version())
        kept = [each for each in proto.attribute if each.name in standard.attributes]
        proto.op_type, proto.domain = op, ""
        del proto.attribute[:]
        proto.attribute.extend(kept)
        floats = [Value(_floating(value), value.shape) for value in taken]
        like = Node(proto, op, "", node.name, tuple(names), node.outputs)
        return self._by_schema(standard, like, floats)

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


def _floating(value: Value) -> TypeProto:
    return make_tensor_type_proto(TensorProto.FLOAT, list(value.sides))


def _fused_matmul(node: Node, inputs: Values) -> list[int] | None:
    first, second = inputs[:2]
    if first is None or second is None or not (first.is_known and second.is_known):
        return None
    a, b = list(first.sides), list(second.sides)
    if node.attribute("transA"):
        a[-2:] = a[:-3:-1]
    if node.attribute("transB"):
        b[-2:] = b[:-3:-1]
    outer = a[:-2] if len(a) >= len(b) else b[:-2]
    return [*outer, a[-2], b[-1]] if len(a) > 1 and len(b) > 1 else None


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
    return [*sides[:-1], depth if node.op == "MultiHeadAttention" else sides[-1]]


OWN: dict[str, Callable[[Node, Values], Any]] = {
    "FusedMatMul": _fused_matmul,
    "MatMulNBits": _packed_matmul,
    "Attention": _fused_attention,
    "QAttention": _fused_attention,
    "MultiHeadAttention": _attention,
    "GroupQueryAttention": _attention,
}
"""Shapes of what operators of com.microsoft write."""
