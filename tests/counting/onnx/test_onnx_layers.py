"""Layers of an ONNX graph against closed forms."""

from __future__ import annotations

from math import prod, sqrt
from pathlib import Path
from typing import Any

import pytest
from graphs import NodeProto, TensorProto, counted, graph, node, numbers, one_layer, tensor


@pytest.mark.parametrize(
    ("op", "source", "weight", "attributes", "out", "macs"),
    [
        ("Conv", (1, 4, 9, 7), (6, 4, 3, 3), {}, (7, 5), 7 * 5 * 6 * 4 * 9),
        ("Conv", (1, 4, 9, 7), (6, 4, 3, 3), {"strides": [2, 2]}, (4, 3), 4 * 3 * 6 * 4 * 9),
        ("Conv", (1, 4, 9, 7), (6, 4, 3, 3), {"dilations": [2, 2]}, (5, 3), 5 * 3 * 6 * 4 * 9),
        ("Conv", (1, 4, 9, 7), (6, 2, 1, 7), {"group": 2}, (9, 1), 9 * 6 * 2 * 7),
        ("Conv", (1, 4, 9, 7), (4, 1, 3, 3), {"group": 4}, (7, 5), 7 * 5 * 4 * 9),
        ("Conv", (1, 4, 9, 7), (6, 4, 3, 3), {"auto_pad": "SAME_UPPER"}, (9, 7), 63 * 6 * 4 * 9),
        ("Conv", (1, 4, 9), (6, 4, 3), {}, (7,), 7 * 6 * 4 * 3),
        ("Conv", (1, 4, 5, 9, 7), (6, 4, 1, 3, 3), {}, (5, 7, 5), 5 * 7 * 5 * 6 * 4 * 9),
        (
            "ConvTranspose",
            (1, 4, 9, 7),
            (4, 6, 2, 2),
            {"strides": [2, 2]},
            (18, 14),
            63 * 4 * 6 * 4,
        ),
        ("ConvTranspose", (1, 4, 9), (4, 3, 2), {"group": 2}, (10,), 9 * 4 * 3 * 2),
    ],
)
def test_a_convolution_costs_its_closed_form(
    tmp_path: Path,
    op: str,
    source: tuple[int, ...],
    weight: tuple[int, ...],
    attributes: dict[str, Any],
    out: tuple[int, ...],
    macs: int,
) -> None:
    held = tensor("w", weight), tensor("b", [6])
    report = one_layer(tmp_path, node(op, "x w b", **attributes), source, *held)
    (call,) = report.calls
    groups = attributes.get("group", 1)
    channels = weight[1] * groups if op == "ConvTranspose" else weight[0]
    moved = prod(source) + channels * prod(out)
    assert (report.macs, report.macs_all, report.cio) == (macs, macs, moved)
    assert (report.mac_eq1, report.params) == (moved + prod(weight), prod(weight) + 6)
    assert (call.out_shape, call.kernel, call.groups) == ((1, channels, *out), weight[2:], groups)
    applied = macs // prod(weight)
    bound = 2 * sqrt(applied * macs / prod(weight[2:])) + macs / applied
    assert report.mac_bound == bound
    assert report.param_kinds.conv_weights == prod(weight)
    assert report.param_kinds.dense_conv_channels == (channels if groups == 1 else 0)


@pytest.mark.parametrize(("images", "channels"), [(0, 6), (1, 0)])
def test_a_convolution_may_be_of_nothing(tmp_path: Path, images: int, channels: int) -> None:
    """A past bug: it was refused for a kernel that is too large."""
    layers = [node("Slice", "x zero end", "some"), node("Conv", "some w")]
    held = tensor("w", [channels, 4, 3, 3]), numbers("zero", [0]), numbers("end", [images])
    report = counted(tmp_path, graph(layers, {"x": (1, 4, 9, 7)}, held=held))
    assert (report.macs, report.params, report.mac_bound) == (0, 36 * channels, 0)


def test_deformable_convolutions_multiply_as_the_plain_ones(tmp_path: Path) -> None:
    layer = node("DeformConv", "x w o", pads=[1, 1, 1, 1])
    held = tensor("w", [5, 3, 3, 3]), tensor("o", [1, 18, 8, 8])
    assert one_layer(tmp_path, layer, (1, 3, 8, 8), *held).macs == 64 * 5 * 27


