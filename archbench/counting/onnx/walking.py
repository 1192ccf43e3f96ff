"""Walk a graph in its order as if it ran, and count what each node does."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnx import TypeProto

from archbench.counting.onnx.bodies import Body, Node, function_body
from archbench.counting.onnx.control import CONTROL
from archbench.counting.onnx.counting import count_node
from archbench.counting.onnx.folding import folded, known
from archbench.counting.onnx.liveness import VIEWS, Liveness
from archbench.counting.onnx.reading import FunctionKey, Model
from archbench.counting.onnx.rules import CONVOLUTIONS, PRODUCTS, Called, MisfitError
from archbench.counting.onnx.shapes import Inference
from archbench.counting.onnx.values import Value, told, value_of
from archbench.counting.onnx.weights import Weights
from archbench.counting.tally import Pass
from archbench.spec import UsageError

MOST_REPEATED = 100_000
"""Nodes that are walked at most beyond those of the graph itself: functions and rounds of loops."""
NORMALISES = re.compile("Normalization|GroupNorm")
"""What normalisations are called."""
MULTIPLIED = CONVOLUTIONS.keys() | PRODUCTS.keys()
MOST_DEPTH = 64
"""Functions and bodies in each other: deeper ones go round in circles."""


@dataclass
class Scope:
    """The tensors of a graph that is being walked, by name; those of the graphs around it are read
    too.
    """

    path: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    outer: Scope | None = None
    depth: int = 0

    def find(self, name: str) -> Value | None:
        """A tensor by its name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None

    def within(self, node: Node, *, sees_outside: bool = True) -> Scope:
        """Make a scope for what is inside a node."""
        outer = self if sees_outside else None
        return Scope(f"{self.path}{node.name}/", {}, outer, self.depth + 1)


@dataclass
class Findings:
    """What a walk found besides figures: how often products of integers are called, what is to be
    known, and whether anything normalises.
    """

    quantised: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)
    normalises: bool = False

    def note(self, sentence: str) -> None:
        """Say something once."""
        self.notes[sentence] = None


