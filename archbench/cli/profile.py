"""`archbench profile`: one network, counted and measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import measuring
from archbench.cli.exit import Exit
from archbench.cli.formats import AsLatex, AsMarkdown, print_tables, table_width, the_format
from archbench.cli.messages import say
from archbench.cli.plugins import Plugins
from archbench.records import DEFAULT_FOLDER, Record, Store
from archbench.spec import Spec, UsageError, parse_options, parse_size
from archbench.zoo.catalogue import registry

if TYPE_CHECKING:
    from archbench.api import CostReport
    from archbench.measure.roofline.bounds import Bound
    from archbench.report.tables.table import Table

PHASES = {
    "preflight": "looking at the device",
    "count": "counting",
    "build": "building",
    "cold": "first call",
    "warmup": "warming up",
    "latency": "timing",
    "throughput": "timing calls back to back",
    "memory": "measuring memory",
    "energy": "measuring energy",
    "roofline": "measuring the device's peaks",
}


def profile(
    backbone: Annotated[
        str, typer.Argument(help="Backbone, such as vovnet39 (archbench list shows all).")
    ],
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", "-d", help="Detector, such as refinedet320; none: a classifier."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", "-s", help="Input in pixels: SIDE or WIDTHxHEIGHT. Default: as published."
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Foreground classes; 0 without a detector: the trunk alone.")
    ] = None,
    proposals: Annotated[
        int | None, typer.Option(help="Regions that a two-stage detector's second stage sees.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="KEY=VALUE", help="Network option; repeatable."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", "-b", help="Images a call.")] = 1,
    device: measuring.Device = "auto",
    precision: measuring.Precision = "fp32",
    memory_format: measuring.MemoryFormat = "contiguous",
    threads: measuring.Threads = None,
    seed: measuring.Seed = 0,
    quick: measuring.Quick = False,
    budget: measuring.Budget = None,
    deadline: measuring.Deadline = None,
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Measure training steps (SGD with momentum) instead of forward passes."
        ),
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Checkpoint to load: PyTorch or safetensors, tensors only."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Time on the pictures of a folder instead of random inputs."
        ),
    ] = None,
    fold_bn: measuring.FoldBn = False,
    compile_mode: measuring.Compile = "none",
    cuda_graph: measuring.CudaGraph = False,
    cudnn_benchmark: measuring.CudnnBenchmark = True,
    deterministic: measuring.Deterministic = False,
    allow_shared: measuring.AllowShared = False,
    repeats: Annotated[
        int, typer.Option(min=1, help="Fresh processes to measure in; a record each.")
    ] = 1,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Count only.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Hold the counts against fvcore on real weights.")
    ] = False,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Show a row for each convolution and linear layer; measuring, with --roofline.",
        ),
    ] = False,
    roofline: measuring.Roofline = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
    results: measuring.Results = DEFAULT_FOLDER,
    plugin: Plugins = None,
) -> int:
    """Count one network and measure it on this machine; append the record to the results.

    Example: archbench profile vovnet39 --detector refinedet320
    """
    form = the_format(json=as_json, markdown=as_markdown, latex=as_latex)
    options = parse_options(
        [*(option or []), *([f"proposals={proposals}"] if proposals is not None else [])]
    )
    spec = registry.resolve(
        backbone,
        detector,
        size=size,
        classes=classes,
        batch=batch,
        mode="train" if train else "infer",
        **options,
    )
    if size is not None and parse_size(size) != (spec.width, spec.height):
        say(f"{spec.detector} pads images: the input is {spec.size}")
    settings = measuring.settings_of(
        quick=quick,
        device=device,
        precision=precision,
        memory_format=memory_format,
        threads=threads,
        seed=seed,
        budget_s=budget,
        deadline_s=deadline,
        images=str(images) if images else None,
        fold_bn=fold_bn,
        weights=str(weights) if weights else None,
        compile=compile_mode,
        cuda_graph=cuda_graph,
        cudnn_benchmark=cudnn_benchmark,
        deterministic=deterministic,
        allow_shared=allow_shared,
        roofline=roofline or layers,
    )
    if roofline and no_measure:
        raise UsageError("a roofline is measured: leave out --roofline or --no-measure")
    if weights:
        from archbench.measure.job.checkpoint import check_weights

        check_weights(weights)
    settings.check(spec)
    if train:
        from archbench.measure.job.training import check_trainable

        check_trainable(spec)
    if images:
        from archbench.measure.job.pictures import check_pictures

        check_pictures(images)
    store = Store(results)
    store.check_writable()
    extra: dict[str, Any] = {}
    if layers or check or no_measure:
        extra = _counted_here(spec, check=check, layers=layers)
    if no_measure:
        from archbench.measure.machine.host import fingerprint

        record = Record(
            spec=spec,
            settings=None,
            status="ok",
            counted=extra["report"].totals(),
            environment=fingerprint(),
        )
        record = store.append(record)
    else:
        from archbench.measure.job.supervisor import run_job

        records: list[Record] = []
        while len(records) < repeats and not (records and records[-1].status == "interrupted"):
            with _progress() as tell:
                records.append(run_job(spec, settings, store, on_progress=tell))
        record = _typical(records)
        if layers:
            extra["bounds"] = _bounds(record, extra["report"])
        extra["repeats"] = [one.value("latency_ms") for one in records]
    if form == "json":
        _print_json(record, extra)
    else:
        _print_tables(record, extra, form)
    return _exit_code(record, extra)


def _typical(records: list[Record]) -> Record:
    """The record to show of several processes: the first that did not end well, else that of the
    median time.
    """
    failed = [record for record in records if record.status != "ok"]
    ranked = sorted(records, key=lambda record: record.value("latency_ms") or 0.0)
    return failed[0] if failed else ranked[len(ranked) // 2]


def _counted_here(spec: Spec, *, check: bool, layers: bool) -> dict[str, Any]:
    """Count in this process, where the rows of the layers or fvcore's answer are wanted."""
    from archbench.api import cost_spec

    extra: dict[str, Any] = {"report": cost_spec(spec)}
    if layers:
        extra["layers"] = extra["report"].calls
    if check:
        from archbench.api import check_spec

        extra["check"] = check_spec(spec, extra["report"])
    return extra


