"""Exported graphs of a user's own as engines run them: one file, every axis of its input set."""

from __future__ import annotations

import hashlib
from pathlib import Path

from archbench.engines.kept import file_hash
from archbench.spec import UsageError

HASH_DIGITS = 16


def fix(path: Path, made: Path, *, size: tuple[int, int], batch: int) -> int:
    """Copy a graph to `made` with the axes of its input set to a size (width, height) and a batch;
    gives how many outputs it has. Weights beyond 2 GB lie in a file beside it.

    Raises UsageError for a graph that reads something else than images [B, 3, H, W] in fp32.
    """
    import onnx

    from archbench.counting.onnx.passes import Counting
    from archbench.engines.onnx.exporting import LARGEST_FILE

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
    large = sum(file.stat().st_size for file in files_of(path)) > LARGEST_FILE
    onnx.save(model, str(made), save_as_external_data=large, location=f"{made.name}.data")
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
    from archbench.counting.onnx.reading import read

    # A graph may name anything; engines take regular files below its folder alone.
    folder = path.parent.resolve()
    beside = {path.parent / name for name in read(path).beside}
    return [path, *sorted(file for file in beside if _is_file_below(folder, file))]


def _is_file_below(folder: Path, file: Path) -> bool:
    try:
        return file.is_file() and file.resolve().is_relative_to(folder)
    except OSError:
        # A name that no file can have.
        return False
