"""Files that are no models, or none that can be, are refused in one line."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphs import (
    GraphProto,
    NodeProto,
    TensorProto,
    counted,
    graph,
    model,
    node,
    numbers,
    tensor,
    written,
)

from archbench.counting.onnx import count
from archbench.engines.graphs import files_of, graph_hash
from archbench.spec import UsageError

SCANNED = graph([node("Relu", "s", "out")], {"s": None}, ["out"])
W = tensor("w", [4, 3, 3, 3])
IMAGE = {"x": (1, 3, 8, 8)}
VALID = model(graph([node("Conv", "x w")], IMAGE, held=[W])).SerializeToString()


def scan(**attributes: Any) -> NodeProto:
    """A scan of an image."""
    return node("Scan", "x", body=SCANNED, num_scan_inputs=1, **attributes)


def refused(folder: Path, made: Any) -> str:
    """The one line that says why a model is not counted."""
    with pytest.raises(UsageError) as error:
        count(made if isinstance(made, Path) else written(folder, made))
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        *(VALID[:cut] for cut in (1, 5, len(VALID) // 2, len(VALID) - 1)),
        b"\x3a\xff\xff\xff\xff\x07" + VALID,
        VALID + bytes(100),
        b"hello world " * 100,
    ],
    ids=["empty", "1", "5", "half", "last", "claims 2 GB", "trailing zeros", "text"],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is not an ONNX model" in refused(tmp_path, content)


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(2**31)
    assert "not a regular file" in refused(tmp_path, tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path, tmp_path)
    assert "No such file" in refused(tmp_path, tmp_path / "absent")
    assert "at most 2,147,483,647" in refused(tmp_path, large)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([node("Relu", "b", "a"), node("Relu", "a", "b")], "reads 'b', which nothing before it"),
        ([node("Add", "x y")], "Add 'y' reads 'y', which nothing before it writes"),
        ([node("Relu", "x"), node("Relu", "x")], "'y' is written twice"),
        ([node("Conv", "x")], "Conv 'y': .*input size 1 not in range"),
        ([node("Conv", "x w", strides="abc")], "Mismatched attribute type"),
        ([node("Conv", "x w", strides=[0, 0])], "strides must only contain positive"),
        ([node("Conv", "x w", group=0)], "it is given 3 channels and takes 0"),
        ([node("Conv", "x w", pads=[2**62] * 4)], "overflow"),
        ([node("Conv", "x w", dilations=[9, 9])], "its kernel is larger"),
        ([node("Constant", "")], "Constant 'y' has no value"),
        ([node("Loop", "n _ x")], "Loop 'y' has no body"),
        ([scan(scan_input_axes=[-99])], "scans axis -99 of a tensor that has 4 axes"),
        ([scan(scan_input_axes=[1.5])], "'y' has scan_input_axes that are not integers"),
        ([scan(scan_output_axes=[1.5])], "'y' has scan_output_axes that are not integers"),
        ([node("If", "n")], "If 'y' has no then_branch"),
        ([node("Reshape", "x n")], "Reshape 'y': it is given 192 elements and takes 3"),
    ],
)
def test_graphs_that_cannot_be_are_refused(
    tmp_path: Path, layers: list[NodeProto], message: str
) -> None:
    made = graph(layers, IMAGE, held=[W, numbers("n", [3])])
    with pytest.raises(UsageError, match=message):
        counted(tmp_path, made)
    refused(tmp_path, made)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (tensor("w", [4, -3, 3, 3]), "tensor 'w' has a negative side: 4x-3x3x3"),
        (TensorProto(name="w", dims=[4, 3, 3, 3], data_type=1, raw_data=b"1234"), "wrong number"),
        (TensorProto(name="w", dims=[4, 3, 3, 3], data_type=1, float_data=[1.0]), "wrong number"),
        (TensorProto(name="w", dims=[4, 3, 3, 3], data_type=77), "Invalid tensor data type"),
        (tensor("w", [2**61, 3, 3, 3]), "counts above 2.63"),
    ],
)
def test_tensors_that_cannot_be_are_refused(
    tmp_path: Path, held: TensorProto, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        counted(tmp_path, graph([node("Conv", "x w")], IMAGE, held=[held]))


@pytest.mark.parametrize("version", [-1, 0, 999])
def test_an_operator_set_that_is_not_known_is_refused(tmp_path: Path, version: int) -> None:
    made = model(graph([node("Relu", "x")], IMAGE), {"": version})
    assert f"uses operator set {version}; the installed onnx supports 1 to" in refused(
        tmp_path, made
    )


@pytest.mark.parametrize(
    "layer",
    [
        node("ConstantOfShape", "n"),
        node("Expand", "x n"),
        node("Range", "one n one"),
        node("Tile", "x n"),
    ],
)
def test_what_would_fill_the_memory_is_not_computed(tmp_path: Path, layer: NodeProto) -> None:
    is_range = layer.op_type == "Range"
    huge = numbers("n", [2**40], []) if is_range else numbers("n", [2**40, 1, 8, 8])
    made = graph([layer], IMAGE, held=[huge, numbers("one", [1], [])])
    assert counted(tmp_path, made).macs_all == 0


def test_a_size_beyond_the_integers_of_onnx_is_not_computed(tmp_path: Path) -> None:
    layers = [node("Expand", "x n", "e"), node("Size", "e")]
    made = graph(layers, {"x": (1, 1)}, held=[numbers("n", [2**40, 2**40])])
    assert "counts above 2^63" in refused(tmp_path, made)


NO_TEXT = b"\xff\xfe\xfd!"


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert "a name in it is not UTF-8" in refused(tmp_path, VALID.replace(b"Conv", NO_TEXT))


def test_names_of_sparse_tensors_that_are_no_text_are_refused(tmp_path: Path) -> None:
    made = graph([node("Conv", "x w")], IMAGE, held=[W])
    values = tensor("AAAA", [2])
    made.sparse_initializer.add(values=values, dims=[4, 4])
    content = model(made).SerializeToString().replace(b"AAAA", NO_TEXT)
    assert "a name in it is not UTF-8" in refused(tmp_path, content)


@pytest.mark.parametrize("names", [["AAAA"], ["AAAA", "b"]])
def test_files_of_weights_whose_names_are_no_text_are_refused(
    tmp_path: Path, names: list[str]
) -> None:
    held = [tensor(f"w{index}", [4, 3, 3, 3]) for index, _ in enumerate(names)]
    for each, name in zip(held, names, strict=True):
        each.data_location = TensorProto.EXTERNAL
        each.external_data.add(key="location", value=name)
    made = model(graph([node("Conv", "x w0")], IMAGE, held=held))
    path = written(tmp_path, made.SerializeToString().replace(b"AAAA", NO_TEXT))
    assert "a name in it is not UTF-8" in refused(tmp_path, path)
    with pytest.raises(UsageError, match="a name in it is not UTF-8"):
        graph_hash(path)


@pytest.mark.parametrize("name", ["a" * 300, "nul\0", "../w", "/dev/zero"])
def test_files_of_weights_that_cannot_be_are_passed_over(tmp_path: Path, name: str) -> None:
    held = tensor("w", [4, 3, 3, 3])
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(key="location", value=name)
    path = written(tmp_path, graph([node("Conv", "x w")], IMAGE, held=[held]))
    assert files_of(path) == [path]


@pytest.mark.parametrize("seed", range(4))
def test_a_model_changed_at_random_is_counted_or_refused(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    layers = [
        node("Conv", "x w", "c", name="stem", pads=[1, 1, 1, 1]),
        node("Shape", "c", "s"),
        node("Reshape", "c t", "r"),
        node("LayerNormalization", "r g", "n"),
        node("MatMul", "n v", "m"),
        node("Attention", "m m m", "a", q_num_heads=2, kv_num_heads=2),
        node("If", "b", "y", **_branches()),
    ]
    held = [W, numbers("t", [1, 4, 64]), tensor("g", [64]), tensor("v", [64, 8])]
    held.append(TensorProto(name="b", data_type=TensorProto.BOOL, int32_data=[1]))
    valid = model(graph(layers, {"x": ("n", 3, 8, 8)}, held=held)).SerializeToString()
    assert count(written(tmp_path, valid)).macs_all > 0
    for index in range(150):
        changed = bytearray(valid)
        for _ in range(rng.choice([1, 1, 2])):
            changed[rng.randrange(len(changed))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(changed)
        with contextlib.suppress(UsageError):
            count(path)


def _branches() -> dict[str, GraphProto]:
    return {
        "then_branch": graph([node("Relu", "a", "p")], {}, ["p"]),
        "else_branch": graph([node("Sigmoid", "a", "q")], {}, ["q"]),
    }


def test_external_data_is_not_opened(tmp_path: Path) -> None:
    held = tensor("w", [4, 3, 3, 3])
    held.data_location = TensorProto.EXTERNAL
    entry = held.external_data.add()
    entry.key, entry.value = "location", "/dev/zero"
    report = counted(tmp_path, graph([node("Conv", "x w")], IMAGE, held=[held]))
    assert (report.params, report.macs) == (108, 36 * 108)


def test_neither_torch_nor_anything_else_that_is_heavy_is_loaded(tmp_path: Path) -> None:
    path = written(tmp_path, VALID)
    code = (
        "import sys; from archbench.counting.onnx import count; "
        f"assert count({str(path)!r}).macs == {36 * 108}; "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = refused(tmp_path, written(tmp_path, VALID))
    assert message.endswith("is not installed: pip install 'archbench[onnx]'")
