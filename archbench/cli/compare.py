"""`archbench compare`: the records of results folders side by side, the papers' figures with
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from archbench.cli import completion
from archbench.cli.across import show_across
from archbench.cli.exit import Exit
from archbench.cli.formats import (
    AsCsv,
    AsJson,
    AsLatex,
    AsMarkdown,
    print_rows,
    print_tables,
    table_width,
    the_format,
)
from archbench.cli.groups import refuse
from archbench.cli.messages import say
from archbench.cli.reading import RECORDS, Results, read_records
from archbench.papers.accuracies import DATASET, dataset_named
from archbench.records import DEFAULT_FOLDER, Record, Store
from archbench.spec import UsageError, origin_of
from archbench.zoo import catalogue

if TYPE_CHECKING:
    from archbench.report.data.baseline import Baseline
    from archbench.report.tables.compare import Layout

TABLE = "Table"
"""The heading of how records are shown, below that of which are read."""


def compare(
    results: Results = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only records of this backbone. Repeatable.",
            autocompletion=completion.backbones,
            rich_help_panel=RECORDS,
        ),
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="NAME",
            help="Only records of this detector. Repeatable.",
            autocompletion=completion.detectors,
            rich_help_panel=RECORDS,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only devices whose name contains this.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITIONS",
            help="Only records that meet these conditions: COLUMN OP VALUE, with OP one of <, <=, "
            ">, >=, = and !=, joined by and. Repeatable.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="Only the first N rows of a table.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Only the Pareto front: networks that no other beats in all of these columns.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Data set of the published accuracies.",
            rich_help_panel=TABLE,
        ),
    ] = DATASET,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort by a column; -COLUMN sorts in descending order. Tables sort by total time "
            "by default.",
            autocompletion=completion.columns,
            rich_help_panel=TABLE,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="One table per value of a column.",
            autocompletion=completion.columns,
            rich_help_panel=TABLE,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="Columns to show (archbench list columns).",
            autocompletion=completion.columns,
            rich_help_panel=TABLE,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Show ratios to a network, a record (its id, or a prefix of it), or the newest "
            "record (last).",
            rich_help_panel=TABLE,
        ),
    ] = None,
    across: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING",
            help="Instead, one row per network and one column per value of a setting (engine or "
            "engine,precision), with the best marked.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="With --baseline, compare records that are not comparable, and mark them.",
            rich_help_panel=TABLE,
        ),
    ] = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
) -> int:
    """Show what was counted and measured, one table per device, with the papers' figures below
    ours.

    Tables merge the repeats of a configuration into one line; --csv and --json keep one row each.

    Example: archbench compare --baseline resnet50-v1+refinedet320 --columns
    latency_ms,mem_host_peak_bytes
    """
    form = the_format(csv=as_csv, json=as_json, markdown=as_markdown, latex=as_latex)
    if across:
        given = {"--sort": sort, "--group": group, "--baseline": baseline, "--top": top}
        refuse([flag for flag, value in given.items() if value], "--across orders its own table")
    if group and form in ("csv", "json"):
        refuse(["--group"], f"--{form} prints rows, not tables", instead=f"--{form}")
    from archbench.report.data import conditions, narrowing, selection
    from archbench.report.tables.compare import Layout, tabled, tables

    chosen = selection.columns(columns)
    layout = Layout(
        table_width(form),
        sort,
        selection.column(group) if group else None,
        chosen,
        dataset_named(dataset),
    )
    asked = [condition for text in where or () for condition in conditions.conditions(text)]
    axes = narrowing.axes(pareto) if pareto is not None else []
    every = read_records(results)
    backbones = [_backbone(name) for name in backbone or ()]
    detectors = [(entry.name, side) for entry, side in map(catalogue.find_detector, detector or ())]
    records = selection.select(every, selection.Filters(backbones, detectors, device))
    records = conditions.meeting(records, asked, layout.dataset)
    if axes:
        records = narrowing.on_frontier(records, axes, layout.dataset)
    if top:
        records = narrowing.first(records, top, partial(tabled, layout=layout))
    if every and not records:
        say(f"no record matches the filters (records read: {len(every)})")
    against = _baseline(every, baseline, force=force)
    if across:
        show_across(records, across, chosen, form)
    elif form in ("csv", "json"):
        _print_rows(records, layout, form, against)
    elif against:
        from archbench.report.tables.baseline import ratio_tables

        print_tables(ratio_tables(records, against, layout), form)
    else:
        print_tables(tables(records, layout), form)
    # A folder without any file of records is likely another one than was meant.
    is_any = any(Store(folder).files() for folder in results or [DEFAULT_FOLDER])
    return Exit.DONE if is_any else Exit.USAGE


def _backbone(name: str) -> str:
    """A backbone's canonical name; the code of a user's own is not read, and may be gone."""
    if origin_of(name):
        return catalogue.verbatim(name, ".")
    return catalogue.find("backbone", name).name


def _baseline(records: Sequence[Record], name: str | None, *, force: bool) -> Baseline | None:
    if name is None:
        if force:
            raise UsageError("--force needs --baseline")
        return None
    from archbench.report.data.baseline import find_baseline

    return find_baseline(records, name, is_forced=force)


def _print_rows(
    records: Sequence[Record], layout: Layout, form: str, baseline: Baseline | None
) -> None:
    """Print a row a record: every column, or those chosen; with a baseline ratios too."""
    from archbench.report.data.rows import COLUMNS, rows, rows_with_published
    from archbench.report.data.selection import ordered

    as_rows = rows_with_published if form == "json" else rows
    data = as_rows(records, layout.dataset)
    names = list(layout.columns or COLUMNS)
    if baseline:
        from archbench.report.data.baseline import against, ratio_columns

        data = [
            row | against(record, baseline, layout.columns)
            for record, row in zip(records, data, strict=True)
        ]
        names += ratio_columns(layout.columns)
    data = ordered(data, layout.sort, dict)
    if layout.columns:
        data = [{name: row[name] for name in names} for row in data]
    print_rows(data, names, form)
