"""`archbench choose`: which network to take within a budget, by what was measured here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from archbench.cli.groups import grouped
from archbench.cli.messages import say
from archbench.cli.reading import RecordFlags, read_records
from archbench.engine_names import EAGER, canonical, check_engine
from archbench.settings import PRECISIONS
from archbench.spec import UsageError
from archbench.zoo import catalogue

if TYPE_CHECKING:
    from archbench.report.data.choice import Asked, Choice

PRECISION = "fp32"
ANY = "any"


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Which networks may be chosen, and which is the best."""

    most: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="COLUMN=VALUE",
            help="Upper limit: latency=50ms, energy=1J, mem_host_peak_bytes=500MB. Repeatable.",
        ),
    ] = None
    least: Annotated[
        list[str] | None,
        typer.Option(
            "--min", metavar="COLUMN=VALUE", help="Lower limit: ap=30, fps_total=10. Repeatable."
        ),
    ] = None
    best: Annotated[
        str, typer.Option("--best", metavar="COLUMN", help="Column to optimise within the limits.")
    ] = "ap"
    accuracy: Annotated[
        Path | None,
        typer.Option(
            "--accuracy",
            metavar="FILE.csv",
            help="Your own accuracies: columns network, dataset and value.",
        ),
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", metavar="NAME", help="Data set of the accuracies. Default: coco-test-dev."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Measured(RecordFlags):
    """Which records are chosen from."""

    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="Only records of this engine, or any.")
    ] = EAGER
    precision: Annotated[
        str,
        typer.Option("--precision", metavar="NAME", help="Only records in this precision, or any."),
    ] = PRECISION


@dataclass(frozen=True, kw_only=True)
class Printed:
    """How the choice is printed."""

    as_csv: AsCsv = False
    as_json: AsJson = False
    as_markdown: AsMarkdown = False
    as_latex: AsLatex = False

    @property
    def form(self) -> str:
        """The one format that was asked for."""
        return the_format(
            csv=self.as_csv, json=self.as_json, markdown=self.as_markdown, latex=self.as_latex
        )


@grouped
def choose(criteria: Criteria, records: Measured, output: Printed) -> int:
    """Choose a network within a budget, from measurements on one device at batch 1.

    latency is the total time of forward pass and postprocessing (total_ms); forward, that of the
    network alone; energy, joules per image; ap, the accuracy. Any other column works too (archbench
    list columns).

    Example: archbench choose --max latency=50ms --max mem_host_peak_bytes=500MB --best ap
    """
    form = output.form
    asked = _asked(criteria, records)
    from archbench.report.data.accuracies import accuracies
    from archbench.report.data.choice import choose as choose_from
    from archbench.report.data.contenders import contenders
    from archbench.report.tables import choice_rows
    from archbench.report.tables.choose import tables
    from archbench.report.tables.contenders import contender_commands

    known = accuracies(criteria.accuracy, criteria.dataset)
    read = read_records(records.results)
    if not read:
        return Exit.USAGE
    choice = choose_from(read, asked, known)
    if choice is None or not choice.candidates:
        say(_nothing(choice, asked, len(read)))
        return Exit.USAGE
    found = contenders(choice, catalogue.families)
    if form == "json":
        print(json.dumps(choice_rows.document(choice, found), indent=2, allow_nan=False))
    elif form == "csv":
        print_rows(choice_rows.rows(choice), choice_rows.columns(choice), form)
    else:
        print_tables(tables(choice, found, width=table_width(form)), form)
        commands = contender_commands(found) if form != "latex" else []
        for command in ["", *commands] if commands else []:
            print(command)
    return Exit.DONE if choice.chosen else Exit.FAILED


def _asked(criteria: Criteria, measured: Measured) -> Asked:
    from archbench.report.data.choice import Asked
    from archbench.report.data.conditions import bound
    from archbench.report.data.narrowing import figure_column

    bounds = [bound(text, "<=", "--max") for text in criteria.most or ()]
    bounds += [bound(text, ">=", "--min") for text in criteria.least or ()]
    for each in bounds:
        figure_column(each.column, "--max" if each.operator == "<=" else "--min")
    if measured.precision not in (*PRECISIONS, ANY):
        listed = ", ".join((*PRECISIONS, ANY))
        raise UsageError(f"invalid precision {measured.precision!r} (choose from {listed})")
    if measured.engine != ANY:
        check_engine("engine", measured.engine)
    return Asked(
        bounds,
        figure_column(criteria.best, "--best"),
        measured.device,
        measured.engine if measured.engine == ANY else canonical(measured.engine),
        measured.precision,
    )


def _nothing(choice: Choice | None, asked: Asked, count: int) -> str:
    """Say in a line why there is nothing to choose from, and what would help."""
    if choice is None:
        on = f" on a device called {asked.device!r}" if asked.device else ""
        return (
            f"none of the {count} records is at batch 1{on} in {asked.engine} {asked.precision}; "
            "archbench sweep pairs --quick measures the papers' pairs"
        )
    lacking = [
        column
        for column in asked.columns
        if not any(each.estimate(column) for each in choice.measured) and column != "accuracy"
    ]
    told = [f"{column}: {choice.measured[-1].reason(column).text}" for column in lacking]
    if "accuracy" in asked.columns:
        told.append(f"accuracy: on {choice.accuracies.dataset}, in {PRECISION} only")
    reasons = "; ".join(told)
    remedy = "" if lacking else "; --accuracy FILE.csv gives accuracies of yours"
    return (
        f"none of {len(choice.measured)} networks measured on {choice.setup} has "
        f"{' and '.join(asked.columns)}{f' ({reasons})' if reasons else ''}{remedy}"
    )
