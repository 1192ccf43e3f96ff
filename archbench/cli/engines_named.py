"""What views of one engine take and say: claims and tables of papers are of eager PyTorch unless
another engine is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from archbench.cli import completion
from archbench.engine_names import EAGER, canonical, check_engine

if TYPE_CHECKING:
    from archbench.report.data.evidence import Evidence
    from archbench.report.tables.table import Table

Engine: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        autocompletion=completion.engines,
        help="Engine of the measured figures. Default: eager.",
    ),
]


def engine_named(text: str | None) -> str:
    """Give an engine's one spelling, eager where none is named; raises UsageError for a text that
    names none.
    """
    check_engine("engine", text or EAGER)
    return canonical(text or EAGER)


def with_engines(tables: Sequence[Table], evidence: Evidence) -> list[Table]:
    """Say below the tables whose measurements they are of, where other engines measured too or it
    is not the usual one.
    """
    others = evidence.other_engines
    if not others or not tables:
        return [*tables]
    note = (
        f"Measured figures are of engine {evidence.engine}; records of {', '.join(others)} are "
        "left out (--engine chooses)."
    )
    return [*tables[:-1], replace(tables[-1], notes=[*tables[-1].notes, note])]