def _bounds(record: Record, report: CostReport) -> list[Bound]:
    """The roofline's bound of each layer; none where the job found no peaks."""
    from archbench.measure.roofline.bounds import Roofline

    roofline = Roofline.from_conditions(record.conditions)
    return [roofline.bound(call) for call in report.calls] if roofline else []


def doing(news: dict[str, Any]) -> str:
    """What a job is at, in a few words."""
    text = PHASES.get(news["phase"], str(news["phase"]))
    if "samples" in news:
        text += (
            f": {news['samples']} samples, {news['elapsed_s']:.0f} of at most "
            f"{news['budget_s']:.0f} s"
        )
    return text


@contextmanager
def _progress() -> Iterator[Any]:
    """Tell on stderr what the job is doing: one line that changes on a terminal, a line a phase
    elsewhere.
    """
    if not sys.stderr.isatty():
        last = ""

        def line(news: dict[str, Any]) -> None:
            nonlocal last
            if news["phase"] != last:
                last = news["phase"]
                say(f"{PHASES.get(last, last)} ...")

        yield line
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield lambda news: status.update(doing(news))


def _print_json(record: Record, extra: dict[str, Any]) -> None:
    from dataclasses import asdict

    data = record.to_dict()
    if "layers" in extra:
        data["layers"] = [asdict(call) for call in extra["layers"]]
        for layer, bound in zip(data["layers"], extra.get("bounds", ()), strict=False):
            layer |= {"bound_ms": 1e3 * bound.seconds, "bound_by": bound.by}
    if "check" in extra:
        data["check"] = asdict(extra["check"])
    if len(extra.get("repeats", ())) > 1:
        data["repeats_latency_ms"] = extra["repeats"]
    print(json.dumps(data, indent=2, allow_nan=False))


def _print_tables(record: Record, extra: dict[str, Any], form: str) -> None:
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
    if len(times) > 1 and None not in times:
        tables = _noted(tables, repeats_note(times))
    print_tables(tables, form)
    if record.reason:
        message = f" {record.reason.message}" if record.reason.message else ""
        say(f"{record.status} ({record.reason.code}) in phase {record.reason.phase}:{message}")


def _noted(tables: list[Table], note: str) -> list[Table]:
    """Put a note below the last table; on stderr where a job ended before it had any."""
    if not tables:
        say(note)
        return tables
    return [*tables[:-1], replace(tables[-1], notes=[*tables[-1].notes, note])]


def _exit_code(record: Record, extra: dict[str, Any]) -> Exit:
    if record.status == "interrupted":
        return Exit.INTERRUPTED
    failed = record.status != "ok" or ("check" in extra and not extra["check"].agrees)
    return Exit.FAILED if failed else Exit.DONE