@pytest.mark.parametrize(
    ("layer", "source", "weight", "macs"),
    [
        (node("MatMul", "x w"), (1, 7, 8), (8, 5), 7 * 8 * 5),
        (node("MatMul", "w x"), (1, 8, 7), (5, 8), 5 * 8 * 7),
        (node("Gemm", "x w", transB=1), (1, 8), (5, 8), 8 * 5),
        (node("Gemm", "x w", transA=1), (1, 8), (1, 5), 8 * 5),
        (node("Einsum", "x w", equation="bnc,hcd->bhnd"), (1, 7, 8), (2, 8, 4), 7 * 2 * 8 * 4),
        (node("Einsum", "x w", equation="bnc, cd"), (1, 7, 8), (8, 4), 7 * 8 * 4),
        (node("FusedMatMul", "x w", transB=1, domain="com.microsoft"), (1, 7, 8), (5, 8), 280),
    ],
)
def test_a_product_with_a_constant_is_linear(
    tmp_path: Path, layer: NodeProto, source: tuple[int, ...], weight: tuple[int, ...], macs: int
) -> None:
    report = one_layer(tmp_path, layer, source, tensor("w", weight))
    assert (report.macs_linear, report.macs_all) == (macs, macs)
    assert (report.mac_eq1, report.cio, report.params) == (0, 0, prod(weight))
    assert report.calls[0].op == "linear"


def test_a_product_of_activations_counts_in_macs_all_alone(tmp_path: Path) -> None:
    layers = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t")]
    report = counted(tmp_path, graph(layers, {"x": (1, 7, 8)}))
    assert (report.macs, report.macs_all, report.macs_other) == (0, 7 * 8 * 7, 7 * 8 * 7)


def test_an_outer_product_of_elements_is_none(tmp_path: Path) -> None:
    layer = node("Einsum", "x w", equation="bi,j->bij")
    assert one_layer(tmp_path, layer, (1, 7), tensor("w", [5])).macs_all == 0


def test_what_is_computed_of_weights_is_no_weight_itself(tmp_path: Path) -> None:
    """Learned queries that are projected attend; the projection is linear."""
    layers = [
        node("MatMul", "q p", "a"),
        node("MatMul", "x a"),
    ]
    held = tensor("q", [8, 6]), tensor("p", [6, 4])
    report = counted(tmp_path, graph(layers, {"x": (1, 3, 8)}, held=held))
    assert (report.macs_linear, report.macs_other) == (8 * 6 * 4, 3 * 8 * 4)
    assert report.params == 8 * 6 + 6 * 4


def test_shapes_and_indices_are_no_weights(tmp_path: Path) -> None:
    """Of a weight that is rearranged on its way its own scalars are parameters."""
    layers = [
        node("Reshape", "w s", "a"),
        node("Transpose", "a", "b", perm=[1, 0]),
        node("Gather", "b i", "c", axis=1),
        node("MatMul", "x c"),
    ]
    held = tensor("w", [5, 4, 2]), numbers("s", [5, 8]), numbers("i", [0, 2, 4])
    report = counted(tmp_path, graph(layers, {"x": (1, 7, 8)}, held=held))
    assert (report.params, report.macs_linear) == (40, 7 * 8 * 3)


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_recurrent_layer_multiplies_at_each_step(
    tmp_path: Path, op: str, gates: int, directions: int
) -> None:
    direction = "bidirectional" if directions == 2 else "forward"
    layer = node(op, "x w r b _ h", hidden_size=5, direction=direction)
    held = (
        tensor("w", [directions, gates * 5, 8]),
        tensor("r", [directions, gates * 5, 5]),
        tensor("b", [directions, 2 * gates * 5]),
        tensor("h", [directions, 1, 5]),
    )
    report = one_layer(tmp_path, layer, (9, 1, 8), *held)
    assert report.macs_recurrent == report.macs_all == 9 * directions * gates * 5 * (8 + 5)
    assert report.params == directions * gates * 5 * (8 + 5 + 2)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pools_enter_cio_pool(tmp_path: Path, op: str) -> None:
    layer = node(op, "x", kernel_shape=[2, 2], strides=[2, 2])
    report = one_layer(tmp_path, layer, (1, 3, 8, 6))
    assert (report.cio, report.cio_pool) == (0, 3 * (8 * 6 + 4 * 3))


@pytest.mark.parametrize(
    "layer",
    [
        node("GlobalAveragePool", "x"),
        node("GlobalMaxPool", "x"),
        node("ReduceMean", "x a"),
        node("ReduceMax", "x a", keepdims=0),
    ],
)
def test_global_pools_enter_cio_pool(tmp_path: Path, layer: NodeProto) -> None:
    report = one_layer(tmp_path, layer, (1, 3, 8, 6), numbers("a", [-1, 2]))
    assert (report.cio, report.cio_pool) == (0, 3 * (8 * 6 + 1))


def test_a_mean_over_channels_is_no_pool(tmp_path: Path) -> None:
    report = one_layer(tmp_path, node("ReduceMean", "x a"), (1, 3, 8, 6), numbers("a", [1]))
    assert report.cio_pool == 0


def test_a_mean_over_flattened_positions_is_a_pool(tmp_path: Path) -> None:
    layers = [node("Reshape", "x s", "f"), node("ReduceMean", "f a")]
    held = numbers("s", [0, 3, -1]), numbers("a", [2])
    report = counted(tmp_path, graph(layers, {"x": (1, 3, 8, 6)}, held=held))
    assert report.cio_pool == 3 * (48 + 1)


