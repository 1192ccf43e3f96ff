"""Shapes and types of what ONNX Runtime's own operators write, by what counts behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import NodeProto, TensorProto, counted, graph, node, one_layer, tensor

MS = "com.microsoft"
HALF, BYTE = TensorProto.FLOAT16, TensorProto.UINT8
SCALES = [tensor(name, []) for name in ("xs", "ws", "ys")]
ZEROS = [tensor(name, [], BYTE) for name in ("xz", "wz", "yz")]


def test_a_fused_convolution_keeps_the_type_of_its_input(tmp_path: Path) -> None:
    """A past bug: its output was fp32, which the addition refused."""
    layers = [node("FusedConv", "x w", "c", domain=MS), node("Add", "c x")]
    made = graph(layers, {"x": (1, 3, 8, 8)}, held=[tensor("w", [3, 3, 1, 1], HALF)], dtype=HALF)
    assert counted(tmp_path, made).macs == 64 * 9


def test_a_fused_product_keeps_the_type_of_its_input(tmp_path: Path) -> None:
    layers = [node("FusedMatMul", "x w", "p", domain=MS), node("Add", "p x")]
    made = graph(layers, {"x": (1, 7, 8)}, held=[tensor("w", [8, 8], HALF)], dtype=HALF)
    assert counted(tmp_path, made).macs_linear == 7 * 64


def test_a_sum_of_integers_is_one(tmp_path: Path) -> None:
    """A past bug: the product of integers behind it was refused."""
    layers = [
        node("QLinearAdd", "x xs xz x xs xz ys yz", "a", domain=MS),
        node("QLinearMatMul", "a ys yz w ws wz ys yz"),
    ]
    held = *SCALES, *ZEROS, tensor("w", [8, 5], BYTE)
    made = graph(layers, {"x": (1, 7, 8)}, held=held, dtype=BYTE)
    assert counted(tmp_path, made).macs_linear == 7 * 8 * 5


def test_maps_of_integers_are_joined(tmp_path: Path) -> None:
    layers = [
        node("QLinearConcat", "ys yz q xs xz q xs xz", "a", domain=MS, axis=1),
        node("QLinearConv", "a ys yz w ws wz ys yz", domain=MS),
    ]
    held = *SCALES, *ZEROS, tensor("w", [4, 6, 3, 3], BYTE)
    report = counted(tmp_path, graph(layers, {"q": (1, 3, 8, 8)}, held=held, dtype=BYTE))
    assert (report.macs, report.uncounted) == (36 * 4 * 6 * 9, ())


@pytest.mark.parametrize(
    "layers",
    [
        [
            node("QuantizeLinear", "x xs", "q", domain=MS),
            node("DequantizeLinear", "q xs", "m", domain=MS),
        ],
        [node("GridSample", "x g", "m", mode="bicubic", domain=MS)],
        [node("BiasAdd", "x b x", "m", domain=MS)],
        [node("BiasSoftmax", "x x", "m", axis=1, domain=MS)],
    ],
    ids=lambda layers: layers[0].op_type,
)
def test_what_follows_has_a_shape(tmp_path: Path, layers: list[NodeProto]) -> None:
    held = *SCALES, tensor("g", [1, 8, 8, 2]), tensor("b", [3]), tensor("w", [4, 3, 3, 3])
    made = graph([*layers, node("Conv", "m w")], {"x": (1, 3, 8, 8)}, held=held)
    report = counted(tmp_path, made)
    assert (report.macs, report.uncounted) == (36 * 4 * 3 * 9, ())


def test_embeddings_of_tokens_have_a_shape(tmp_path: Path) -> None:
    layers = [
        node("EmbedLayerNormalization", "x _ words places _ g b", "e m", domain=MS),
        node("MatMul", "e w"),
    ]
    held = [tensor("words", [100, 8]), tensor("places", [20, 8]), tensor("w", [8, 24])]
    held += [tensor("g", [8]), tensor("b", [8])]
    report = one_embedding(tmp_path, layers, held)
    assert report == (5 * 8 * 24, ())


def one_embedding(
    folder: Path, layers: list[NodeProto], held: list[TensorProto]
) -> tuple[int, tuple[tuple[str, int], ...]]:
    """What a graph of five tokens multiplies, and what of it is not counted."""
    made = graph(layers, {"x": (1, 5)}, held=held, dtype=TensorProto.INT32)
    report = counted(folder, made)
    return report.macs_linear, report.uncounted


def test_channels_may_come_last(tmp_path: Path) -> None:
    """A past bug: they were taken for a side of the map."""
    layers = [
        node("QLinearConv", "q xs xz w ws wz ys yz", "c", channels_last=1, domain=MS),
        node(
            "QLinearAveragePool",
            "c ys yz ys yz",
            "p",
            kernel_shape=[2, 2],
            strides=[2, 2],
            channels_last=1,
            domain=MS,
        ),
        node("QLinearGlobalAveragePool", "p ys yz ys yz", "g", channels_last=1, domain=MS),
        node("Flatten", "g", "f"),
        node("QGemm", "f ys yz v ws wz _ ys yz", domain=MS),
    ]
    held = *SCALES, *ZEROS, tensor("w", [4, 3, 3, 3], BYTE), tensor("v", [4, 5], BYTE)
    report = counted(tmp_path, graph(layers, {"q": (1, 8, 10, 3)}, held=held, dtype=BYTE))
    assert (report.macs, report.macs_linear, report.uncounted) == (6 * 8 * 108 + 4 * 5, 4 * 5, ())
    assert report.cio_pool - report.cio == 4 * (6 * 8 + 3 * 4) + 4 * (3 * 4 + 1)
    assert [call.out_shape for call in report.calls] == [(1, 4, 6, 8), (1, 5)]


def test_packed_queries_keys_and_values_give_the_queries_width(tmp_path: Path) -> None:
    attend = node("GroupQueryAttention", "x _ _", "a", num_heads=4, kv_num_heads=2, domain=MS)
    made = graph([attend, node("MatMul", "a w")], {"x": (1, 5, 32)}, held=[tensor("w", [16, 16])])
    report = counted(tmp_path, made)
    assert (report.macs_linear, report.macs_attention) == (5 * 16 * 16, 4 * 25 * 8)


@pytest.mark.parametrize("op", ["MatMul", "FusedMatMul"])
@pytest.mark.parametrize(
    ("a", "b"), [((1, 1, 5, 8), (1, 6, 8, 7)), ((1, 6, 5, 8), (8, 7)), ((1, 6, 5, 8), (1, 1, 8, 7))]
)
def test_products_repeat_their_operands(
    tmp_path: Path, op: str, a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    layer = node(op, "a b", domain=MS if op == "FusedMatMul" else "")
    assert counted(tmp_path, graph([layer], {"a": a, "b": b})).macs_other == 6 * 5 * 8 * 7


def test_axes_in_an_order_of_their_own_are_not_guessed(tmp_path: Path) -> None:
    layer = node("FusedMatMul", "x w", transBatchA=1, domain=MS)
    report = one_layer(tmp_path, layer, (5, 6, 8), tensor("w", [8, 7]))
    assert (report.macs_all, report.uncounted) == (
        0,
        ((f"{MS}::FusedMatMul of an unknown shape", 1),),
    )
