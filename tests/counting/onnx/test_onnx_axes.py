"""Dynamic axes of an ONNX model, its batch, and bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphs import TensorProto, counted, graph, node, numbers, tensor

from archbench.counting.onnx import input_of
from archbench.spec import UsageError

LAYERS = [
    node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
    node("Relu", "c", "r"),
    node("GlobalAveragePool", "r", "g"),
    node("Flatten", "g", "f"),
    node("Gemm", "f v"),
]
HELD = (tensor("w", [4, 3, 3, 3]), tensor("v", [4, 5]))
MACS = 12 * 9


def network(folder: Path, source: Any, **asked: Any) -> Any:
    return counted(folder, graph(LAYERS, {"x": source}, held=HELD), **asked)


@pytest.mark.parametrize("batch_name", ["batch", "N", None, ""])
def test_dynamic_axes_take_the_size_and_the_batch(tmp_path: Path, batch_name: str | None) -> None:
    source = (batch_name, 3, "height", "width")
    report = network(tmp_path, source, size=(8, 6))
    assert report.macs == 48 * MACS + 20
    assert report.calls[0].in_shape == (1, 3, 6, 8)
    assert network(tmp_path, source, size=8).macs == 64 * MACS + 20


def test_a_dynamic_axis_of_channels_takes_the_colours_of_an_image(tmp_path: Path) -> None:
    """As the exporter of transformers writes it."""
    source = "batch", "num_channels", "height", "width"
    report = network(tmp_path, source, size=(8, 6), batch=2)
    assert (report.macs, report.calls[0].in_shape) == (48 * MACS + 20, (2, 3, 6, 8))


def test_the_batch_enters_bytes_and_shapes_alone(tmp_path: Path) -> None:
    one = network(tmp_path, ("n", 3, 32, 32))
    four = network(tmp_path, ("n", 3, 32, 32), batch=4)
    assert (four.macs, four.mac_eq1, four.cio, four.batch) == (one.macs, one.mac_eq1, one.cio, 4)
    assert four.activation_peak_bytes == 4 * one.activation_peak_bytes
    assert [call.images for call in four.calls] == [4, 4]
    assert four.calls[0].in_shape == (4, 3, 32, 32)


def test_a_fixed_batch_is_counted_as_one_image(tmp_path: Path) -> None:
    report = network(tmp_path, (4, 3, 8, 6))
    assert (report.macs, report.batch, report.calls[0].images) == (48 * MACS + 20, 4, 4)


def test_a_graph_that_is_bound_to_its_batch_is_counted_as_given(tmp_path: Path) -> None:
    layers = [node("Reshape", "x s", "f"), node("MatMul", "f w")]
    held = numbers("s", [4, 2, 12]), tensor("w", [12, 5])
    report = counted(tmp_path, graph(layers, {"x": (4, 24)}, held=held))
    assert (report.macs, report.batch) == (4 * 2 * 12 * 5, 1)
    assert any(note.startswith("counted as given") for note in report.notes)


@pytest.mark.parametrize("source", [(2, 3, 8, 8), ("n", 3, 8, 8)])
def test_one_image_of_a_batch_that_a_graph_is_bound_to_is_its_share(
    tmp_path: Path, source: Any
) -> None:
    layers = [node("Conv", "x w", "c"), node("Reshape", "c s", "f"), node("Gemm", "f v")]
    held = HELD[0], numbers("s", [2, 144]), tensor("v", [144, 5])
    report = counted(tmp_path, graph(layers, {"x": source}, held=held), batch=2)
    assert (report.macs, report.batch) == (36 * MACS + 144 * 5, 2)
    assert report.cio == 3 * 64 + 4 * 36
    assert [call.images for call in report.calls] == [2, 2]
    assert "one image is an even share of the batch" in " ".join(report.notes)
    assert not any(note.startswith("counted as given") for note in report.notes)


@pytest.mark.parametrize(
    ("source", "asked", "message"),
    [
        (("n", 3, "h", "w"), {}, "axis 2 .'h'. of input 'x' of model.onnx is dynamic"),
        (("n", "t", 3, 8, 8), {}, "axis 1 .'t'. .* is dynamic: export it with a fixed size"),
        ((1, 3, 8, 6), {"size": 8}, "has a width of 6, not 8"),
        ((1, 3, 8, 6), {"batch": 2}, "has a batch of 1, not 2"),
        ((1, 3, 0, 6), {}, "axis 2 of input 'x' of model.onnx has no elements"),
        (("n", 3, "h", "w"), {"size": "8by8"}, "invalid size '8by8'"),
        (("n", 3, "h", "w"), {"size": 8, "batch": 0}, "a batch of 0"),
        ((1, 5, 8, 8), {}, "does not fit its input: Conv 'c'"),
        (
            ("n", 3, "s", "s"),
            {"size": (8, 6)},
            "channels and sides, which makes it 6x6",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, source: Any, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        network(tmp_path, source, **asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [16, (16, 1)])
def test_a_sequence_takes_a_size(tmp_path: Path, size: Any) -> None:
    layers = [node("Gather", "e x", "t"), node("MatMul", "t w")]
    held = tensor("e", [100, 8]), tensor("w", [8, 3])
    made = graph(layers, {"x": ("batch", "sequence")}, held=held, dtype=TensorProto.INT64)
    report = counted(tmp_path, made, size=size)
    assert (report.macs, report.params) == (16 * 24, 824)


def test_steps_of_features_take_a_size(tmp_path: Path) -> None:
    """The features are fixed; what is asked for again, with both sides, is the same."""
    made = graph([node("MatMul", "x w")], {"x": ("n", "t", 8)}, held=[tensor("w", [8, 3])])
    assert counted(tmp_path, made, size=16).macs == 16 * 24
    assert counted(tmp_path, made, size="8x16").macs == 16 * 24
    assert input_of(tmp_path / "model.onnx", size=16, batch=2) == ((8, 16), 2)


def test_a_size_that_nothing_takes_is_refused(tmp_path: Path) -> None:
    made = graph([node("MatMul", "x w")], {"x": (1, 8)}, held=[tensor("w", [8, 3])])
    with pytest.raises(UsageError, match="no image and no dynamic axis"):
        counted(tmp_path, made, size=16)


def test_the_size_is_that_of_the_first_image(tmp_path: Path) -> None:
    layers = [node("Conv", "x w", "c"), node("Add", "c z")]
    made = graph(layers, {"x": (1, 3, 8, 8), "z": (1, 4, 6, 6)}, held=HELD[:1])
    assert counted(tmp_path, made, size=8).macs == counted(tmp_path, made).macs == 36 * MACS


def test_steps_before_the_batch_are_no_images(tmp_path: Path) -> None:
    """A recurrent layer reads [steps, batch, features]."""
    layers = [node("LSTM", "x w r", "y", hidden_size=5)]
    held = tensor("w", [1, 20, 8]), tensor("r", [1, 20, 5])
    report = counted(tmp_path, graph(layers, {"x": (9, 2, 8)}, held=held))
    assert (report.macs_all, report.batch) == (9 * 20 * 13, 2)


def test_shapes_are_computed_as_exporters_write_them(tmp_path: Path) -> None:
    """The number of positions is found from the shape of the map."""
    layers = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("Shape", "c", "s"),
        node("Slice", "s one two", "n"),
        node("Gather", "s last", "side"),
        node("Mul", "side side", "area"),
        node("Concat", "zero n area", "target", axis=0),
        node("Reshape", "c target", "f"),
        node("Transpose", "f", "t", perm=[0, 2, 1]),
        node("MatMul", "t v"),
    ]
    held = (
        *HELD,
        *(numbers(name, [value]) for name, value in (("one", 1), ("two", 2), ("last", 3))),
        numbers("zero", [0]),
    )
    made = graph(layers, {"x": ("n", 3, "h", "w")}, held=held)
    assert counted(tmp_path, made, size=8).macs == 64 * MACS + 64 * 20


def test_the_peak_of_activations_is_what_lives_at_once(tmp_path: Path) -> None:
    """Of three maps in a row two live at a time; a view is none; an addition keeps its first."""
    layers = [
        node("Relu", "x", "a"),
        node("Reshape", "a s", "v"),
        node("Reshape", "v t", "b"),
        node("Relu", "b", "c"),
        node("Sigmoid", "c", "d"),
        node("Add", "d x"),
    ]
    held = numbers("s", [1, -1]), numbers("t", [1, 4, 16, 16])
    report = counted(tmp_path, graph(layers, {"x": (1, 4, 16, 16)}, held=held))
    assert report.activation_peak_bytes == 2 * 4 * 4 * 256
    assert report.activation_total_bytes == 4 * 4 * 4 * 256
    assert report.bytes_all == (2 + 2 + 2 + 3) * 4 * 4 * 256


def test_bytes_are_of_fp32_whatever_the_file_keeps(tmp_path: Path) -> None:
    made = graph([node("Relu", "x")], {"x": (1, 4, 16, 16)}, dtype=TensorProto.FLOAT16)
    assert counted(tmp_path, made).activation_peak_bytes == 4 * 4 * 256
