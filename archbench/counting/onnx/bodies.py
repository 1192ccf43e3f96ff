"""Graphs, subgraphs and functions in the form in which they are walked, made once for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    TypeProto,
)
from onnx.helper import get_attribute_value, make_tensor

from archbench.counting.onnx.reading import MOST_DATA, check_names, check_tensor, domain
from archbench.counting.onnx.values import Value, Weight, tensor_value
from archbench.spec import UsageError

NUMBERS: dict[str, tuple[int, type]] = {
    "value_float": (TensorProto.FLOAT, float),
    "value_floats": (TensorProto.FLOAT, list),
    "value_int": (TensorProto.INT64, int),
    "value_ints": (TensorProto.INT64, list),
    "value_string": (TensorProto.STRING, bytes),
    "value_strings": (TensorProto.STRING, list),
}
"""What else a Constant node holds, by its attribute: the type of the tensor, and of the value."""


@dataclass(slots=True)
class Node:
    """An operator's call. `captured` are the names that its bodies read of what is around them."""

    proto: NodeProto
    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bodies: dict[str, Body] = field(default_factory=dict)
    captured: frozenset[str] = frozenset()
    constant: Value | None = None

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value; the default where there is none, or one of another type."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                value = _value(attribute)
                return value if default is None or isinstance(value, type(default)) else default
        return default


@dataclass(slots=True)
class Body:
    """A graph: its nodes in their order, the tensors that it holds, and how often each name is
    read.
    """

    inputs: list[str]
    outputs: list[str]
    nodes: list[Node]
    uses: Counter[str]
    held: dict[str, Value] = field(default_factory=dict)
    types: dict[str, TypeProto] = field(default_factory=dict)

    @property
    def captured(self) -> frozenset[str]:
        """Names that it reads and does not write."""
        written = {*self.inputs, *self.held, *(out for node in self.nodes for out in node.outputs)}
        return frozenset(self.uses) - written - {""}


def graph_body(model: str, graph: GraphProto) -> Body:
    """Make the body of a graph."""
    held: dict[str, Value] = {}
    sparse_values = [each.values for each in graph.sparse_initializer]
    named = (graph.input, graph.output, graph.initializer, sparse_values)
    check_names(model, (each.name for group in named for each in group))
    for tensor in graph.initializer:
        check_tensor(model, tensor)
        held[tensor.name] = held_value(tensor.name, tensor, is_initializer=True)
    for sparse in graph.sparse_initializer:
        held[sparse.values.name] = _sparse(sparse.values, sparse.dims)
    body = _body(
        model, [each.name for each in graph.input], [each.name for each in graph.output], graph.node
    )
    body.held = held
    body.types = {each.name: each.type for each in (*graph.value_info, *graph.output)}
    return body


def function_body(model: str, function: FunctionProto, call: NodeProto) -> Body:
    """Make the body of a function with the attributes of a call of it."""
    check_names(model, _attribute_names([*function.node, call]))
    given: dict[str, AttributeProto] = {each.name: each for each in function.attribute_proto}
    given |= {each.name: each for each in call.attribute}
    # What a call leaves out, the nodes that read it leave out too.
    pairs = zip_longest(function.input, call.input, fillvalue="")
    left_out = frozenset(name for name, taken in pairs if not taken)
    nodes = [_bound(node, given, left_out) for node in function.node]
    return _body(model, list(function.input), list(function.output), nodes)


def held_value(name: str, tensor: TensorProto, *, is_initializer: bool) -> Value:
    """Make the value of a tensor that the file holds."""
    value = tensor_value(tensor.data_type, tensor.dims)
    value.is_constant = True
    weight = Weight(name, tuple(tensor.dims), tensor.data_type, is_initializer)
    value.roots = frozenset([weight])
    if weight.size <= MOST_DATA and (_has_data(tensor) or weight.size == 0):
        value.tensor = tensor
    return value


