"""Walk what depends on conditions and counts: branches, loops and scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import TensorProto

from archbench.counting.onnx.bodies import Body, Node
from archbench.counting.onnx.folding import number, whole
from archbench.counting.onnx.values import Shape, Value, tensor_value, value_of
from archbench.counting.tally import Pass
from archbench.spec import UsageError

if TYPE_CHECKING:
    from archbench.counting.onnx.walking import Scope, Walk

ENDLESS = 2**31 - 1
"""Rounds that no loop runs: a bound as high as that says that its condition alone ends it."""

Inputs = Sequence[Value | None]


def branch(walk: Walk, node: Node, inputs: Inputs, scope: Scope) -> list[Value]:
    """Walk the branch that is taken; where that depends on data both, and count the dearer."""
    bodies = [_body(walk, node, name) for name in ("then_branch", "else_branch")]
    taken = number(inputs[0] if inputs else None)
    if taken is not None:
        return walk.enter(bodies[0 if taken else 1], scope.within(node), {})
    walk.found.note(f"{scope.path}{node.name} takes one of two branches: the dearer is counted")
    passes: list[Pass] = []
    outputs: list[list[Value]] = []
    for body in bodies:
        with walk.aside() as apart:
            outputs.append(walk.enter(body, scope.within(node), {}))
        passes.append(apart)
    dearer = max(passes, key=lambda each: sum(row.macs for row in each.rows))
    dearer.named = passes[0].named | passes[1].named
    walk.result.add(dearer)
    walk.let_go(outputs[1])
    return [_either(first, second) for first, second in zip(*outputs, strict=False)]


def loop(walk: Walk, node: Node, inputs: Inputs, scope: Scope) -> list[Value]:
    """Walk a loop's body as often as it runs, once where that depends on data."""
    body = _body(walk, node, "body")
    counter, condition, *names = [*body.inputs, "", ""][: max(2, len(body.inputs))]
    most, goes_on = [*inputs, None, None][:2]
    times = ENDLESS if most is None else number(most)
    if goes_on is not None and number(goes_on) == 0:
        times = 0
    given = {counter: tensor_value(TensorProto.INT64, []), condition: goes_on or whole(1)}
    states = [value for value in inputs[2:] if value is not None]
    rounds = Rounds(walk, node, body, given, states, names)
    rounds.condition = condition
    rounds.counter = counter if body.uses[counter] else ""
    done = rounds.run(_times(walk, node, times, scope), scope)
    if rounds.is_cut:
        times = None
        _note_one_round(walk, node, scope)
    elif not rounds.is_counted and times:
        walk.found.note(f"{scope.path}{node.name} may end before its {times:,} rounds: all count")
    return rounds.states + _stacked(walk, rounds, None if times is None else done, [])


def scan(walk: Walk, node: Node, inputs: Inputs, scope: Scope) -> list[Value]:
    """Walk a scan's body once for each of the slices of what it scans."""
    body = _body(walk, node, "body")
    values = [value for value in inputs if value is not None]
    first = max(0, len(values) - node.attribute("num_scan_inputs", 1))
    sequences, names = values[first:], body.inputs
    axes = _axes(walk, node, "scan_input_axes") or [0] * len(sequences)
    for value, axis in zip(sequences, axes, strict=False):
        _check_axis(walk, node, value, axis)
    slices = [_slice(value, axis) for value, axis in zip(sequences, axes, strict=False)]
    given = dict(zip(names[first:], slices, strict=False))
    rounds = Rounds(walk, node, body, given, values[:first], names[:first])
    length = sequences[0].shape[axes[0]] if sequences and sequences[0].shape else None
    rounds.run(_times(walk, node, length, scope), scope)
    out_axes = _axes(walk, node, "scan_output_axes")
    return rounds.states + _stacked(walk, rounds, length, out_axes)


