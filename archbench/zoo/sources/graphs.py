"""Exported graphs in files, PATH.onnx: they are counted from the file alone, and nothing is made of
them. Torch-free.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from archbench.spec import UsageError


def read_entry(name: str) -> NoReturn:
    """Say that a graph is no part of a network; raises UsageError."""
    raise UsageError(
        f"{name} is a graph and cannot be a part of a network: archbench count counts it, "
        "archbench profile measures it in an engine"
    )


def verbatim(name: str, folder: str) -> str:
    """Give a name that stands in a file of a folder as it is written from the working folder."""
    return os.path.relpath(Path(folder, name))