@pytest.mark.parametrize(
    "layer",
    [
        node("RoiAlign", "x r i", output_height=2, output_width=2),
        node("GridSample", "x g"),
        node("Resize", "x _ _ s"),
    ],
)
def test_resampling_multiplies_nothing(tmp_path: Path, layer: NodeProto) -> None:
    held = (
        tensor("r", [5, 4]),
        numbers("i", [0] * 5),
        tensor("g", [1, 4, 4, 2]),
        numbers("s", [1, 3, 16, 16]),
    )
    report = one_layer(tmp_path, layer, (1, 3, 8, 8), *held)
    assert (report.macs_all, report.uncounted, report.params) == (0, (), 0)


def test_suppression_of_data_multiplies_nothing(tmp_path: Path) -> None:
    layers = [node("NonMaxSuppression", "x scores")]
    report = counted(tmp_path, graph(layers, {"x": (1, 9, 4), "scores": (1, 2, 9)}))
    assert (report.macs_all, report.uncounted) == (0, ())


def test_outputs_of_batch_norms_are_counted(tmp_path: Path) -> None:
    layer = node("BatchNormalization", "x g b m v")
    held = [tensor(name, [3]) for name in "gbmv"]
    report = one_layer(tmp_path, layer, (1, 3, 8, 6), *held)
    assert (report.bn_elements, report.params) == (3 * 8 * 6, 6)
    assert (report.param_kinds.norm_scalars, report.param_kinds.norm_buffers) == (6, 6)


def test_a_layer_called_twice_costs_twice_and_is_held_once(tmp_path: Path) -> None:
    layers = [
        node("Conv", "x w", "a"),
        node("MaxPool", "x", "p", kernel_shape=[2, 2]),
        node("Conv", "p w", "b"),
    ]
    made = graph(layers, {"x": (1, 3, 9, 9)}, ["a", "b"], [tensor("w", [4, 3, 3, 3])])
    report = counted(tmp_path, made)
    assert (report.params, report.macs) == (108, 108 * (49 + 36))
    assert [call.params for call in report.calls] == [108, 108]
    assert report.param_kinds.dense_conv_channels == 4


def test_quantised_products_are_counted_and_named(tmp_path: Path) -> None:
    scales = [tensor(name, []) for name in ("xs", "ws", "ys")]
    zeros = [tensor(name, [], TensorProto.INT8) for name in ("xz", "wz", "yz")]
    held = [
        *scales,
        *zeros,
        tensor("w", [4, 3, 3, 3], TensorProto.INT8),
        tensor("b", [4], TensorProto.INT32),
        tensor("v", [4, 4, 1, 1], TensorProto.INT8),
    ]
    layers = [
        node("QLinearConv", "q xs xz w ws wz ys yz b", "c"),
        node("DequantizeLinear", "c ys yz", "d"),
        node("DequantizeLinear", "v ws wz", "e"),
        node("Conv", "d e"),
    ]
    made = graph(layers, {"q": (1, 3, 8, 8)}, held=held, dtype=TensorProto.INT8)
    report = counted(tmp_path, made)
    assert report.macs == 36 * 108 + 36 * 16
    assert (report.params, report.param_kinds.conv_weights) == (108 + 4 + 16, 108 + 16)
    assert any("QLinearConv (1 call)" in note for note in report.notes)
    assert any("Conv of dequantised tensors (1 call)" in note for note in report.notes)


@pytest.mark.parametrize("op", ["ConvInteger", "MatMulInteger"])
def test_products_of_integers_count(tmp_path: Path, op: str) -> None:
    is_conv = op == "ConvInteger"
    source, weight = ((1, 3, 8, 8), [4, 3, 3, 3]) if is_conv else ((1, 7, 8), [8, 5])
    held = tensor("w", weight, TensorProto.INT8)
    report = one_layer(tmp_path, node(op, "x w"), source, held, dtype=TensorProto.UINT8)
    assert report.macs == (36 * 108 if is_conv else 280)


@pytest.mark.parametrize(
    ("op", "domain", "name"),
    [
        ("Mystery", "my.ops", "my.ops::Mystery"),
        ("Attention", "my.ops", "my.ops::Attention"),
        ("NewerThanOnnx", "", "NewerThanOnnx"),
        ("LongformerAttention", "com.microsoft", "com.microsoft::LongformerAttention"),
        ("DFT", "", "DFT"),
    ],
)
def test_what_has_no_rule_is_named(tmp_path: Path, op: str, domain: str, name: str) -> None:
    layers = [node(op, "x", "m", domain=domain), node("Conv", "m w")]
    report = counted(tmp_path, graph(layers, {"x": (1, 3, 8, 8)}, held=[tensor("w", [4, 3, 1, 1])]))
    unknown = [] if op == "DFT" else [("Conv of an unknown shape", 1)]
    assert sorted(report.uncounted) == sorted([(name, 1), *unknown])
