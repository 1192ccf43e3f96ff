"""`archbench profile`: one network, counted and measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench import engines
from archbench.cli.exit import Exit
from archbench.cli.formats import print_tables, table_width
from archbench.cli.groups import Several, given, grouped, refuse
from archbench.cli.live import telling, took
from archbench.cli.measuring import MOST_REPEATS, OPTIONS, Output, Protocol
from archbench.cli.messages import is_verbose, say, say_traceback, tell
from archbench.cli.network import NetworkFlags
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.settings import Settings
from archbench.spec import ONNX, Spec, UsageError, origin_of

if TYPE_CHECKING:
    from archbench.api import CostReport
    from archbench.measure.roofline.bounds import Bound
    from archbench.report.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class ProfileProtocol(Protocol):
    """How one network is measured: settings that fit it alone are among those given."""

    given: Annotated[Mapping[str, Any], Several(OPTIONS)]
    repeats: Annotated[
        int | None,
        typer.Option(
            "--repeats",
            metavar="N",
            min=1,
            max=MOST_REPEATS,
            help="Fresh processes to measure in, one record each. Default: 1.",
        ),
    ] = None
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Check the counts against fvcore, on real weights, and torch's counter."
        ),
    ] = False

    @property
    def settings(self) -> Settings:
        """The settings of the one engine and precision that are asked for."""
        for several, what in ((self.engines, "engine"), (self.precisions, "precision")):
            if len(several) > 1:
                raise UsageError(
                    f"profile measures in one {what} ({' and '.join(several)} are given): give "
                    "one, or use archbench sweep"
                )
        return super().settings

    def of_graph(self) -> ProfileProtocol:
        """The protocol of an exported graph: in ONNX Runtime, where no engine is named."""
        if self.engines:
            return self
        say(f"running in {engines.OF_GRAPHS} (--engine chooses another)")
        return replace(self, given={**self.given, "engine": [engines.OF_GRAPHS]})


@dataclass(frozen=True, kw_only=True)
class ProfileOutput(Output):
    """What is printed of one network."""

    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Show one row per convolution and linear layer. When measuring, implies "
            "--roofline.",
        ),
    ] = False


@grouped
def profile(network: NetworkFlags, protocol: ProfileProtocol, output: ProfileOutput) -> int:
    """Count and measure one network on this machine, and append the record to the results.

    Example: archbench profile vovnet39 --detector refinedet320
    """
    if origin_of(network.backbone) == ONNX and not protocol.no_measure:
        return run_profiles(network.resolve(), protocol.of_graph(), output)
    return run_profiles(network.resolve(), protocol, output)


def run_profiles(specs: list[Spec], protocol: ProfileProtocol, output: ProfileOutput) -> int:
    """Count and measure a network at each of its inputs and batches, in their order; one that fails
    is a record, and the others follow.
    """
    if len(specs) == 1:
        return run_profile(specs[0], protocol, output)
    from archbench.report.tables.curve import curve_table

    flags = [*given(output), *(["--check"] if protocol.check else [])]
    of_one = [flag for flag in flags if flag in ("--layers", "--check")]
    refuse(of_one, "several inputs or batches are given")
    protocol.check_counting(["--repeats"] if protocol.repeats else [])
    settings = protocol.settings
    check = check_asked if protocol.no_measure else check_measured
    for spec in specs:
        check(spec, settings)
    store = output.open_store()
    found = _curve(specs, protocol, store)
    records = [record for each in found for record in each]
    if output.form == "json":
        print(json.dumps([record.to_dict() for record in records], indent=2, allow_nan=False))
    elif records:
        print_tables([curve_table(records)], output.form)
    tell_kept(records, store)
    ended = {_exit_code(record, {}) for record in records}
    if Exit.INTERRUPTED in ended or len(found) < len(specs):
        return Exit.INTERRUPTED
    one = ended.pop() if len(ended) == 1 else Exit.PARTLY_DONE
    return Exit.PARTLY_DONE if one == Exit.DONE and store.unsaved else one


def _curve(specs: list[Spec], protocol: ProfileProtocol, store: Store) -> list[list[Record]]:
    """The records of each spec, one a process, until one is interrupted."""
    if protocol.no_measure:
        from archbench.measure.sweep.queues import count

        return [[record] for record in count(specs, store.append, "", ())]
    found: list[list[Record]] = []
    for number, spec in enumerate(specs, start=1):
        tell(f"{number} of {len(specs)}: {spec}")
        found.append(measure_or_note(spec, protocol.settings, store, repeats=protocol.repeats or 1))
        if found[-1][-1].status == Status.INTERRUPTED:
            break
    return found


def measure_or_note(spec: Spec, settings: Settings, store: Store, *, repeats: int) -> list[Record]:
    """Measure a network that is one of several, each in fresh processes: one that cannot be what
    was asked for is a record, and the others follow.
    """
    from archbench.measure.job.supervisor import RefusedError

    try:
        return _measured(spec, settings, store, repeats=repeats)
    except RefusedError as refused:
        if refused.is_of_settings:
            raise
        return [store.append(refused.record)]


def run_profile(spec: Spec, protocol: ProfileProtocol, output: ProfileOutput) -> int:
    """Count the network of a spec, and measure it where that is asked for."""
    if spec.origin == ONNX and protocol.check:
        refuse(["--check"], f"{spec.backbone} is a graph, which the other counters cannot run")
    form = output.form
    settings = protocol.settings
    if output.layers:
        settings = replace(settings, roofline=True)
    protocol.check_counting(["--repeats"] if protocol.repeats else [])
    check = check_asked if protocol.no_measure else check_measured
    check(spec, settings)
    store = output.open_store()
    extra: dict[str, Any] = {}
    if output.layers or protocol.check or protocol.no_measure:
        extra = _counted(spec, check=protocol.check, layers=output.layers)
    if protocol.no_measure:
        from archbench.measure.machine.host import fingerprint

        record = store.append(extra["counted"].record(fingerprint()))
        records = [record]
    else:
        records = _measured(spec, settings, store, repeats=protocol.repeats or 1)
        record = _typical(records)
        if output.layers:
            extra["bounds"] = _bounds(record, extra["report"])
        extra["repeats"] = [each.time_ms for each in records]
    if form == "json":
        print(json.dumps(_as_json(record, extra), indent=2, allow_nan=False))
    else:
        print_record(record, extra, form)
    tell_kept(records, store)
    is_interrupted = records[-1].status == Status.INTERRUPTED
    ended = Exit.INTERRUPTED if is_interrupted else _exit_code(record, extra)
    return Exit.PARTLY_DONE if ended == Exit.DONE and store.unsaved else ended


def tell_kept(records: Sequence[Record], store: Store) -> None:
    """Say where records are kept, and under which ids."""
    ids: dict[Path, list[str]] = {}
    for record in records:
        if record.record_id in store.files_of:
            ids.setdefault(store.files_of[record.record_id], []).append(record.record_id)
    for path, kept in ids.items():
        tell(f"record{'s' * (len(kept) > 1)} {', '.join(kept)} in {path}")


def check_measured(spec: Spec, settings: Settings) -> None:
    """Raise UsageError where a network cannot be measured as asked, before anything is built."""
    check_asked(spec, settings)
    engines.check(spec, settings)


def check_asked(spec: Spec, settings: Settings) -> None:
    """Raise UsageError where the settings do not fit a network, whichever engine runs it."""
    if settings.weights:
        from archbench.measure.job.checkpoint import check_weights

        check_weights(Path(settings.weights))
    settings.check(spec)
    if spec.mode == "train" and not spec.origin:
        from archbench.measure.job.training import check_trainable

        check_trainable(spec)
    if settings.images:
        from archbench.measure.job.pictures import check_pictures

        check_pictures(Path(settings.images))


def _measured(spec: Spec, settings: Settings, store: Store, *, repeats: int) -> list[Record]:
    """Measure in fresh processes, one after the other, until one is interrupted."""
    from archbench.measure.job.supervisor import run_job

    records: list[Record] = []
    while len(records) < repeats and not (records and records[-1].status == Status.INTERRUPTED):
        if repeats > 1:
            tell(f"process {len(records) + 1} of {repeats}")
        with telling(settings) as progress:
            records.append(run_job(spec, settings, store, on_progress=progress))
        if is_verbose():
            say(took(records[-1]))
    return records


def _typical(records: list[Record]) -> Record:
    """The record to show of several processes: the first that did not end well, else that of the
    median time.
    """
    failed = [record for record in records if record.status != Status.OK]
    ranked = sorted(records, key=lambda record: record.time_ms or 0.0)
    return failed[0] if failed else ranked[len(ranked) // 2]


def _counted(spec: Spec, *, check: bool, layers: bool) -> dict[str, Any]:
    """Count apart from measuring, where the rows of the layers or fvcore's answer are wanted."""
    from archbench.measure.job.counting import count

    counted = count(spec, check=check, tell=say_traceback)
    extra: dict[str, Any] = {"counted": counted, "report": counted.report}
    if layers:
        extra["layers"] = counted.report.calls
    if check:
        extra["check"] = counted.check
    return extra


