"""Read a file that holds an ONNX model: a regular one of a bounded size, and nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import prod
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.defs import onnx_opset_version
from onnx.helper import tensor_dtype_to_np_dtype

from archbench.files import read_bytes, version_of
from archbench.spec import UsageError

MOST_BYTES = 2**31 - 1
"""The largest model that a file can hold: protobuf's own limit. Larger ones keep weights beside."""
MOST_DATA = 4096
"""Elements up to which a tensor's data is kept: shapes and settings are far smaller."""
STANDARD = ("", "ai.onnx")
TYPED: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.INT64: "int64_data",
    TensorProto.DOUBLE: "double_data",
}
"""Fields that hold a value each, by the type of the tensor."""

FunctionKey = tuple[str, str, str]


@dataclass(frozen=True)
class Model:
    """A model: its graph, the version of each operator set, functions of its own by domain, name
    and overload, and the files that its weights lie in, as it names them.
    """

    name: str
    graph: GraphProto
    opsets: dict[str, int]
    functions: dict[FunctionKey, FunctionProto]
    ir_version: int
    beside: tuple[str, ...]


def read(path: Path) -> Model:
    """Read a model; the last one that was read is remembered. External data is neither needed nor
    opened.

    Raises UsageError for what is no regular file, no model, or of an operator set that is not known
    here.
    """
    return _read(path, Path.cwd(), version_of(path))


@lru_cache(maxsize=1)
def _read(path: Path, folder: Path, version: tuple[int, int, int]) -> Model:
    """Read a file of this version, its path seen from a folder."""
    model = ModelProto()
    try:
        model.ParseFromString(read_bytes(path, "model", MOST_BYTES))
    except DecodeError:
        raise UsageError(f"{path} is not an ONNX model, or is truncated") from None
    if not model.graph.node:
        raise UsageError(f"{path} is not an ONNX model: it has no graph")
    functions = {(domain(each.domain), each.name, each.overload): each for each in model.functions}
    opsets = {domain(each.domain): each.version for each in model.opset_import}
    _check_opsets(path, opsets)
    for tensor in model.graph.initializer:
        check_tensor(path.name, tensor)
    beside = _beside(model)
    check_names(path.name, beside)
    light = _light(model.graph)
    return Model(path.name, light, opsets, functions, model.ir_version, tuple(sorted(beside)))


def _beside(model: ModelProto) -> set[str]:
    """The files that tensors of a model name as where their data lies."""
    nodes = chain(model.graph.node, *(function.node for function in model.functions))
    return {
        entry.value
        for tensor in chain(_held(model.graph), _within(nodes))
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _held(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that a graph holds apart from its nodes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _within(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Every tensor within nodes, and within the graphs that they run."""
    for attribute in chain.from_iterable(node.attribute for node in nodes):
        yield from (attribute.t, *attribute.tensors)
        for graph in (attribute.g, *attribute.graphs):
            yield from _held(graph)
            yield from _within(graph.node)


def _light(graph: GraphProto) -> GraphProto:
    """A copy of a graph without the data of large initializers, of which only shapes count."""
    light = GraphProto(
        node=graph.node,
        input=graph.input,
        output=graph.output,
        value_info=graph.value_info,
        sparse_initializer=graph.sparse_initializer,
    )
    for tensor in graph.initializer:
        if prod(tensor.dims) <= MOST_DATA:
            light.initializer.append(tensor)
        else:
            light.initializer.add(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    return light


def domain(text: str) -> str:
    """Spell the standard operators' domain in one way."""
    return "" if text in STANDARD else text


def check_names(model: str, names: Iterable[object]) -> None:
    """Raise UsageError for names that are no UTF-8, which come as bytes."""
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"{model} is not a valid model: a name in it is not UTF-8")


def check_tensor(name: str, tensor: TensorProto) -> None:
    """Raise UsageError where a tensor cannot have its shape, or holds another number of values; it
    may hold none.
    """
    if any(side < 0 for side in tensor.dims):
        raise UsageError(f"{name}: tensor {tensor.name!r} has a negative side: {_shape(tensor)}")
    size = prod(tensor.dims)
    typed = TYPED.get(tensor.data_type)
    held = len(getattr(tensor, typed)) if typed else 0
    bits = _bits(tensor.data_type)
    is_other = (held and held != size) or (
        bits and tensor.raw_data and len(tensor.raw_data) != -(-size * bits // 8)
    )
    if is_other:
        raise UsageError(
            f"{name}: tensor {tensor.name!r} of {_shape(tensor)} has the wrong number of values"
        )


def _bits(dtype: int) -> int:
    """Bits of an element in the file; 0 where that is not known."""
    try:
        name = TensorProto.DataType.Name(dtype)
        packed = re.search(r"INT[24]$|FLOAT4", name)
        return int(packed[0][-1]) if packed else 8 * tensor_dtype_to_np_dtype(dtype).itemsize
    except (KeyError, ValueError):
        return 0


def _shape(tensor: TensorProto) -> str:
    return "x".join(map(str, tensor.dims)) or "no dimensions"


def _check_opsets(path: Path, opsets: dict[str, int]) -> None:
    newest = onnx_opset_version()
    version = opsets.get("")
    if version is not None and not 1 <= version <= newest:
        raise UsageError(
            f"{path} uses operator set {version}; the installed onnx supports 1 to {newest}"
        )
