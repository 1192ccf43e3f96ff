"""What an operator of ONNX does: convolve, multiply, attend, pool, normalise, or none of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.folding import numbers
from archbench.counting.onnx.values import Value, channels_first
from archbench.counting.report import Kind
from archbench.counting.tally import ConvolutionCall

T = TypeVar("T")


class MisfitError(Exception):
    """Tensors that an operator cannot take, where onnx does not see it."""


@dataclass(frozen=True)
class Called:
    """A node with the tensors that it reads and writes."""

    node: Node
    inputs: Sequence[Value | None]
    outputs: Sequence[Value]

    def given(self, index: int) -> Value | None:
        """An input that may be left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def read(self, index: int) -> Value:
        """An input that an operator cannot do without; raises ValueError where it is missing."""
        value = self.given(index)
        if value is None:
            raise ValueError(f"{self.node.op} reads no input {index}")
        return value

    def sides(self, index: int) -> tuple[int, ...]:
        """An input's shape."""
        return self.read(index).sides


@dataclass(frozen=True)
class Product:
    """Sums of products: `macs` multiply-adds of tensors, linear where one is a constant and no
    kind is given.
    """

    macs: int
    operands: tuple[Value, ...]
    kind: Kind | None = None
    left_out: int = 0
    has_mask: bool = False


@dataclass(frozen=True)
class Pool:
    """A pooling call."""


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalisation call."""


Work = ConvolutionCall | Product | Pool | BatchNorm
Rule = Callable[[Called], list[Work]]


def _fit(what: str, given: int, taken: int) -> None:
    if given != taken:
        raise MisfitError(f"it is given {given} {what} and takes {taken}")


def _channels_first(called: Called, sides: tuple[T, ...]) -> tuple[T, ...]:
    """The shape [B, C, H, W] of a map that an operator may keep otherwise."""
    return channels_first(sides) if called.node.attribute("channels_last", 0) else sides


def _convolution(*, weight: int, bias: int | None, is_transposed: bool = False) -> Rule:
    def rule(called: Called) -> list[Work]:
        added = None if bias is None else called.given(bias)
        source, kernel = _channels_first(called, called.sides(0)), called.sides(weight)
        groups = called.node.attribute("group", 1)
        _fit("channels", source[1], kernel[0] if is_transposed else kernel[1] * groups)
        out = called.outputs[0]
        if out.shape is not None and not all(_channels_first(called, out.shape)[2:]):
            # What it reads is known, so that nothing but its size can be wrong.
            raise MisfitError("it writes nothing: its kernel is larger than what it reads")
        strides = tuple(called.node.attribute("strides") or (1,) * (len(kernel) - 2))
        return [
            ConvolutionCall(
                source=source,
                weight=kernel,
                out=_channels_first(called, out.sides),
                bias=added.size if added is not None else 0,
                stride=strides,
                groups=groups,
                is_transposed=is_transposed,
            )
        ]

    return rule


def _matmul(first: int, second: int) -> Rule:
    def rule(called: Called) -> list[Work]:
        depth = called.sides(first)[-1]
        if called.node.attribute("transA", 0) and called.node.op == "FusedMatMul":
            depth = called.sides(first)[-2]
        operands = called.read(first), called.read(second)
        return [Product(called.outputs[0].size * depth, operands)]

    return rule


def _gemm(first: int, second: int) -> Rule:
    def rule(called: Called) -> list[Work]:
        depth = called.sides(first)[0 if called.node.attribute("transA", 0) else -1]
        _fit(
            "features", depth, called.sides(second)[-1 if called.node.attribute("transB", 0) else 0]
        )
        operands = called.read(first), called.read(second)
        return [Product(called.outputs[0].size * depth, operands)]

    return rule


def _packed_matmul(called: Called) -> list[Work]:
    """A weight of fewer bits, packed."""
    source = called.read(0)
    return [Product(source.size * called.node.attribute("N", 0), (source, called.read(1)))]


def _recurrent(called: Called) -> list[Work]:
    """Data [T, B, C], or [B, T, C]: both matrices of each direction multiply at every step."""
    source, *matrices = (called.read(index) for index in range(3))
    _fit("features", source.sides[-1], matrices[0].sides[-1])
    steps = prod(source.sides[:2])
    macs = steps * sum(matrix.size for matrix in matrices)
    return [Product(macs, (source, *matrices), "recurrent")]


def _einsum(called: Called) -> list[Work]:
    """Operands multiply from the left to the right, two at a time; what only one of the two has is
    summed before, and without a common sum nothing but elements is multiplied.
    """
    equation = called.node.attribute("equation", b"").decode().replace(" ", "")
    terms, arrow, out = equation.partition("->")
    labels = terms.split(",")
    if "." in equation or len(labels) != len(called.inputs):
        raise ValueError("an ellipsis")
    sizes: dict[str, int] = {}
    for index, term in enumerate(labels):
        for label, side in zip(term, called.sides(index), strict=True):
            sizes[label] = max(side, sizes.get(label, 1))
    kept = out if arrow else "".join(x for x in sizes if terms.count(x) == 1)
    macs, held = 0, set(labels[0])
    for index, term in enumerate(labels[1:], start=1):
        needed = {*kept, *"".join(labels[index + 1 :])}
        summed = (held & set(term)) - needed
        result = (held | set(term)) & needed
        if summed:
            macs += prod(sizes[label] for label in result | summed)
        held = result
    operands = tuple(value for value in called.inputs if value is not None)
    return [Product(macs, operands)] if macs else []


def _pool(called: Called) -> list[Work]:
    return [Pool()]


def _reduction(called: Called) -> list[Work]:
    """A mean or a maximum over all of a map's positions is a global pool."""
    source = called.read(0)
    axes = called.node.attribute("axes")
    if axes is None:
        axes = numbers(called.given(1))
    if axes is None:
        return []
    rank = len(source.sides)
    over = {axis % max(1, rank) for axis in axes}
    is_map = rank in (4, 5) and over == set(range(2, rank))
    is_flat = (
        rank == 3
        and over == {2}
        and bool(source.of_map)
        and source.sides[2] == prod(source.of_map[2:])
    )
    return [Pool()] if is_map or is_flat else []


