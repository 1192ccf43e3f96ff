"""Exported graphs in files, PATH.onnx: counted from the file alone and run by engines; torch makes
nothing of them. Torch-free.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from archbench.graph_axes import Side as Axis
from archbench.graph_axes import batch_axis, image_axes
from archbench.spec import UsageError
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.catalogue.images import Images, Side
from archbench.zoo.sources.protobuf import read_inputs

ONE = Side(1, 1, 1)


def read_entry(name: str) -> Entry:
    """Find the file that a name stands for; raises UsageError where it is no graph that reads
    images.
    """
    path = Path(name.strip())
    images = _images(path)
    return Entry(
        os.path.relpath(path),
        "backbone",
        "graph",
        builder=str(path.resolve()),
        source="an exported graph of your own",
        input=images.size,
        images=images,
    )


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    return os.path.relpath(Path(folder, name))


def make(entry: Entry, arguments: dict[str, Any]) -> NoReturn:
    """Say that torch makes nothing of a graph; raises UsageError."""
    raise UsageError(
        "a graph is no module of torch: archbench count counts it, archbench profile measures it "
        "in an engine"
    )


def importable(entry: Entry) -> AbstractContextManager[None]:
    """A graph imports nothing."""
    return nullcontext()


def facts(entry: Entry) -> dict[str, Any]:
    """What an environment says of a graph: its file."""
    return {"graph_file": entry.builder}


def _images(path: Path) -> Images:
    """The images that a graph reads, which is the first of its inputs to be one."""
    for sides in read_inputs(path):
        axes = image_axes(sides)
        if axes:
            width, height = (_side(sides[axis]) for axis in axes)
            batch = _side(sides[batch_axis(sides)], otherwise=1) if len(sides) == 4 else ONE
            return Images(batch, height, width)
    raise UsageError(f"{path} reads no images: archbench count counts it by itself")


def _side(axis: Axis, otherwise: int = 0) -> Side:
    """A side as it may be chosen; a dynamic one has no value of its own."""
    return Side(otherwise, 1, None) if isinstance(axis, str) else Side(axis, axis, axis)
