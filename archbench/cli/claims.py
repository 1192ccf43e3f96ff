"""`archbench claims`: which of the papers' claims hold here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from archbench.cli import completion
from archbench.cli.engines_named import Engine, engine_named, with_engines
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
from archbench.cli.live import Live, Teller, live
from archbench.cli.measuring import open_store
from archbench.cli.messages import say
from archbench.cli.plugins import Plugins
from archbench.cli.reading import Results, read_records
from archbench.cli.reproduce import counting
from archbench.cli.sweep import REPEATS
from archbench.engines import check as check_engine
from archbench.reasons import Status
from archbench.records import DEFAULT_FOLDER, Store
from archbench.report.tables.words import counted
from archbench.settings import DEFAULT, QUICK, Settings
from archbench.spec import Spec, UsageError

if TYPE_CHECKING:
    from archbench.measure.sweep.plans import Task
    from archbench.papers.claims import Claim
    from archbench.report.data.claims import Estimates
    from archbench.report.data.evidence import Evidence

DEVICES = {"cpu": "cpu", "gpu": "cuda"}
"""What a claim's kind of device is in settings."""


def claims(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAPER]",
            help="Only the claims of a paper (vovnet) or a table (vovnet/table4).",
            autocompletion=completion.suites,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Only devices whose name contains this.")
    ] = "",
    engine: Engine = None,
    no_count: Annotated[
        bool, typer.Option("--no-count", help="Do not count networks that no record has counted.")
    ] = False,
    run: Annotated[
        bool,
        typer.Option("--run", help="First measure what the claims still need, on this machine."),
    ] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="With --run, end each job within 30 s of its first call."),
    ] = False,
    explains: Annotated[
        bool,
        typer.Option(
            "--explains", help="Instead, show which count best explains measured time and energy."
        ),
    ] = False,
    flagged: Annotated[
        bool,
        typer.Option(
            "--flagged", help="Include flawed figures (ci_not_met, throttled, contended)."
        ),
    ] = False,
    results: Results = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
    plugin: Plugins = None,
) -> int:
    """Test each of the papers' claims on cost against our own figures, and show how close these are
    to the paper's.

    Claims on counts need no records: missing counts are made now. The others need records of a GPU
    or a CPU.

    --explains ranks networks by each count and by each measured figure, and says how well the two
    orders agree.

    Example: archbench claims vovnet/table4
    """
    from archbench.report.data.evidence import Evidence

    form = the_format(csv=as_csv, json=as_json, markdown=as_markdown, latex=as_latex)
    if quick and not run:
        refuse(["--quick"], "nothing is measured without --run", instead="give --run")
    if explains:
        if source:
            raise UsageError("--explains covers all records of a device: leave out the paper")
        refuse(
            [flag for flag, is_given in (("--run", run), ("--no-count", no_count)) if is_given],
            "--explains uses existing records",
        )
        of_engine = Evidence(read_records(results), engine and engine_named(engine))
        _explain(of_engine, form, device=device, with_flawed=flagged)
        return Exit.DONE
    from archbench.papers.claims import claims_of
    from archbench.report.data.claims import Estimates, judge
    from archbench.report.tables import claims as report

    chosen, asked = claims_of(source), engine_named(engine)
    code = Exit.DONE
    if run:
        store = open_store((results or [DEFAULT_FOLDER])[0], is_document=form in ("csv", "json"))
        code = _measure(
            chosen,
            Estimates(Evidence(read_records(results, quietly=True), asked), chosen, device=device),
            store,
            replace(QUICK if quick else DEFAULT, engine=asked),
            repeats=1 if quick else REPEATS,
        )
    with counting(wanted=not no_count) as count:
        evidence = Evidence(read_records(results), asked)
        estimates = Estimates(evidence, chosen, device=device, with_flawed=flagged, count=count)
        verdicts = [judge(claim, estimates) for claim in chosen]
    if form in ("csv", "json"):
        print_rows(report.rows(verdicts), report.COLUMNS, form)
    else:
        tables = report.tables(verdicts, width=table_width(form))
        print_tables(with_engines(tables, evidence), form)
    return code


def _measure(
    chosen: Sequence[Claim],
    estimates: Estimates,
    store: Store,
    protocol: Settings,
    *,
    repeats: int,
) -> Exit:
    """Measure the networks that claims lack, as a sweep does, on the kinds of device that this
    machine has.
    """
    from archbench.measure.job.signals import interruptions
    from archbench.measure.job.supervisor import measure
    from archbench.measure.sweep.places import places
    from archbench.measure.sweep.plans import Order, new_run_id, plan
    from archbench.measure.sweep.queues import run

    order = Order(repeats, 0, new_run_id())
    code = Exit.DONE
    with live() as progress, interruptions() as heard:
        for kind, device in DEVICES.items():
            specs = list(
                dict.fromkeys(
                    spec
                    for claim in chosen
                    if claim.device == kind
                    for spec in estimates.unmeasured(claim)
                )
            )
            if not specs or heard:
                continue
            settings = replace(protocol, device=device)
            try:
                runners = dict.fromkeys(places(settings), measure)
            except UsageError as error:
                progress.warn(f"{error}: {counted(len(specs), 'network')} left out")
                continue
            queues = plan(_tasks(specs, settings, progress), runners, order, ())
            teller = Teller(progress, queues, store.read(), heard)
            with closing(run(queues, store.append, heard)) as events:
                for event in events:
                    teller.tell(event)
                    code = (
                        Exit.PARTLY_DONE
                        if event.record and event.record.status != Status.OK
                        else code
                    )
    return Exit.INTERRUPTED if heard else code


def _tasks(specs: Sequence[Spec], settings: Settings, progress: Live) -> list[Task]:
    """The networks that the engine of the settings can run; say why it cannot run the others."""
    tasks: list[Task] = []
    refused: Counter[str] = Counter()
    for spec in specs:
        try:
            check_engine(spec, settings)
            tasks.append((spec, settings))
        except UsageError as error:
            refused[str(error)] += 1
    for why, count in refused.items():
        progress.warn(f"{why}: {counted(count, 'network')} left out")
    return tasks


def _explain(evidence: Evidence, form: str, *, device: str, with_flawed: bool) -> None:
    from archbench.report.data.explains import LEAST_NETWORKS, explanations
    from archbench.report.tables import explains as report

    explained = explanations(evidence.configurations, device=device, with_flawed=with_flawed)
    if not explained:
        unflawed = "" if with_flawed else " without flaws (--flagged includes flawed figures)"
        say(
            f"too few records: --explains needs {LEAST_NETWORKS} networks measured on one device"
            f"{unflawed}"
        )
    if form in ("csv", "json"):
        print_rows(report.rows(explained), report.COLUMNS, form)
    else:
        print_tables(report.tables(explained), form)
