"""`archbench report`: the records as one HTML page to send to somebody."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archbench import __version__
from archbench.cli.live import live
from archbench.cli.plugins import Plugins
from archbench.cli.reading import Results, instead_of, read_records
from archbench.escaping import visible
from archbench.records import DEFAULT_FOLDER, Record
from archbench.spec import UsageError

if TYPE_CHECKING:
    from archbench.report.page.page import Picture

DEFAULT_OUT = Path("report.html")
APPENDIX = Path("appendix")
WRITTEN = (".html", ".md", ".tex")
"""Endings that a file's name may have."""
ELSEWHERE = {
    "layers": "drawn from counted layers, not records: archbench plot layers",
    "layer-io": "drawn from counted layers, not records: archbench plot layer-io",
    "trade-off": "the page plots any two columns itself",
}
"""Figures that no page has."""


def report(
    results: Results = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="File to write the page to.")
    ] = DEFAULT_OUT,
    no_figures: Annotated[
        bool,
        typer.Option(
            "--no-figures", help="Leave out the papers' figures, which take seconds to draw."
        ),
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Show every record in its own row, repeats included."),
    ] = False,
    as_appendix: Annotated[
        bool,
        typer.Option(
            "--appendix",
            help="Write the artifact appendix instead, as appendix.md and appendix.tex: hardware, "
            "versions, protocol, tolerances, results, commands.",
        ),
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Write one HTML page of all records: a summary, a table, a plot of any two columns, and the
    papers' tables, claims and figures.

    It opens with the devices, the networks on the Pareto front, and the verdicts on the claims. A
    configuration (a network, its device and settings) is one row: the median of its repeats.

    The page is a single file and loads nothing. Its URL keeps the filters, so that a view can be
    shared as a link.

    Example: archbench report --results results --out report.html
    """
    if out.is_dir():
        raise UsageError(f"{out} cannot be written: it is a folder")
    records = read_records(results, quietly=True)
    if not records:
        asked = results or [DEFAULT_FOLDER]
        folders, instead = ", ".join(map(str, asked)), instead_of(asked[0])
        raise UsageError(f"no records in {folders} to report on{instead}")
    time = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"
    if as_appendix:
        if every or no_figures:
            raise UsageError(
                "--appendix has neither rows nor figures: leave out --all, --no-figures"
            )
        _write_appendix(records, time, out)
        return
    from archbench.report.page.page import Contents, page

    pictures, missing = ([], {}) if no_figures else _figures(records)
    contents = Contents(records, pictures, missing, time, __version__, is_whole=every)
    _write(page(contents), out)
    print(visible(str(out)))


def _write_appendix(records: Sequence[Record], time: str, out: Path) -> None:
    """Write the appendix in both forms beside each other, and name the files."""
    from archbench.report.page.appendix import latex, markdown, sections

    content = sections(records, time, __version__)
    base = APPENDIX if out == DEFAULT_OUT else out
    stem = base.stem if base.suffix in WRITTEN else base.name
    for ending, text in ((".md", markdown(content)), (".tex", latex(content))):
        file = base.with_name(stem + ending)
        _write(text, file)
        print(visible(str(file)))


def _write(text: str, out: Path) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from None


def _figures(records: Sequence[Record]) -> tuple[list[Picture], dict[str, str]]:
    """The figures that can be drawn of the records, and why the others cannot."""
    from archbench.report.figures import registry
    from archbench.report.figures.contract import Missing
    from archbench.report.figures.inline import inline_svg
    from archbench.report.figures.material import Material
    from archbench.report.page.page import Picture

    material = Material(records)
    pictures: list[Picture] = []
    missing: dict[str, str] = {}
    with live() as progress:
        for figure in registry.FIGURES:
            if figure.name in ELSEWHERE:
                missing[figure.name] = ELSEWHERE[figure.name]
                continue
            for plot in figure.make(material):
                if isinstance(plot, Missing):
                    missing[plot.name] = plot.why
                    continue
                progress.now(f"drawing {plot.name}")
                pictures.append(
                    Picture(
                        plot.name, plot.title, inline_svg(plot), [f"{plot.where}.", *plot.remarks]
                    )
                )
    return pictures, missing
