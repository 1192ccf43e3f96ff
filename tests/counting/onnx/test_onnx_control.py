"""Branches, loops, scans and functions of an ONNX graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import (
    FunctionProto,
    GraphProto,
    NodeProto,
    TensorProto,
    counted,
    graph,
    helper,
    model,
    node,
    numbers,
    tensor,
)

from archbench.spec import UsageError

CONV = 36 * 4 * 3 * 9
HELD = (tensor("w", [4, 3, 3, 3]), tensor("u", [4, 3, 1, 1]))


def branches() -> dict[str, GraphProto]:
    """A dear branch and a cheap one, which read what is around them."""
    return {
        "then_branch": graph([node("Conv", "x w", "t")], {}, ["t"]),
        "else_branch": graph(
            [node("Conv", "x u", "k"), node("MaxPool", "k", "e", kernel_shape=[3, 3])], {}, ["e"]
        ),
    }


@pytest.mark.parametrize(("side", "macs"), [(8, CONV), (7, 49 * 12)])
def test_the_branch_that_shapes_decide_on_counts(tmp_path: Path, side: int, macs: int) -> None:
    layers = [
        node("Shape", "x", "s"),
        node("Gather", "s three", "width"),
        node("Equal", "width eight", "is_eight"),
        node("If", "is_eight", **branches()),
    ]
    held = (*HELD, numbers("three", [3], []), numbers("eight", [8], []))
    report = counted(tmp_path, graph(layers, {"x": (1, 3, side, side)}, held=held))
    assert (report.macs, report.macs_all) == (macs, macs)
    assert not any("branches" in note for note in report.notes)


def test_the_dearer_branch_counts_where_data_decide(tmp_path: Path) -> None:
    layers = [
        node("ReduceMax", "x", "m", keepdims=0),
        node("Cast", "m", "c", to=TensorProto.BOOL),
        node("If", "c", "b", name="if", **branches()),
        node("MatMul", "b v"),
    ]
    made = graph(layers, {"x": (1, 3, 8, 8)}, held=[*HELD, tensor("v", [6, 5])])
    report = counted(tmp_path, made)
    assert report.macs == CONV + 4 * 36 * 5
    assert report.params == 108 + 12 + 30
    # The maximum, its truth, the convolution and the product, each rounded up.
    assert report.activation_total_bytes == 512 + 512 + 1024 + 512
    assert "if takes one of two branches: the dearer is counted" in report.notes
    assert [call.path for call in report.calls] == ["if/t", "y"]


def looped(rounds: str, *, grows: bool = False) -> list[NodeProto]:
    """A loop whose body multiplies its state, and stacks it."""
    step = node("Concat", "p p", "next", axis=1) if grows else node("Identity", "p", "next")
    body = graph(
        [node("Identity", "c", "d"), node("MatMul", "h w", "p"), step],
        {"i": [], "c": [], "h": None},
        ["d", "next", "p"],
    )
    return [node("Loop", f"{rounds} _ x", "y z", body=body)]


def test_a_loop_counts_as_often_as_it_runs(tmp_path: Path) -> None:
    held = tensor("w", [8, 8]), numbers("rounds", [9], [])
    made = graph(looped("rounds"), {"x": (1, 7, 8)}, held=held)
    report = counted(tmp_path, made)
    assert (report.macs_all, report.params, len(report.calls)) == (9 * 7 * 64, 64, 9)
    # A product of 224 bytes a round, rounded up, and all of them in one stack.
    assert report.activation_total_bytes == 9 * 512 + 2048


def test_a_loop_whose_state_grows_is_unrolled(tmp_path: Path) -> None:
    held = tensor("w", [8, 8]), numbers("rounds", [4], [])
    made = graph(looped("rounds", grows=True), {"x": (1, 7, 8)}, ["y"], held)
    assert counted(tmp_path, made).macs_all == (1 + 2 + 4 + 8) * 7 * 64


def test_a_loop_over_data_counts_once_and_says_so(tmp_path: Path) -> None:
    layers = [
        node("ReduceMax", "x", "m", keepdims=0),
        node("Cast", "m", "r", to=TensorProto.INT64),
        *looped("r"),
    ]
    made = graph(layers, {"x": (1, 7, 8)}, held=[tensor("w", [8, 8])])
    report = counted(tmp_path, made)
    assert report.macs_all == 7 * 64
    assert "y repeats as often as its data say: one round is counted" in report.notes


@pytest.mark.parametrize("most", ["nine", "endless", "_"])
def test_a_loop_ends_where_its_condition_is_known_to(tmp_path: Path, most: str) -> None:
    body = graph(
        [
            node("Add", "i one", "j"),
            node("Less", "j three", "d"),
            node("MatMul", "h w", "p"),
        ],
        {"i": [], "c": [], "h": None},
        ["d", "p"],
    )
    made = graph(
        [node("Loop", f"{most} _ x", "y", body=body)],
        {"x": (1, 7, 8)},
        held=[
            tensor("w", [8, 8]),
            numbers("nine", [9], []),
            numbers("endless", [2**63 - 1], []),
            numbers("one", [1], []),
            numbers("three", [3], []),
        ],
    )
    report = counted(tmp_path, made)
    assert report.macs_all == 3 * 7 * 64
    assert not any("round" in note for note in report.notes)


def loop_while_positive(most: int) -> GraphProto:
    """A loop that a truth about its state ends, and a product of all its states."""
    body = graph(
        [
            node("MatMul", "h w", "p"),
            node("ReduceMax", "p", "m", keepdims=0),
            node("Cast", "m", "d", to=TensorProto.BOOL),
            node("Identity", "p", "out"),
        ],
        {"i": [], "c": [], "h": None},
        ["d", "p", "out"],
    )
    layers = [node("Loop", "most _ x", "y z", body=body, name="loop"), node("MatMul", "y v", "o")]
    held = tensor("w", [8, 8]), tensor("v", [8, 2]), numbers("most", [most], [])
    return graph(layers, {"x": (1, 7, 8)}, ["o", "z"], held)


def test_a_loop_that_only_data_end_counts_once_and_says_so(tmp_path: Path) -> None:
    """A past bug: the while of TorchScript, bounded by the largest integer, was refused."""
    report = counted(tmp_path, loop_while_positive(2**63 - 1))
    assert report.macs_all == 7 * 64 + 7 * 16
    assert "loop repeats as often as its data say: one round is counted" in report.notes


def test_a_loop_that_data_may_end_counts_all_rounds_of_its_bound(tmp_path: Path) -> None:
    report = counted(tmp_path, loop_while_positive(9))
    assert report.macs_all == 9 * 7 * 64 + 7 * 16
    assert "loop may end before its 9 rounds: all count" in report.notes


@pytest.mark.parametrize("rounds", [0, -1])
def test_a_loop_of_no_rounds_stacks_nothing(tmp_path: Path, rounds: int) -> None:
    held = tensor("w", [8, 8]), numbers("rounds", [rounds], []), tensor("v", [8, 2])
    layers = [*looped("rounds"), node("MatMul", "y v", "o"), node("Identity", "z", "all")]
    made = graph(layers, {"x": (1, 7, 8)}, ["o", "all"], held)
    assert counted(tmp_path, made).macs_all == 7 * 16


def test_a_scan_counts_once_a_slice(tmp_path: Path) -> None:
    body = graph(
        [node("MatMul", "s w", "p"), node("Add", "p h", "n"), node("Identity", "n", "out")],
        {"h": None, "s": None},
        ["n", "out"],
    )
    layers = [
        node("Scan", "h0 x", "last all", body=body, num_scan_inputs=1, scan_input_axes=[1]),
        node("MatMul", "all v"),
    ]
    held = tensor("w", [8, 6]), tensor("h0", [1, 6]), tensor("v", [6, 2])
    report = counted(tmp_path, graph(layers, {"x": (1, 5, 8)}, held=held))
    assert report.macs_all == 5 * 8 * 6 + 5 * 6 * 2


def test_functions_of_the_model_are_looked_into(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine",
        "Layer",
        ["a", "b"],
        ["c"],
        [node("Conv", "a b", "k"), node("Relu", "k", "c")],
        [helper.make_opsetid("", 23)],
    )
    # The step of the convolution is an attribute of the call.
    made = function.node[0].attribute.add()
    made.name, made.ref_attr_name, made.type = "strides", "steps", 7
    function.attribute.append("steps")
    layers = [
        node("Layer", "x w", "p", domain="mine", name="first", steps=[1, 1]),
        node("Layer", "x w", "q", domain="mine", steps=[2, 2]),
    ]
    whole = model(
        graph(layers, {"x": (1, 3, 8, 8)}, ["p", "q"], HELD[:1]),
        {"": 23, "mine": 1},
        functions=[function],
    )
    report = counted(tmp_path, whole)
    assert [call.macs for call in report.calls] == [CONV, CONV // 4]
    assert (report.params, report.calls[0].path) == (108, "first/k")


def function_of(op: str, inputs: list[str], *layers: NodeProto) -> FunctionProto:
    """A function that writes c."""
    made: FunctionProto = helper.make_function(
        "mine", op, inputs, ["c"], layers, [helper.make_opsetid("", 23)]
    )
    return made


def test_a_call_of_a_function_may_leave_inputs_out(tmp_path: Path) -> None:
    """A past bug: it was refused. What is left out in one call may be given in another."""
    function = function_of("Layer", ["a", "w", "k"], node("Conv", "a w k", "c"))
    layers = [
        node("Layer", "x w", "p", domain="mine"),
        node("Layer", "x w _", "q", domain="mine"),
        node("Layer", "x w b", "r", domain="mine"),
    ]
    held = HELD[0], tensor("b", [4])
    made = graph(layers, {"x": (1, 3, 8, 8)}, ["p", "q", "r"], held)
    report = counted(tmp_path, model(made, {"": 23, "mine": 1}, functions=[function]))
    assert [call.macs for call in report.calls] == [CONV] * 3
    assert [call.params for call in report.calls] == [108, 108, 112]


def test_the_domain_of_onnx_may_be_spelled_out(tmp_path: Path) -> None:
    """A past bug: shapes that such nodes compute were not known."""
    layers = [
        node("Shape", "x", "s"),
        node("Slice", "s zero one", "n"),
        node("Concat", "n rest", "t", axis=0),
        node("Reshape", "x t", "f"),
        node("MatMul", "f v"),
    ]
    for each in layers:
        each.domain = "ai.onnx"
    held = numbers("zero", [0]), numbers("one", [1]), numbers("rest", [-1]), tensor("v", [192, 5])
    made = model(graph(layers, {"x": (1, 3, 8, 8)}, held=held), {"ai.onnx": 17})
    report = counted(tmp_path, made)
    assert (report.macs_linear, report.uncounted) == (192 * 5, ())


@pytest.mark.parametrize("mystery", ["t", "e"])
def test_what_either_branch_leaves_uncounted_is_named(tmp_path: Path, mystery: str) -> None:
    """A past bug: that of the branch with fewer known multiply-adds was not."""
    both = branches()
    for branch in both.values():
        for each in branch.node:
            if each.output[0] == mystery:
                each.op_type, each.domain = "Mystery", "mine"
    layers = [
        node("ReduceMax", "x", "m", keepdims=0),
        node("Cast", "m", "c", to=TensorProto.BOOL),
        node("If", "c", **both),
    ]
    report = counted(tmp_path, graph(layers, {"x": (1, 3, 8, 8)}, held=HELD))
    assert report.uncounted == (("mine::Mystery", 1),)


@pytest.mark.parametrize("op", ["BatchNormalization", "GroupNorm"])
def test_a_normalisation_in_a_function_is_one(tmp_path: Path, op: str) -> None:
    """A past bug: a note said that no batch normalisation is in the graph."""
    norm = node("BatchNormalization", "k g b m v", "c")
    if op == "GroupNorm":
        norm = node(op, "k g b", "c", groups=2, channels_last=0, domain="com.microsoft")
    function = function_of("Layer", [*"awgbmv"], node("Conv", "a w", "k"), norm)
    made = graph(
        [node("Layer", "x w g b m v", domain="mine")],
        {"x": (1, 3, 8, 8)},
        held=[HELD[0], *(tensor(name, [4]) for name in "gbmv")],
    )
    opsets = {"": 23, "mine": 1, "com.microsoft": 1}
    report = counted(tmp_path, model(made, opsets, functions=[function]))
    assert (report.macs, report.notes) == (CONV, ())


def test_functions_in_circles_are_refused(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine", "F", ["a"], ["c"], [node("F", "a", "c", domain="mine")], []
    )
    whole = model(
        graph([node("F", "x", domain="mine")], {"x": (1, 3)}),
        {"": 23, "mine": 1},
        functions=[function],
    )
    with pytest.raises(UsageError, match="functions that call each other in circles"):
        counted(tmp_path, whole)


def test_functions_that_double_each_other_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty functions that call the next twice would run for years."""
    monkeypatch.setattr("archbench.counting.onnx.walking.MOST_REPEATED", 1000)
    functions = [
        helper.make_function(
            "mine",
            f"F{i}",
            ["a"],
            ["c"],
            [node(f"F{i + 1}", "a", "b", domain="mine"), node(f"F{i + 1}", "b", "c", domain="mine")]
            if i < 40
            else [node("Relu", "a", "c")],
            [helper.make_opsetid("", 23)],
        )
        for i in range(41)
    ]
    whole = model(
        graph([node("F0", "x", domain="mine")], {"x": (1, 3)}),
        {"": 23, "mine": 1},
        functions=functions,
    )
    with pytest.raises(UsageError, match=r"model\.onnx repeats more than 1,000 nodes"):
        counted(tmp_path, whole)
