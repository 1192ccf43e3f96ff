"""`archbench sweep`: every network of a paper's table, or of a file, counted and measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from archbench.cli import completion
from archbench.cli.exit import Exit
from archbench.cli.formats import print_tables, table_width
from archbench.cli.groups import given, grouped
from archbench.cli.live import Teller, live
from archbench.cli.measuring import MOST_REPEATS, Output, Protocol
from archbench.cli.plugins import Plugins
from archbench.cli.sweep_plan import Asked, jobs_text, show_plan, tell_unasked
from archbench.engines import OF_GRAPHS, has_precision
from archbench.engines import check as check_engine
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.setting import MAX_SEED
from archbench.settings import DEFAULT, Settings
from archbench.spec import FILE, ONNX, PROGRAM, Spec, UsageError, origin_of
from archbench.zoo import catalogue
from archbench.zoo.sources.listing import unasked

if TYPE_CHECKING:
    from archbench.measure.sweep.places import Place
    from archbench.measure.sweep.plans import Order, Queue, Runner, Task
    from archbench.papers.suites import Suite

T = TypeVar("T")
REPEATS = 3
COUNTING = ("--resume", "--dry-run")
"""Flags of jobs that are for those too that only count."""
SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")
MOST_JOBS = 100_000
"""Jobs that are planned at once at most."""


@dataclass(frozen=True, kw_only=True)
class SuiteFlags:
    """Which networks are asked for."""

    suites: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE...",
            help="Suites (archbench list suites) or your own TOML files.",
            autocompletion=completion.suites,
        ),
    ]
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Run only part I of N of the networks.")
    ] = "1/1"
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code", help="Allow a TOML file to run the code of networks it names."
        ),
    ] = False
    plugin: Plugins = None


@dataclass(frozen=True, kw_only=True)
class JobFlags:
    """How often, in which order and where the jobs are run."""

    repeats: Annotated[
        int | None,
        typer.Option(
            "--repeats",
            metavar="N",
            min=1,
            max=MOST_REPEATS,
            help="Fresh processes per network. Default: 3, quick 1.",
        ),
    ] = None
    order_seed: Annotated[
        int | None,
        typer.Option(
            "--order-seed",
            metavar="N",
            help="Seed for the order of the jobs, kept in the records. Default: 0.",
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip networks that already have a result.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its estimated duration.")
    ] = False
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Run on a Ray cluster; local starts one on this machine.",
        ),
    ] = None


@grouped
def sweep(network: SuiteFlags, jobs: JobFlags, protocol: Protocol, output: Output) -> int:
    """Count and measure every network of one or more suites, in fresh processes, and append the
    records.

    --engine and --precision are repeatable: each network is measured in each engine, in each
    precision that the engine supports.

    Example: archbench sweep vovnet/table4 --quick
    """
    with unasked() if jobs.dry_run or jobs.resume else nullcontext():
        return _sweep(network, jobs, protocol, output)


def _sweep(network: SuiteFlags, jobs: JobFlags, protocol: Protocol, output: Output) -> int:
    from archbench.measure.sweep.plans import Order, new_run_id, plan

    if network.allow_code:
        catalogue.allow_code()
    settings = protocol.settings
    protocol.check_counting([flag for flag in given(jobs) if flag not in COUNTING])
    asked = _asked(network, protocol, output, jobs)
    tell_unasked(asked.specs)
    if not jobs.dry_run:
        _check_code(asked.specs, is_allowed=network.allow_code, ray=jobs.ray)
    if protocol.no_measure:
        return _count(asked, dry_run=jobs.dry_run)
    tasks = _tasks(asked)
    repeats = jobs.repeats or (1 if protocol.quick else REPEATS)
    _check_jobs(len(tasks), repeats, jobs.order_seed or 0)
    order = Order(repeats, jobs.order_seed or 0, new_run_id())
    with _runners(settings, jobs.ray) as runners:
        queues = plan(tasks, runners, order, asked.done)
        if not jobs.dry_run:
            return _measure(queues, order, asked)
        show_plan(queues, asked)
    return Exit.DONE


def _asked(network: SuiteFlags, protocol: Protocol, output: Output, jobs: JobFlags) -> Asked:
    from archbench.measure.sweep.plans import part

    chosen = [_suite(name) for name in network.suites]
    parts = _parts(network.shard)
    store = Store(output.results) if jobs.dry_run else output.open_store()
    engines: dict[Spec, list[str]] = {}
    for suite in chosen:
        for spec in suite.specs:
            engines.setdefault(spec, []).extend(_engines(spec, suite, protocol))
    return Asked(
        part([*engines], *parts),
        {spec: _ways(_distinct(named), protocol) for spec, named in engines.items()},
        _distinct(member for suite in chosen for member in suite.members),
        store,
        store.read(),
        jobs.resume,
        output.form,
    )


def _engines(spec: Spec, suite: Suite, protocol: Protocol) -> Sequence[str]:
    """The engines that a network of a suite is measured in; a graph has no eager form, which is the
    default.
    """
    if protocol.engines or spec.origin != ONNX:
        return protocol.engines or suite.engines
    return [name for name in suite.engines if name != DEFAULT.engine] or [OF_GRAPHS]


def _ways(engines: Sequence[str], protocol: Protocol) -> list[Settings]:
    """The settings of each engine in each precision that is asked for; of several precisions each
    engine takes those that it has.
    """
    precisions = protocol.precisions or [DEFAULT.precision]
    ways = [
        protocol.settings_in(engine, precision) for engine in engines for precision in precisions
    ]
    if len(precisions) == 1:
        return ways
    having = [way for way in ways if has_precision(way)]
    for precision in precisions:
        if all(way.precision != precision for way in having):
            asked = ", ".join(engines)
            raise UsageError(
                f"invalid precision {precision!r}: no requested engine supports it ({asked})"
            )
    return having


def _tasks(asked: Asked) -> list[Task]:
    """Every network in each of its ways; raises UsageError for what cannot be measured so."""
    tasks = [(spec, way) for spec in asked.specs for way in asked.ways[spec]]
    for spec, way in tasks:
        way.check(spec)
        check_engine(spec, way)
    return tasks


def _check_code(specs: Iterable[Spec], *, is_allowed: bool, ray: str | None) -> None:
    """Raise UsageError where networks of a user's own may not be run."""
    files = _distinct(spec.backbone for spec in specs if spec.origin in (FILE, PROGRAM, ONNX))
    if files and ray:
        raise UsageError(
            f"--ray cannot send your own code or files to a cluster: {', '.join(files)}"
        )
    named = [name for name in files if origin_of(name) == FILE]
    if named and not is_allowed:
        raise UsageError(
            f"the code of {', '.join(named)} would run: give --allow-code if you trust it"
        )