def _bounds(record: Record, report: CostReport) -> list[Bound]:
    """The roofline's bound of each layer; none where the job found no peaks."""
    from archbench.measure.roofline.bounds import Roofline

    roofline = Roofline.from_conditions(record.conditions)
    return [roofline.bound(call) for call in report.calls] if roofline else []


def _as_json(record: Record, extra: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    data = record.to_dict()
    if "layers" in extra:
        data["layers"] = [asdict(call) for call in extra["layers"]]
        for layer, bound in zip(data["layers"], extra.get("bounds", ()), strict=False):
            layer |= {"bound_ms": 1e3 * bound.seconds, "bound_by": bound.by}
    if "check" in extra:
        data["check"] = asdict(extra["check"])
    if len(extra.get("repeats", ())) > 1:
        word = "total_ms" if record.value("latency_ms") is None else "latency_ms"
        data[f"repeats_{word}"] = extra["repeats"]
    return data


def print_record(record: Record, extra: Mapping[str, Any], form: str) -> None:
    """Print the tables of a record and what else was found, and why it ended as it did."""
    from archbench.report.tables.compare import ending
    from archbench.report.tables.profile import (
        counted_table,
        layers_table,
        measured_table,
        paper_for,
        repeats_note,
    )

    paper = paper_for(record.spec)
    tables = [counted_table(record, paper)] if record.counted else []
    if "layers" in extra:
        tables.append(
            layers_table(
                extra["layers"],
                extra.get("bounds", ()),
                batch=record.spec.batch,
                width=table_width(form),
            )
        )
    if "check" in extra:
        tables = _noted(tables, extra["check"].sentence())
    if "latency_ms" in record.measured:
        tables.append(measured_table(record, paper))
    times = extra.get("repeats", ())
    if record.status == Status.OK and len(times) > 1 and None not in times:
        what = "total time" if record.value("latency_ms") is None else "forward"
        tables = _noted(tables, repeats_note(times, what))
    print_tables(tables, form)
    if record.reason:
        say(ending(record))


def _noted(tables: list[Table], note: str) -> list[Table]:
    """Put a note below the last table; on stderr where a job ended before it had any."""
    if not tables:
        say(note)
        return tables
    return [*tables[:-1], replace(tables[-1], notes=[*tables[-1].notes, note])]


def _exit_code(record: Record, extra: dict[str, Any]) -> Exit:
    if record.status == Status.INTERRUPTED:
        return Exit.INTERRUPTED
    failed = record.status != Status.OK or ("check" in extra and not extra["check"].agrees)
    return Exit.FAILED if failed else Exit.DONE
