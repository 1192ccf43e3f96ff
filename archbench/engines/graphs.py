"""Exported graphs of a user's own as engines run them: one file, every axis of its input set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.engines.kept import file_hash
from archbench.spec import UsageError

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

HASH_DIGITS = 16


def fix(path: Path, made: Path, *, size: tuple[int, int], batch: int) -> int:
    """Copy a graph to `made` with the axes of its input set to a size (width, height) and a batch;
    gives how many outputs it has.

    Raises UsageError for a graph that reads something else than images [B, 3, H, W] in fp32.
    """
    import onnx

    from archbench.counting.onnx.passes import Counting

    types = Counting(path, size, batch).types
    model = onnx.load(str(path))
    if len(types) != 1:
        named = ", ".join(types)
        raise UsageError(f"{path} takes {len(types)} inputs ({named}), but engines get images only")
    ((name, type_),) = types.items()
    sides = [dim.dim_value for dim in type_.tensor_type.shape.dim]
    wanted = [batch, 3, size[1], size[0]]
    if type_.tensor_type.elem_type != onnx.TensorProto.FLOAT or sides != wanted:
        kind = onnx.TensorProto.DataType.Name(type_.tensor_type.elem_type).lower()
        raise UsageError(
            f"{path} takes {name!r}, {kind} {sides}, but engines get images [B, 3, H, W] in fp32"
        )
    for each in model.graph.input:
        if each.name == name:
            each.type.CopyFrom(type_)
    onnx.save(model, str(made))
    return len(model.graph.output)


def graph_hash(path: Path) -> str:
    """Give a hash of a graph, and of the files that its weights lie in; raises UsageError where one
    cannot be read.
    """
    try:
        hashes = map(file_hash, files_of(path))
        return hashlib.sha256("".join(hashes).encode()).hexdigest()[:HASH_DIGITS]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def files_of(path: Path) -> list[Path]:
    """List the file of a graph, and those within its folder that its weights lie in."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    beside = {
        path.parent / entry.value
        for tensor in _tensors(graph)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    # A graph may name anything; engines take regular files below its folder alone.
    folder = path.parent.resolve()
    return [
        path,
        *sorted(
            file for file in beside if file.is_file() and file.resolve().is_relative_to(folder)
        ),
    ]


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that a graph holds, and the graphs within it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