def _check_jobs(tasks: int, repeats: int, order_seed: int) -> None:
    """Raise UsageError, before any is planned, for jobs that no sweep has."""
    if abs(order_seed) >= MAX_SEED:
        raise UsageError(f"invalid order seed {order_seed} (below 2**63 in magnitude)")
    if tasks * repeats > MOST_JOBS:
        raise UsageError(
            f"{tasks:,} networks in {repeats:,} processes each are {tasks * repeats:,} jobs; a "
            f"sweep has at most {MOST_JOBS:,}: lower --repeats, or run it in parts (--shard)"
        )


def _suite(name: str) -> Suite:
    from archbench.papers.suites import read_suite, suite

    return read_suite(Path(name)) if name.endswith(".toml") else suite(name)


def _parts(text: str) -> tuple[int, int]:
    match = SHARD.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"invalid shard {text!r} (I/N, part I of N, such as 1/4)")
    return int(match[1]), int(match[2])


@contextmanager
def _runners(settings: Settings, ray: str | None) -> Iterator[dict[Place, Runner]]:
    """What runs jobs at each place: here, or on a Ray cluster."""
    if ray:
        from archbench.measure.sweep.ray_runner import cluster

        with cluster(ray, settings) as runners:
            yield runners
        return
    from archbench.measure.job.supervisor import measure
    from archbench.measure.sweep.places import places

    yield dict.fromkeys(places(settings), measure)


