"""Which tensors of an ONNX file are parameters, and of what kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import NodeProto, TensorProto, counted, graph, helper, node, numbers, tensor

from archbench.counting.report import ParamKinds

IMAGE = {"x": (1, 3, 8, 8)}


def constant(name: str, shape: tuple[int, ...], step: float = 0.0) -> NodeProto:
    """A node that holds a tensor, whose values are 0, or grow by a step."""
    values = [step * index for index in range(_size(shape))]
    held = helper.make_tensor(name, TensorProto.FLOAT, shape, values)
    return node("Constant", "", name, value=held)


def _size(shape: tuple[int, ...]) -> int:
    return shape[0] * _size(shape[1:]) if shape else 1


def kinds(folder: Path, layers: list[NodeProto], *held: TensorProto) -> ParamKinds:
    """The parameters of a graph of an image, by kind."""
    return counted(folder, graph(layers, IMAGE, held=held)).param_kinds


def test_weights_of_layers_may_be_nodes(tmp_path: Path) -> None:
    layers = [constant("w", (4, 3, 3, 3)), constant("b", (4,)), node("Conv", "x w b")]
    assert kinds(tmp_path, layers) == ParamKinds(conv_weights=108, biases=4, dense_conv_channels=4)


@pytest.mark.parametrize(
    ("shape", "is_node", "other"),
    [((3, 1, 1), False, 3), ((3, 1, 1), True, 0), ((1,), False, 0), ((), False, 0)],
)
def test_elsewhere_initializers_of_several_numbers_are(
    tmp_path: Path, shape: tuple[int, ...], is_node: bool, other: int
) -> None:
    held = [] if is_node else [tensor("s", shape)]
    nodes = [constant("s", shape)] if is_node else []
    assert kinds(tmp_path, [*nodes, node("Mul", "x s")], *held) == ParamKinds(other=other)


@pytest.mark.parametrize(
    ("layer", "held"),
    [
        (node("Resize", "x _ s"), tensor("s", [4])),
        (node("Pad", "x p v"), tensor("v", [2])),
        (node("Relu", "x"), tensor("unused", [9])),
        (node("Add", "x i"), tensor("i", [3, 1, 1], TensorProto.INT64)),
    ],
)
def test_settings_and_what_nothing_reads_are_none(
    tmp_path: Path, layer: NodeProto, held: TensorProto
) -> None:
    made = graph([layer], IMAGE, held=[held, numbers("p", [0] * 8)])
    if layer.op_type == "Add":
        made.input[0].type.tensor_type.elem_type = TensorProto.INT64
    assert counted(tmp_path, made).params == 0


def test_a_vector_added_to_a_product_is_a_bias(tmp_path: Path) -> None:
    layers = [node("Conv", "x w", "c"), constant("b", (4, 1, 1)), node("Add", "c b")]
    assert kinds(tmp_path, layers, tensor("w", [4, 3, 1, 1])).biases == 4


def test_a_weight_is_what_it_is_made_of(tmp_path: Path) -> None:
    """A normalised weight: directions and lengths are learned, the product is not."""
    layers = [
        node("ReduceL2", "v a", "n"),
        node("Div", "v n", "u"),
        node("Mul", "u g", "w"),
        node("Conv", "x w"),
    ]
    held = tensor("v", [4, 3, 3, 3]), tensor("g", [4, 1, 1, 1]), numbers("a", [1, 2, 3])
    assert kinds(tmp_path, layers, *held).conv_weights == 108 + 4


def test_normalisations_of_groups_keep_their_scalars_alone(tmp_path: Path) -> None:
    """Exporters write them as of single maps, by ones and zeros, and learned scalars behind."""
    ones = helper.make_tensor("o", TensorProto.FLOAT, [3], [1.0] * 3)
    zeros = helper.make_tensor("z", TensorProto.FLOAT, [3], [0.0] * 3)
    layers = [
        node("InstanceNormalization", "x o z", "n"),
        node("Mul", "n g", "m"),
        node("Add", "m b"),
    ]
    held = ones, zeros, tensor("g", [3, 1, 1]), tensor("b", [3, 1, 1])
    assert kinds(tmp_path, layers, *held) == ParamKinds(other=6)


@pytest.mark.parametrize(("step", "scalars"), [(0.5, 16), (0.0, 0)])
def test_scales_that_are_nodes_count_unless_they_scale_alike(
    tmp_path: Path, step: float, scalars: int
) -> None:
    """A past bug: none did. Exporters write a normalisation without scalars by ones and zeros."""
    layers = [constant("g", (8,), step), constant("b", (8,), step)]
    found = kinds(tmp_path, [*layers, node("LayerNormalization", "x g b")])
    assert found == ParamKinds(norm_scalars=scalars)


def test_scales_of_a_normalisation_may_be_integers(tmp_path: Path) -> None:
    layers = [
        node("DequantizeLinear", "g s", "scale"),
        node("DequantizeLinear", "b s", "shift"),
        node("LayerNormalization", "x scale shift"),
    ]
    held = tensor("g", [8], TensorProto.INT8), tensor("b", [8], TensorProto.INT32), tensor("s", [])
    assert kinds(tmp_path, layers, *held) == ParamKinds(norm_scalars=16)


def test_what_a_scale_is_computed_with_is_a_setting(tmp_path: Path) -> None:
    layers = [
        constant("one", (1,)),
        node("Add", "g one", "scale"),
        node("RMSNormalization", "x scale"),
    ]
    assert kinds(tmp_path, layers, tensor("g", [8])) == ParamKinds(norm_scalars=8)


def test_scales_of_quantised_attention_are_settings(tmp_path: Path) -> None:
    layer = node("QAttention", "x w b xs ws", num_heads=2, domain="com.microsoft")
    held = [tensor("w", [6, 24], TensorProto.INT8), tensor("b", [24])]
    held += [tensor("xs", []), tensor("ws", [24])]
    made = graph([layer], {"x": (1, 5, 6)}, held=held, dtype=TensorProto.UINT8)
    report = counted(tmp_path, made)
    assert report.param_kinds == ParamKinds(linear_weights=144, biases=24)
    assert {call.params for call in report.calls} == {168}


def test_learned_keys_and_values_are_no_weights_of_a_layer(tmp_path: Path) -> None:
    held = tensor("k", [1, 2, 7, 4]), tensor("v", [1, 2, 7, 4])
    made = graph([node("Attention", "q k v")], {"q": (1, 2, 5, 4)}, held=held)
    assert counted(tmp_path, made).param_kinds == ParamKinds(other=2 * 56)


def test_packed_weights_count_what_they_stand_for(tmp_path: Path) -> None:
    layer = node("MatMulNBits", "x w s", K=8, N=5, bits=4, block_size=16, domain="com.microsoft")
    held = tensor("w", [5, 1, 8], TensorProto.UINT8), tensor("s", [5])
    report = counted(tmp_path, graph([layer], {"x": (1, 7, 8)}, held=held))
    assert (report.params, report.macs_linear) == (40, 7 * 8 * 5)
    assert [call.params for call in report.calls] == [40]
    assert any("com.microsoft::MatMulNBits (1 call)" in note for note in report.notes)