class Walk:
    """One pass over a model; `axes` are the sizes of dynamic axes by name, None where what the file
    says of shapes does not hold.
    """

    def __init__(self, model: Model, axes: Mapping[str, int] | None) -> None:
        self.model = model
        self.result = Pass()
        self.weights = Weights()
        self.found = Findings()
        self._axes = axes
        self._inference = Inference(model.name, model.opsets, model.ir_version)
        self._liveness = Liveness()
        self._peak_at = ""
        self._functions: dict[tuple[FunctionKey, bytes, tuple[bool, ...]], Body] = {}
        self._left = MOST_REPEATED + len(model.graph.node)

    def run(self, body: Body, inputs: Mapping[str, TypeProto]) -> Pass:
        """Walk the graph on inputs of these types."""
        self.enter(body, Scope(), {name: value_of(kind) for name, kind in inputs.items()})
        self.result.peak_bytes = self._liveness.peak_bytes
        self.result.peak_at = self._peak_at
        return self.result

    def enter(self, body: Body, scope: Scope, given: Mapping[str, Value]) -> list[Value]:
        """Walk a body in a scope of its own; give its outputs, which the caller lets go."""
        if scope.depth > MOST_DEPTH:
            raise UsageError(f"{self.model.name} has functions that call each other in circles")
        for name, value in {**given, **body.held}.items():
            self._bind(scope, name, value)
        left = body.uses.copy()
        for node in body.nodes:
            self.spend(1)
            self._visit(node, body, scope)
            self._forget(node, scope, left)
        outputs = [self._read(name, "the output", scope) for name in body.outputs]
        self.keep(outputs)
        self.let_go(list(scope.values.values()))
        return outputs

    def spend(self, nodes: int) -> None:
        """Take note of nodes that are walked, or calls that are counted again."""
        self._left -= nodes
        if self._left < 0:
            raise UsageError(f"{self.model.name} repeats more than {MOST_REPEATED:,} nodes in all")

    @contextlib.contextmanager
    def aside(self) -> Iterator[Pass]:
        """Count what is walked meanwhile by itself."""
        result, self.result = self.result, Pass()
        try:
            yield self.result
        finally:
            self.result = result

    def keep(self, values: Sequence[Value]) -> None:
        """Know tensors by one name more."""
        for value in values:
            self._liveness.keep(value)

    def let_go(self, values: Sequence[Value]) -> None:
        """Know tensors by one name less."""
        for value in values:
            self._liveness.release(value)

    def write(self, value: Value, path: str, op: str) -> None:
        """Have a node write a tensor."""
        size, is_peak = self._liveness.write(value)
        self.result.total_bytes += size
        if is_peak:
            self._peak_at = f"{path} ({op})"

    def _bind(self, scope: Scope, name: str, value: Value) -> None:
        scope.values[name] = value
        self._liveness.keep(value)

    def _read(self, name: str, reader: str, scope: Scope) -> Value:
        value = scope.find(name)
        if value is None:
            raise UsageError(
                f"{self.model.name} is not a valid model: {reader} reads {name!r}, which nothing "
                "before it writes"
            )
        return value

    def _visit(self, node: Node, body: Body, scope: Scope) -> None:
        inputs = [
            self._read(name, f"{node.op} {node.name!r}", scope) if name else None
            for name in node.inputs
        ]
        self.found.normalises |= bool(NORMALISES.search(node.op))
        key = (node.domain, node.op, node.proto.overload)
        entered: list[Value] = []
        if node.constant is not None:
            outputs = [node.constant]
        elif key in self.model.functions:
            outputs = entered = self._call(key, node, inputs, scope)
        elif not node.domain and node.op in CONTROL:
            outputs = entered = CONTROL[node.op](self, node, inputs, scope)
        else:
            outputs = self._plain(Called(node, inputs, ()), body, scope.path)
        for name, value in zip(node.outputs, outputs, strict=False):
            if name in scope.values:
                raise UsageError(
                    f"{self.model.name} is not a valid model: {name!r} is written twice"
                )
            if name:
                self._bind(scope, name, value)
        self.let_go(entered)

    def _call(
        self, key: FunctionKey, node: Node, inputs: Sequence[Value | None], scope: Scope
    ) -> list[Value]:
        """Call a function of the model's own."""
        attributes = b"".join(each.SerializeToString() for each in node.proto.attribute)
        known_as = key, attributes, tuple(map(bool, node.inputs))
        if known_as not in self._functions:
            function = self.model.functions[key]
            self._functions[known_as] = function_body(self.model.name, function, node.proto)
        inside = self._functions[known_as]
        given = {
            name: value
            for name, value in zip(inside.inputs, inputs, strict=False)
            if value is not None
        }
        return self.enter(inside, scope.within(node, sees_outside=False), given)

    def _plain(self, called: Called, body: Body, path: str) -> list[Value]:
        """An operator that is one step: find what it writes, and count what it does."""
        node, inputs = called.node, called.inputs
        types = self._inference.types(node, inputs)
        outputs = [
            self._typed(kind, body.types.get(name))
            for kind, name in zip(types, node.outputs, strict=False)
        ]
        tensors = folded(node, inputs, outputs, self.model.opsets)
        outputs = [
            value if tensor is None else known(tensor)
            for value, tensor in zip(outputs, tensors, strict=True)
        ]
        called = Called(node, inputs, outputs)
        given = [value for value in inputs if value is not None]
        if given and all(value.is_constant for value in given):
            self._of_constants(called)
        else:
            self._of_data(called, path)
        is_known = self._inference.knows(node)
        try:
            count_node(
                called, path + node.name, self.result, self.found.quantised, is_known=is_known
            )
        except MisfitError as error:
            raise UsageError(
                f"{self.model.name} does not fit its input: {node.op} {node.name!r}: {error}"
            ) from None
        return outputs

    def _typed(self, kind: TypeProto | None, said: TypeProto | None) -> Value:
        """A value of a type that was found, or that the file says."""
        value = value_of(kind)
        if value.is_known or said is None or self._axes is None:
            return value
        of_file = told(said, self._axes)
        return of_file if of_file.is_known else value

    def _of_constants(self, called: Called) -> None:
        """What is made of constants alone is one, and there before the first pass."""
        roots = self.weights.combine(called.node, called.inputs)
        is_stored = called.node.op not in MULTIPLIED and all(
            value.is_stored for value in called.inputs if value is not None
        )
        for value in called.outputs:
            value.is_constant, value.is_stored, value.writer = True, is_stored, called.node.op
            value.roots = roots

    def _of_data(self, called: Called, path: str) -> None:
        """What depends on an input is written in memory, or is a view of what was."""
        node, first = called.node, called.given(0)
        if all(value.is_constant for value in called.outputs):
            return
        self.weights.read(node, called.inputs)
        is_view = node.op in VIEWS and not node.domain and first is not None
        for value in called.outputs:
            value.writer = node.op
            if value.is_constant:
                continue
            if is_view and first is not None:
                value.storage = first.storage
                value.of_map = first.of_map or _map(first)
            else:
                self.write(value, path + node.name, node.op)
        if not is_view:
            moved = [*called.inputs, *called.outputs]
            self.result.bytes_all += sum(value.bytes for value in moved if value is not None)

    def _forget(self, node: Node, scope: Scope, left: Counter[str]) -> None:
        """Free what no later node reads."""
        for name in {*node.inputs, *node.captured}:
            left[name] -= 1
        for name in {*node.inputs, *node.captured, *node.outputs}:
            if left[name] <= 0 and name in scope.values:
                self._liveness.release(scope.values.pop(name))


def _map(value: Value) -> tuple[int, ...]:
    return value.sides if value.is_known and len(value.sides) in (4, 5) else ()