def _reshape(called: Called) -> list[Work]:
    if called.read(0).is_known and called.outputs[0].is_known:
        _fit("elements", called.read(0).size, called.outputs[0].size)
    return []


def _batch_norm(called: Called) -> list[Work]:
    return [BatchNorm()]


CONVOLUTIONS: dict[str, Rule] = {
    **dict.fromkeys(("Conv", "FusedConv"), _convolution(weight=1, bias=2)),
    "ConvInteger": _convolution(weight=1, bias=None),
    "ConvTranspose": _convolution(weight=1, bias=2, is_transposed=True),
    "DeformConv": _convolution(weight=1, bias=3),
    "QLinearConv": _convolution(weight=3, bias=8),
}
PRODUCTS: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("MatMul", "MatMulInteger", "FusedMatMul", "DynamicQuantizeMatMul"),
            "MatMulIntegerToFloat",
        ),
        _matmul(0, 1),
    ),
    "QLinearMatMul": _matmul(0, 3),
    **dict.fromkeys(("Gemm", "FusedGemm"), _gemm(0, 1)),
    "QGemm": _gemm(0, 3),
    "MatMulNBits": _packed_matmul,
    "Einsum": _einsum,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
}
POOLS: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool"),
            *("GlobalLpPool", "QLinearAveragePool", "QLinearGlobalAveragePool"),
        ),
        _pool,
    ),
    **dict.fromkeys(("ReduceMean", "ReduceMax"), _reduction),
    "BatchNormalization": _batch_norm,
    "Reshape": _reshape,
}

MULTIPLY = frozenset(
    (
        *("DFT", "STFT", "Det", "CausalConvWithState", "LinearAttention", "FlexAttention"),
        *("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor", "Gradient"),
    )
)
"""Operators of onnx that multiply and have no rule."""
WITHOUT_PRODUCTS = frozenset(
    (
        *("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "BiasAdd", "BiasSplitGelu", "GroupNorm"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SkipGroupNorm"),
        *("SimplifiedLayerNormalization", "EmbedLayerNormalization", "RotaryEmbedding"),
        *("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"),
        *("QLinearConcat", "QLinearReduceMean", "QuantizeLinear", "DequantizeLinear"),
        *("NhwcMaxPool", "GridSample", "CropAndResize", "BiasSoftmax"),
    )
)
"""Operators of com.microsoft that multiply no matrices."""
QUANTISED = re.compile(r"Integer|^Q(Linear(Conv|MatMul)|Gemm|Attention)|NBits|DynamicQuantizeM")
"""Products of integers, by their names."""