@dataclass
class Rounds:
    """Rounds of a body, which carry states from one to the next; each adds a slice to stacks.

    `given` is what all of them read, `names` what the states are called in the body. `condition`
    and `counter` are a loop's, the latter where the body reads it. Rounds are counted where all
    that decides on their number is known, and cut where only data would end them.
    """

    walk: Walk
    node: Node
    body: Body
    given: dict[str, Value]
    states: list[Value]
    names: list[str]
    condition: str = ""
    counter: str = ""
    is_counted: bool = True
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.added: list[Value] = []

    def run(self, times: int, scope: Scope) -> int:
        """Walk up to so many rounds and say how many there were. As soon as one leaves all that it
        was given as it was, the rest are like it.
        """
        self.walk.keep(self.states)
        if times < 1:
            self.added = [value_of(self.body.types.get(name)) for name in self._stacked_names()]
        done = 0
        while done < times:
            with self.walk.aside() as apart:
                goes_on, states, added = self._round(done, scope)
            is_steady = not self.counter and all(
                new.is_like(old) for new, old in zip(states, self.states, strict=True)
            )
            self.walk.let_go([*self.states, *self.added])
            self.states, self.added = states, added
            self.is_cut = times >= ENDLESS and not self.is_counted
            goes_on = goes_on and not self.is_cut
            rest = times - done - 1 if is_steady and goes_on else 0
            self.walk.spend(rest * len(apart.rows))
            self.walk.result.add(apart, 1 + rest)
            done += 1 + rest
            if not goes_on:
                break
        return done

    def _stacked_names(self) -> list[str]:
        """What the body calls the slices that each round adds."""
        return self.body.outputs[len(self.states) + bool(self.condition) :]

    def _round(self, index: int, scope: Scope) -> tuple[bool, list[Value], list[Value]]:
        given = self.given | dict(zip(self.names, self.states, strict=False))
        if self.counter:
            given[self.counter] = whole(index)
        outputs = self.walk.enter(self.body, scope.within(self.node), given)
        goes_on = True
        if self.condition and outputs:
            ends = number(outputs[0])
            goes_on = ends != 0
            self.is_counted = self.is_counted and ends is not None
            self.given[self.condition] = Value(
                outputs[0].type, outputs[0].shape, outputs[0].tensor, is_constant=ends is not None
            )
            self.walk.let_go(outputs[:1])
            outputs = outputs[1:]
        count = len(self.states)
        if len(outputs) < count:
            raise UsageError(
                f"{self.walk.model.name} is not a valid model: {self.node.op} {self.node.name!r} "
                "gives fewer states than it takes"
            )
        return goes_on, outputs[:count], outputs[count:]


def _times(walk: Walk, node: Node, times: int | None, scope: Scope) -> int:
    """Rounds to walk: one where their number is not known, which is told."""
    if times is None:
        _note_one_round(walk, node, scope)
        return 1
    return times


def _note_one_round(walk: Walk, node: Node, scope: Scope) -> None:
    walk.found.note(
        f"{scope.path}{node.name} repeats as often as its data say: one round is counted"
    )


def _stacked(walk: Walk, rounds: Rounds, length: int | None, axes: Sequence[int]) -> list[Value]:
    """What the rounds added, each behind the other along an axis, the first where none is said."""
    stacks = []
    for index, value in enumerate(rounds.added):
        axis = axes[index] if index < len(axes) else 0
        stack = Value(value.type)
        if value.shape is not None:
            sides = list(value.shape)
            sides.insert(axis if axis >= 0 else len(sides) + 1 + axis, length)
            stack = tensor_value(value.dtype, sides)
        walk.write(stack, rounds.node.name, rounds.node.op)
        stacks.append(stack)
    walk.let_go(rounds.added)
    walk.keep(stacks)
    return stacks


def _slice(value: Value, axis: int) -> Value:
    """One step of a sequence."""
    if value.shape is None:
        return Value(value.type)
    sides = list(value.shape)
    del sides[axis]
    return tensor_value(value.dtype, sides)


def _either(first: Value, second: Value) -> Value:
    """What is known of one of two tensors, in the memory of the first."""
    shape: Shape | None = None
    if (
        first.shape is not None
        and second.shape is not None
        and len(first.shape) == len(second.shape)
    ):
        sides = zip(first.shape, second.shape, strict=True)
        shape = tuple(one if one == other else None for one, other in sides)
    either = tensor_value(first.dtype, shape)
    either.storage = first.storage
    either.is_constant = first.is_constant and second.is_constant
    either.roots = first.roots | second.roots
    return either


def _axes(walk: Walk, node: Node, name: str) -> list[int]:
    """The axes that an attribute of a scan lists."""
    axes: list[int] = node.attribute(name, [])
    if not all(isinstance(axis, int) for axis in axes):
        raise UsageError(
            f"{walk.model.name} is not a valid model: {node.op} {node.name!r} has {name} that are "
            "not integers"
        )
    return axes


def _check_axis(walk: Walk, node: Node, value: Value, axis: int) -> None:
    """Raise UsageError for an axis that a tensor does not have."""
    if value.shape is not None and not -len(value.shape) <= axis < len(value.shape):
        raise UsageError(
            f"{walk.model.name} is not a valid model: {node.op} {node.name!r} scans axis {axis} of "
            f"a tensor that has {len(value.shape)} axes"
        )


def _body(walk: Walk, node: Node, name: str) -> Body:
    if name not in node.bodies:
        raise UsageError(
            f"{walk.model.name} is not a valid model: {node.op} {node.name!r} has no {name}"
        )
    return node.bodies[name]


CONTROL = {"If": branch, "Loop": loop, "Scan": scan}