def _has_data(tensor: TensorProto) -> bool:
    """Whether the file itself holds a tensor's data."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return False
    return any(field.name.endswith("_data") for field, _ in tensor.ListFields())


def _sparse(values: TensorProto, shape: Iterable[int]) -> Value:
    """A sparse tensor: its weight has as many scalars as it holds."""
    value = tensor_value(values.data_type, shape)
    value.is_constant = True
    value.roots = frozenset([Weight(values.name, tuple(values.dims), values.data_type, True)])
    return value


def _body(model: str, inputs: list[str], outputs: list[str], protos: Iterable[NodeProto]) -> Body:
    nodes = [_node(model, proto) for proto in protos]
    uses = Counter(outputs)
    for node in nodes:
        uses.update({*node.inputs, *node.captured})
    return Body(inputs, outputs, nodes, uses)


def _node(model: str, proto: NodeProto) -> Node:
    check_names(model, [proto.op_type, proto.domain, proto.name, *proto.input, *proto.output])
    # What computes shapes knows the standard domain by one name alone.
    proto.domain = domain(proto.domain)
    name = proto.name or next(iter(proto.output), "") or proto.op_type
    inputs, outputs = tuple(proto.input), tuple(proto.output)
    node = Node(proto, proto.op_type, proto.domain, name, inputs, outputs)
    for attribute in proto.attribute:
        for graph in _graphs(attribute):
            node.bodies[attribute.name] = graph_body(model, graph)
    node.captured = frozenset(name for body in node.bodies.values() for name in body.captured)
    if node.op == "Constant" and not node.domain:
        node.constant = _constant(model, node)
    return node


def _attribute_names(nodes: Iterable[NodeProto]) -> Iterator[object]:
    """The names of attributes, and of those that they refer to, of nodes and of bodies in them."""
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            for graph in _graphs(attribute):
                yield from _attribute_names(graph.node)


def _graphs(attribute: AttributeProto) -> Iterator[GraphProto]:
    if attribute.type == AttributeProto.GRAPH or attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _constant(model: str, node: Node) -> Value:
    """The value of a Constant node."""
    name = node.name
    for attribute, value in ((each.name, _value(each)) for each in node.proto.attribute):
        if attribute == "value" and isinstance(value, TensorProto):
            check_tensor(model, value)
            return held_value(name, value, is_initializer=False)
        if attribute == "sparse_value" and isinstance(value, SparseTensorProto):
            return _sparse(value.values, value.dims)
        if attribute in NUMBERS and isinstance(value, NUMBERS[attribute][1]):
            several: Any = value if isinstance(value, list) else [value]
            sides = [len(several)] if isinstance(value, list) else []
            made = make_tensor(name, NUMBERS[attribute][0], sides, several)
            return held_value(name, made, is_initializer=False)
    raise UsageError(f"{model}: Constant {name!r} has no value")


def _value(attribute: AttributeProto) -> Any:
    """An attribute's value; None where it has no known type."""
    try:
        return get_attribute_value(attribute)
    except ValueError:
        return None


def _bound(
    node: NodeProto, given: Mapping[str, AttributeProto], left_out: frozenset[str]
) -> NodeProto:
    """A function's node with the attributes that refer to those of the call put in, and without the
    inputs that the call leaves out.
    """
    bound = NodeProto()
    bound.CopyFrom(node)
    _bind(bound, given, left_out)
    return bound


def _bind(node: NodeProto, given: Mapping[str, AttributeProto], left_out: frozenset[str]) -> None:
    for index, name in enumerate(node.input):
        if name in left_out:
            node.input[index] = ""
    kept = []
    for attribute in node.attribute:
        for graph in _graphs(attribute):
            for inner in graph.node:
                _bind(inner, given, left_out)
        if not attribute.ref_attr_name:
            kept.append(attribute)
        elif attribute.ref_attr_name in given:
            replaced = AttributeProto()
            replaced.CopyFrom(given[attribute.ref_attr_name])
            replaced.name = attribute.name
            kept.append(replaced)
    copies = [AttributeProto.FromString(each.SerializeToString()) for each in kept]
    del node.attribute[:]
    node.attribute.extend(copies)
