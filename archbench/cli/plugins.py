"""The option by which a command learns of networks that are not archbench's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archbench.zoo import catalogue


def _use(files: list[Path] | None) -> list[Path] | None:
    for file in files or ():
        catalogue.use_plugin(file)
    return files


Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        callback=_use,
        is_eager=True,
        help="Python file that adds networks. Repeatable.",
    ),
]
"""Files to add before anything else is read; their names are known from then on."""
