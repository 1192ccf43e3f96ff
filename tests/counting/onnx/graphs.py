"""Small ONNX models for tests, written as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

helper = pytest.importorskip("onnx.helper", reason="ONNX models are written by onnx")

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto  # noqa: E402

from archbench.counting.onnx import count  # noqa: E402
from archbench.counting.report import CostReport  # noqa: E402

OPSETS = {"": 23, "com.microsoft": 1}
Sides = Sequence[int | str | None]


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> NodeProto:
    """A node whose inputs and outputs are names in a text; _ leaves one out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    domain = attributes.pop("domain", "")
    made: NodeProto = helper.make_node(op, names, outputs.split(), domain=domain, **attributes)
    return made


def tensor(name: str, shape: Sequence[int], dtype: int = TensorProto.FLOAT) -> TensorProto:
    """A tensor of no values, of which a count needs none."""
    return TensorProto(name=name, dims=shape, data_type=dtype)


def numbers(name: str, values: Sequence[int], shape: Sequence[int] | None = None) -> TensorProto:
    """Whole numbers, such as a shape."""
    sides = [len(values)] if shape is None else shape
    made: TensorProto = helper.make_tensor(name, TensorProto.INT64, sides, values)
    return made


def graph(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Sides | None],
    outputs: Sequence[str] = ("y",),
    held: Sequence[TensorProto] = (),
    dtype: int = TensorProto.FLOAT,
) -> GraphProto:
    """A graph; its inputs are of one type."""
    info = helper.make_tensor_value_info
    made: GraphProto = helper.make_graph(
        nodes,
        "graph",
        [info(name, dtype, shape) for name, shape in inputs.items()],
        [info(name, TensorProto.FLOAT, None) for name in outputs],
        held,
    )
    return made


def model(made: GraphProto, opsets: Mapping[str, int] = OPSETS, **more: Any) -> ModelProto:
    """A model of a graph."""
    ids = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    whole: ModelProto = helper.make_model(made, opset_imports=ids, **more)
    return whole


def written(folder: Path, made: ModelProto | GraphProto | bytes) -> Path:
    """The file of a model."""
    path = folder / "model.onnx"
    if isinstance(made, GraphProto):
        made = model(made)
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


def counted(folder: Path, made: ModelProto | GraphProto, **asked: Any) -> CostReport:
    """The count of a model."""
    return count(written(folder, made), **asked)


def one_layer(
    folder: Path,
    layer: NodeProto,
    source: Sides,
    *held: TensorProto,
    dtype: int = TensorProto.FLOAT,
    **asked: Any,
) -> CostReport:
    """The count of a node that reads x, of this shape, and tensors that the file holds."""
    return counted(
        folder, graph([layer], {"x": source}, list(layer.output[:1]), held, dtype), **asked
    )


__all__ = ["FunctionProto", "GraphProto", "NodeProto", "TensorProto", "helper"]
