"""Count a network from its ONNX graph alone: neither torch nor the weights' values are needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.spec import Spec, UsageError, parse_size

if TYPE_CHECKING:
    from archbench.counting.onnx.passes import Counting
    from archbench.counting.report import CostReport

__all__ = ["count", "input_of", "spec_of"]

Size = str | int | tuple[int, int] | None

INSTALL = "pip install 'archbench[onnx]'"


def count(
    path: str | Path,
    *,
    size: Size = None,
    batch: int | None = None,
) -> CostReport:
    """Count what a model costs, for one image; `batch` enters figures of bytes alone.

    Dynamic axes are set to `size`, the image as a side in pixels, (width, height) or their text,
    and to `batch`, 1 where none is given. Products with a constant operand are linear layers, and
    others count in `macs_all` alone. Bytes are of fp32, whatever type the file keeps numbers in.

    Raises UsageError, in one line, for a file that is no model, an axis that no size is known for,
    a size that the model does not take, and where onnx is missing.
    """
    return _counting(path, size, batch).report()


def input_of(
    path: str | Path, *, size: Size = None, batch: int | None = None
) -> tuple[tuple[int, int], int]:
    """Say what input a model is counted on: the sides of its image (width, height), or the last two
    axes of what else it reads, and the batch.

    Raises UsageError as `count` does.
    """
    axes = _counting(path, size, batch).axes
    return axes.input_size or (1, 1), axes.images or 1


def spec_of(path: str, *, size: Size = None, batch: int | None = None) -> Spec:
    """Give the spec of a model, named by its path from the working folder.

    Raises UsageError as `count` does.
    """
    (width, height), images = input_of(path, size=size, batch=batch)
    return Spec(os.path.relpath(path), None, width, height, classes=None, batch=images)


def _counting(path: str | Path, size: Size, batch: int | None) -> Counting:
    require_onnx(path)
    from archbench.counting.onnx.passes import Counting

    return Counting(Path(path), parse_size(size), batch)


def require_onnx(path: str | Path) -> None:
    """Raise UsageError where the library that reads models is missing or does not load."""
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise UsageError(
                f"reading {path} needs onnx, which cannot be imported: {error}"
            ) from None
        raise UsageError(f"reading {path} needs onnx, which is not installed: {INSTALL}") from None
    except Exception as error:
        raise UsageError(f"reading {path} needs onnx, which cannot be imported: {error}") from None
