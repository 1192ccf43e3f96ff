"""`archbench gate`: limits that networks must keep, for CI."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli.exit import Exit
from archbench.cli.formats import (
    AsCsv,
    AsJson,
    AsMarkdown,
    print_rows,
    print_tables,
    table_width,
    the_format,
)
from archbench.cli.groups import grouped, refuse
from archbench.cli.measuring import MOST_REPEATS, open_store
from archbench.cli.messages import say, tell
from archbench.cli.plugins import Plugins
from archbench.cli.profile import check_measured, measure_or_note
from archbench.cli.reading import RecordFlags, read_records
from archbench.reasons import Status
from archbench.records import DEFAULT_FOLDER, Record
from archbench.settings import DEFAULT, QUICK
from archbench.spec import FILE, Spec, UsageError
from archbench.zoo import catalogue

if TYPE_CHECKING:
    from archbench.report.data.gate import Finding, Gate, Guarded

IN_GITHUB = "GITHUB_ACTIONS"
"""The environment variable that GitHub sets for the steps of a workflow."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Which limits, and what lets them pass."""

    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="TOML file of networks and their limits.")
    ]
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Pass figures that are missing, flagged or not comparable.",
        ),
    ] = False
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Allow the file to run the code of networks it names."),
    ] = False
    plugin: Plugins = None


@dataclass(frozen=True, kw_only=True)
class Figures(RecordFlags):
    """Where measured figures are from."""

    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure networks with limits on time, memory or energy now, on this machine.",
        ),
    ] = False
    quick: Annotated[
        bool,
        typer.Option("--quick", help="With --measure, end each job within 30 s of its first call."),
    ] = False
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            metavar="N",
            min=1,
            max=MOST_REPEATS,
            help="With --measure, fresh processes per network.",
        ),
    ] = 1


@dataclass(frozen=True, kw_only=True)
class Told:
    """How it is told."""

    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE.xml", help="Also write a JUnit XML report."),
    ] = None
    annotations: Annotated[
        bool,
        typer.Option(
            "--annotations",
            help="Print GitHub annotations on stderr; automatic in GitHub workflows.",
        ),
    ] = False
    as_csv: AsCsv = False
    as_json: AsJson = False
    as_markdown: AsMarkdown = False


@grouped
def gate(limits: Limits, figures: Figures, output: Told) -> int:
    """Fail if a network costs more than a file allows: a gate for CI.

    Counts are made now; time, memory and energy come from records, or are measured (--measure).

    Example: archbench gate limits.toml --junit gate.xml
    """
    form = the_format(csv=output.as_csv, json=output.as_json, markdown=output.as_markdown)
    if not figures.measure:
        told = (("--quick", figures.quick), ("--repeats", figures.repeats > 1))
        refuse(
            [flag for flag, is_given in told if is_given], "nothing is measured without --measure"
        )
    elif figures.device:
        refuse(["--device"], "--measure measures on this machine, whatever its devices are called")
    from archbench.counting.onnx import spec_of
    from archbench.report.data.gate import Evidence, judge, read_gate
    from archbench.report.tables import gate as report

    asked = read_gate(limits.file, spec_of)
    _check_code(asked.networks, is_allowed=limits.allow_code)
    records = _records(asked, figures)
    before = read_records([asked.baseline], quietly=True) if asked.baseline else []
    findings = judge(asked, Evidence(cache(_count), records, before, figures.device))
    # First, since whoever reads the table may stop.
    ended = _tell(findings, asked.file, limits, output)
    if form == "json":
        print(json.dumps(report.rows(findings), indent=2, allow_nan=False))
    elif form == "csv":
        print_rows(report.rows(findings), report.COLUMNS, form)
    else:
        drawn = report.tables(findings, width=table_width(form))
        print_tables(drawn, form)
        if not drawn:
            print(report.summary(findings))
    return ended


def _tell(findings: Sequence[Finding], file: Path, limits: Limits, output: Told) -> Exit:
    """Write what CI systems read, and say how it ended."""
    from archbench.report.tables.gate import github_annotations, passes

    allow_missing = limits.allow_missing
    if output.junit:
        from archbench.report.tables.junit import write_junit

        write_junit(findings, output.junit, allow_missing=allow_missing)
    if output.annotations or os.environ.get(IN_GITHUB) == "true":
        for line in github_annotations(findings, file, allow_missing=allow_missing):
            print(line, file=sys.stderr)
    is_passed = all(passes(finding, allow_missing=allow_missing) for finding in findings)
    return Exit.DONE if is_passed else Exit.FAILED


def _check_code(networks: Sequence[Guarded], *, is_allowed: bool) -> None:
    """Raise UsageError where a network's own code would run and is not allowed to."""
    if is_allowed:
        catalogue.allow_code()
        return
    own = {network.spec.backbone: None for network in networks if network.spec.origin == FILE}
    if own:
        raise UsageError(
            f"the code of {', '.join(own)} would run: give --allow-code if you trust it"
        )


def _count(spec: Spec) -> Mapping[str, Any]:
    from archbench.measure.job.counting import count

    return count(spec).report.totals()


def _records(asked: Gate, figures: Figures) -> list[Record]:
    """The records that figures are taken from: of results folders, or made now."""
    wanted = [network for network in asked.networks if network.is_measured]
    if not wanted:
        return []
    if not figures.measure:
        return read_records(figures.results, quietly=True)
    protocol = QUICK if figures.quick else DEFAULT
    jobs = [
        (each.spec, replace(protocol, engine=each.engine, precision=each.precision))
        for each in wanted
    ]
    for spec, settings in jobs:
        check_measured(spec, settings)
    store = open_store((figures.results or [DEFAULT_FOLDER])[0], is_document=True)
    made: list[Record] = []
    for number, (spec, settings) in enumerate(jobs, start=1):
        tell(f"{number} of {len(jobs)}: {spec}")
        made += measure_or_note(spec, settings, store, repeats=figures.repeats)
        if made[-1].status == Status.INTERRUPTED:
            raise KeyboardInterrupt
    for record in made:
        if record.reason:
            say(f"{record.spec}: {record.status} ({record.reason.code}): {record.reason.message}")
    return made
