"""`archbench reproduce`: a paper's table with ours beside each figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import completion
from archbench.cli.engines_named import Engine, engine_named, with_engines
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
from archbench.cli.live import live
from archbench.cli.plugins import Plugins
from archbench.cli.reading import Results, read_records
from archbench.engine_names import EAGER
from archbench.papers.suites import ALL, suite, suites
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.tables.table import Column, Table
from archbench.spec import Spec, UsageError

if TYPE_CHECKING:
    from archbench.report.data.counts import Count

LIST_NOTE = (
    "built: rows whose network builds; measured: networks with records in eager PyTorch. archbench "
    "reproduce TABLE shows our figures beside the paper's."
)


def reproduce(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE]",
            help="A paper's table, such as vovnet/table4. Without it, list the tables.",
            autocompletion=completion.suites,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Only devices whose name contains this.")
    ] = "",
    engine: Engine = None,
    count: Annotated[
        bool, typer.Option("--count", help="Count networks that no record has counted.")
    ] = False,
    flagged: Annotated[
        bool,
        typer.Option(
            "--flagged", help="Rank flawed figures too (ci_not_met, throttled, contended)."
        ),
    ] = False,
    results: Results = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
    plugin: Plugins = None,
) -> None:
    """Show a paper's table in its own rows, columns and units, with our figures and the ratio below
    each row.

    Counts come from the records, or are made now (--count). Measured figures come from one device,
    in eager PyTorch unless --engine names another engine.

    Example: archbench reproduce vovnet/table4 --count
    """
    from archbench.report.data.configurations import engine_of
    from archbench.report.data.evidence import Evidence

    form = the_format(csv=as_csv, json=as_json, markdown=as_markdown, latex=as_latex)
    if table is None:
        asked = {"--device": device, "--engine": engine, "--count": count, "--flagged": flagged}
        refuse([flag for flag, value in asked.items() if value], "no table is named")
    evidence = Evidence(read_records(results), engine_named(engine))
    if table is None:
        _print_list([each for each in evidence.records if engine_of(each) == EAGER], form)
        return
    from archbench.report.data.reproduction import reproduce_suite
    from archbench.report.tables import reproduce as report

    chosen = suite(table)
    if not any(member.figures for member in chosen.members):
        raise UsageError(
            f"{chosen.name} has no published figures to compare with; archbench reproduce lists "
            "the tables that have"
        )
    with counting(wanted=count) as count_now:
        reproduction = reproduce_suite(
            chosen, evidence, device=device, with_flawed=flagged, count=count_now
        )
    if form in ("csv", "json"):
        print_rows(report.rows(reproduction), report.COLUMNS, form)
    else:
        tables = report.tables(reproduction, width=table_width(form))
        print_tables(with_engines(tables, evidence), form)


@contextmanager
def counting(*, wanted: bool) -> Iterator[Count | None]:
    """Count networks here and now, told of on a terminal; torch is loaded with the first that is
    not known.
    """
    if not wanted:
        yield None
        return

    from archbench.known import find_cost

    def count(spec: Spec) -> Mapping[str, Any]:
        progress.now(f"counting {spec}")
        return find_cost(spec).totals()

    with live() as progress:
        yield count


def _print_list(records: Sequence[Record], form: str) -> None:
    """Print the tables that have published figures, and how much of each there is."""
    recorded = {record.spec for record in records if record.status == Status.OK and record.settings}
    listed = []
    for table in suites():
        if table.name != ALL and any(member.figures for member in table.members):
            listed.append(
                {
                    "name": table.name,
                    "title": table.title,
                    "rows": len(table.members),
                    "built": len(table.members) - len(table.missing),
                    "networks": len(table.specs),
                    "measured": sum(spec in recorded for spec in table.specs),
                }
            )
    if form in ("csv", "json"):
        print_rows(listed, list(listed[0]), form)
        return
    columns = [Column("table", "left"), Column("", "left"), Column("built"), Column("measured")]
    lines = [
        [
            str(row["name"]),
            str(row["title"]),
            f"{row['built']}/{row['rows']}",
            f"{row['measured']}/{row['networks']}",
        ]
        for row in listed
    ]
    print_tables([Table(columns, lines, notes=[LIST_NOTE])], form)
