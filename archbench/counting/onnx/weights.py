"""What the tensors that a file holds are to the network: an ONNX file does not say which were
learned.

A tensor is a parameter by the operator that reads it, through whatever only rearranges, casts or
dequantises it: the weights, biases and scales of layers, whether initializers or Constant nodes,
and integers where a layer is quantised. In other operators, initializers of several real numbers
are taken for parameters, and Constant nodes and single numbers for settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.folding import array_of
from archbench.counting.onnx.values import FLOATING, RULED, Value, Weight
from archbench.counting.report import ParamKinds

SETTING = "setting"
_LINEAR, _CONV, _BIAS, _NORM = "linear_weights", "conv_weights", "biases", "norm_scalars"

_PLACES: tuple[tuple[str, dict[int, str]], ...] = (
    ("Conv ConvTranspose FusedConv", {1: _CONV, 2: _BIAS}),
    ("ConvInteger", {1: _CONV, 2: SETTING, 3: SETTING}),
    ("DeformConv", {1: _CONV, 3: _BIAS}),
    ("QLinearConv", {3: _CONV, 8: _BIAS, **dict.fromkeys((1, 2, 4, 5, 6, 7), SETTING)}),
    ("Gemm FusedGemm", {0: _LINEAR, 1: _LINEAR, 2: _BIAS}),
    ("MatMul FusedMatMul Einsum", {0: _LINEAR, 1: _LINEAR}),
    ("MatMulInteger", {0: _LINEAR, 1: _LINEAR, 2: SETTING, 3: SETTING}),
    ("DynamicQuantizeMatMul", {1: _LINEAR, 2: SETTING, 3: SETTING, 4: _BIAS}),
    ("MatMulIntegerToFloat", {1: _LINEAR, 6: _BIAS, **dict.fromkeys((2, 3, 4, 5), SETTING)}),
    ("QLinearMatMul", {0: _LINEAR, 3: _LINEAR, **dict.fromkeys((1, 2, 4, 5, 6, 7), SETTING)}),
    ("QGemm", {3: _LINEAR, 6: _BIAS, **dict.fromkeys((1, 2, 4, 5, 7, 8), SETTING)}),
    ("MatMulNBits", {1: _LINEAR, 2: SETTING, 3: SETTING, 4: SETTING, 5: _BIAS}),
    ("LSTM", {1: "other", 2: "other", 3: "other", 5: SETTING, 6: SETTING, 7: "other"}),
    ("GRU RNN", {1: "other", 2: "other", 3: "other", 5: SETTING}),
    ("BatchNormalization", {1: _NORM, 2: _NORM, 3: "norm_buffers", 4: "norm_buffers"}),
    ("InstanceNormalization LayerNormalization GroupNormalization", {1: _NORM, 2: _NORM}),
    ("RMSNormalization SimplifiedLayerNormalization GroupNorm", {1: _NORM, 2: _NORM}),
    ("SkipLayerNormalization", {2: _NORM, 3: _NORM, 4: _BIAS}),
    ("SkipSimplifiedLayerNormalization", {2: _NORM, 3: _BIAS}),
    ("BiasGelu", {1: _BIAS}),
    ("MultiHeadAttention", {3: _BIAS}),
    ("Attention", {1: _LINEAR, 2: _BIAS}),
    ("QAttention", {1: _LINEAR, 2: _BIAS, **dict.fromkeys(range(3, 8), SETTING)}),
    ("GroupQueryAttention", {7: SETTING, 8: SETTING}),
    ("RotaryEmbedding", {1: SETTING, 2: SETTING, 3: SETTING}),
    ("PRelu", {1: "other"}),
    ("Gather", {0: "other"}),
)
LAYERS = {op: places for ops, places in _PLACES for op in ops.split()}
"""What a layer reads, by the place of it."""
SETTINGS: dict[str, tuple[int, ...]] = {
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Clip": (1, 2),
    "Pow": (1,),
    "Dropout": (1,),
    "Pad": (1, 2),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "NonMaxSuppression": (2, 3, 4),
    "Range": (0, 1, 2),
    "OneHot": (1, 2),
    "RoiAlign": (1, 2),
    "GridSample": (1,),
}
"""Places of what is no parameter, whatever it is stored as."""
BIASED = frozenset(("MatMul", "Gemm", "Conv", "ConvTranspose", "MatMulInteger", "ConvInteger"))
"""Operators to whose output a vector is added as a bias."""
_STORED_AS_INTEGERS = (_CONV, _LINEAR, _BIAS, _NORM)
MANY_ROOTS = 256
"""Weights of which one constant is made at most; of more, all are met at once."""


def places_of(node: Node) -> dict[int, str]:
    """What a node reads as a layer, by the place of it."""
    # ONNX Runtime's Attention projects; that of the standard domain has no weights.
    is_layer = node.domain in RULED and (node.domain, node.op) != ("", "Attention")
    return LAYERS.get(node.op, {}) if is_layer else {}


class Weights:
    """The weights that a walk met."""

    def __init__(self) -> None:
        self._met: dict[Weight, None] = {}
        self._dense: dict[frozenset[Weight], int] = {}

    def read(self, node: Node, inputs: Sequence[Value | None]) -> None:
        """See what a node reads that depends on an input of the network."""
        layer = places_of(node)
        settings = SETTINGS.get(node.op, ()) if node.domain in RULED else ()
        is_biased = node.op == "Add" and any(
            value is not None and value.writer in BIASED for value in inputs
        )
        for index, value in enumerate(inputs):
            if value is None or not value.roots or index in settings:
                continue
            kind = layer.get(index, "")
            if kind == _NORM and _scales_alike(node, value):
                continue
            if not kind and is_biased and _is_vector(value):
                kind = _BIAS
            if kind == _CONV and value.shape and node.attribute("group", 1) == 1:
                self._dense[value.roots] = value.shape[node.op == "ConvTranspose"] or 0
            if node.op == "MatMulNBits" and kind == _LINEAR:
                for weight in value.roots:
                    weight.size = node.attribute("K", 0) * node.attribute("N", 0)
            if kind != SETTING:
                self._meet(value.roots, kind)

    def combine(self, node: Node, inputs: Iterable[Value | None]) -> frozenset[Weight]:
        """Give the weights that a constant is made of: shapes and indices behind its first operand
        are none of them.
        """
        settings = SETTINGS.get(node.op, ())
        roots = frozenset().union(
            *(
                value.roots
                for index, value in enumerate(inputs)
                if value is not None
                and index not in settings
                and (index == 0 or value.dtype in FLOATING)
            )
        )
        if len(roots) <= MANY_ROOTS:
            return roots
        self._meet(roots, "")
        return frozenset()

    def kinds(self) -> ParamKinds:
        """Sort the scalars by kind; a tensor that several layers read counts once."""
        counts: Counter[str] = Counter()
        for weight in self._met:
            counts[weight.kind or "other"] += weight.size
        counts["dense_conv_channels"] = sum(self._dense.values())
        return ParamKinds(**counts)

    def _meet(self, roots: frozenset[Weight], kind: str) -> None:
        """Take weights for parameters of a kind, or of none in particular; what they are computed
        with, such as a one that is added to a scale, is a setting.
        """
        for weight in roots:
            if len(roots) > 1 and weight.size == 1 and not weight.is_initializer:
                continue
            is_plain = weight.is_initializer and weight.is_floating and weight.size > 1
            if is_plain or (kind and (weight.is_floating or kind in _STORED_AS_INTEGERS)):
                self._met[weight] = None
                weight.kind = weight.kind or kind


def _scales_alike(node: Node, value: Value) -> bool:
    """Whether scalars are those by which exporters write a normalisation that has none: all alike,
    and those of groups, or nodes. Initializers are alike in networks that were never trained too.
    """
    is_made = not any(weight.is_initializer for weight in value.roots)
    return (is_made or node.op == "InstanceNormalization") and _is_uniform(value)


def _is_vector(value: Value) -> bool:
    return value.is_known and sum(side > 1 for side in value.sides) <= 1 and bool(value.shape)


def _is_uniform(value: Value) -> bool:
    """Whether all that a small tensor holds is one number."""
    held = array_of(value)
    return held is not None and held.size > 0 and bool((held == held.reshape(-1)[0]).all())
