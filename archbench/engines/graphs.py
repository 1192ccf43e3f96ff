"""Exported graphs of a user's own as engines run them: one file, every axis of its input set."""

from __future__ import annotations

from pathlib import Path

from archbench.spec import UsageError


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
        raise UsageError(f"{path} reads {len(types)} inputs ({named}): engines are given images")
    ((name, type_),) = types.items()
    sides = [dim.dim_value for dim in type_.tensor_type.shape.dim]
    wanted = [batch, 3, size[1], size[0]]
    if type_.tensor_type.elem_type != onnx.TensorProto.FLOAT or sides != wanted:
        kind = onnx.TensorProto.DataType.Name(type_.tensor_type.elem_type).lower()
        raise UsageError(
            f"{path} reads {name!r}, {kind} {sides}: engines are given images [B, 3, H, W] in fp32"
        )
    for each in model.graph.input:
        if each.name == name:
            each.type.CopyFrom(type_)
    onnx.save(model, str(made))
    return len(model.graph.output)