def _measure(queues: Sequence[Queue], order: Order, asked: Asked) -> Exit:
    from archbench.measure.job.signals import interruptions
    from archbench.measure.sweep.queues import run
    from archbench.report.tables.sweep import outcomes, summary_table

    records = [record for queue in queues for record in queue.done]
    before = len(records)
    with (
        live() as progress,
        interruptions() as heard,
        closing(run(queues, asked.store.append, heard)) as events,
    ):
        teller = Teller(progress, queues, asked.earlier, heard)
        for event in events:
            teller.tell(event)
            if event.record:
                records.append(event.record)
    ended = _exit(records, asked, interrupted=bool(heard))
    per_network = outcomes(records)
    if asked.form == "json":
        plugins = {record.spec: record.conditions.get("plugins", ()) for record in records}
        run_data = {"run_id": order.run_id, "order_seed": order.seed, "repeats": order.repeats}
        networks = [
            {
                "command": outcome.spec.command(plugins.get(outcome.spec, ())),
                "engine": outcome.way.engine,
                "precision": outcome.way.precision,
                "ok": outcome.ok,
                "latency_ms": [] if outcome.is_of_whole_calls else outcome.times_ms,
                "total_ms": outcome.times_ms if outcome.is_of_whole_calls else [],
                "is_repeatable": outcome.is_repeatable,
            }
            for outcome in per_network
        ]
        asked.print_json({**run_data, "networks": networks, "records": _endings(records)})
        return ended
    if per_network:
        title = f"run {order.run_id}, {jobs_text(len(records) - before)}" + (
            f"; {before} from before" if before else ""
        )
        print_tables(
            [summary_table(per_network, asked.members, title=title, width=table_width(asked.form))],
            asked.form,
        )
    return ended


def _count(asked: Asked, *, dry_run: bool) -> Exit:
    from archbench.measure.job.signals import interruptions
    from archbench.measure.sweep.plans import counted, new_run_id
    from archbench.measure.sweep.queues import count
    from archbench.report.tables.sweep import counted_table

    records = counted(asked.specs, asked.done)
    there = {record.spec for record in records}
    left = [spec for spec in asked.specs if spec not in there]
    if dry_run:
        _tell_uncounted(left, asked)
        return Exit.DONE
    with live() as progress, interruptions() as heard:
        for number, record in enumerate(
            count(left, asked.store.append, new_run_id(), heard), start=1
        ):
            records.append(record)
            progress.now(f"counting: {number} of {len(left)}")
            if record.reason:
                progress.warn(
                    f"{record.spec}: {record.status} ({record.reason.code}): "
                    f"{record.reason.message}"
                )
            if number % 50 == 0:
                progress.line(f"counted {number} of {len(left)}")
    ended = _exit(records, asked, interrupted=bool(heard))
    if asked.form == "json":
        asked.print_json({"records": _endings(records)})
        return ended
    print_tables([counted_table(records, asked.members, width=table_width(asked.form))], asked.form)
    return ended


def _tell_uncounted(left: Sequence[Spec], asked: Asked) -> None:
    """Say which networks would be counted."""
    from archbench.report.tables.words import counted

    if asked.form == "json":
        asked.print_json({"to_count": [catalogue.network(spec).command for spec in left]})
        return
    rows = counted(len(asked.missing), "row")
    print(f"{len(left)} of {len(asked.specs)} networks to count, {rows} without a network")


def _exit(records: Sequence[Record], asked: Asked, *, interrupted: bool) -> Exit:
    if interrupted:
        return Exit.INTERRUPTED
    return (
        Exit.PARTLY_DONE
        if asked.missing
        or asked.store.unsaved
        or any(record.status != Status.OK for record in records)
        else Exit.DONE
    )


def _endings(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "record_id": record.record_id,
            "command": record.spec.command(record.conditions.get("plugins", ())),
            "status": record.status,
        }
        | {"reason": asdict(record.reason) if record.reason else None}
        for record in records
    ]


def _distinct(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
