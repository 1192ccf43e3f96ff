"""`archbench plot`: the papers' figures, from your own records or from the papers' figures."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archbench.cli.compare import Results, read_records
from archbench.spec import UsageError

if TYPE_CHECKING:
    from archbench.report.efficiency import Chart

PLOTS = ("efficiency",)
SOURCES = ("records", "paper")
DEFAULT_OUT = Path("plots")


def plot(
    what: Annotated[str, typer.Argument(help=f"Which figure: {', '.join(PLOTS)}.")],
    source: Annotated[str, typer.Option(metavar="SOURCE", help="records: what was measured; paper: as published.")] = "records",
    results: Results = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder that the pictures are written to.")] = DEFAULT_OUT,
) -> None:
    """Draw VoVNet's Figures 3 and 4: accuracy, speed, computation efficiency and energy, as PNG and SVG.

    Example: archbench plot efficiency --source paper
    """
    _check("plot", what, PLOTS)
    _check("source", source, SOURCES)
    records = read_records(results) if source == "records" else []
    from archbench.report.efficiency import CHARTS, measured, published

    drawn = 0
    for chart in CHARTS:
        selection = published(chart) if source == "paper" else measured(chart, records)
        if not selection.points:
            print(f"efficiency-{chart.name}: not drawn, {_how_to_fill(chart)}", file=sys.stderr)
            continue
        from archbench.report.scatter import draw, save

        try:
            out.mkdir(parents=True, exist_ok=True)
            paths = save(draw(chart, selection), out, f"efficiency-{chart.name}")
        except OSError as error:
            raise UsageError(f"folder {out} cannot be written: {error.strerror}") from None
        drawn += 1
        for path in paths:
            print(path)
    if not drawn:
        raise UsageError("nothing was drawn: there is no measured point; --source paper draws the published figures")


def _check(kind: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        near = difflib.get_close_matches(word, words, n=1)
        raise UsageError(f"no {kind} is called {word!r}; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"))


def _how_to_fill(chart: Chart) -> str:
    """Why a chart has no point, and the command that would make one."""
    specs = list(chart.specs().values())
    if not specs:
        return f"none of the networks of {chart.origin} can be built yet"
    return f"no measured record of the networks of {chart.origin}; a command that makes one: {specs[0].command()}"
