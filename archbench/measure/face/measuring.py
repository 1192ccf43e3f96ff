"""Measure a network by name, or a module that is there, and give the record."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archbench import api, engines
from archbench.measure.job.folder import job_folder, remove_abandoned
from archbench.measure.job.supervisor import Job, Watch
from archbench.measure.job.supervisor import measure as supervise
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.settings import DEFAULT, QUICK, SETTINGS, Settings
from archbench.spec import ONNX, OptionValue, Spec, UsageError

if TYPE_CHECKING:
    from torch import nn

PRECISIONS = {"float16": "fp16", "bfloat16": "bf16"}
"""The precisions of modules that are held in other dtypes than float32."""


def measure(
    network: str | nn.Module,
    detector: Any = None,
    *,
    input: Any = None,
    size: str | int | tuple[int, int] | None = None,
    classes: int | None = None,
    batch: int | None = None,
    mode: Literal["infer", "train"] = "infer",
    quick: bool = False,
    results: str | Path | None = None,
    options: Mapping[str, OptionValue] | None = None,
    **more: Any,
) -> Record:
    """Count and measure a network in a separate process, as `archbench profile` does, and return
    its record.

    `network` is a name, with `detector`, `size`, `classes` and options as in `build`, or a module
    with its weights. For a module, the second argument or `input` is a batch of images
    [B, 3, H, W], given as in `count`: a tensor, a shape, or a dict with either under the name of
    its argument; `size` and `batch` are a shorthand. `more` takes settings by the names of
    `Settings`, such as device, precision, threads and budget_s; other keywords, and all in
    `options`, are options of the network. `quick` selects the quick protocol.

    The record says how the measurement ended. It is saved only if `results` names a folder. A
    module is passed to the other process as a torch export. If torch cannot export it, its file is
    imported there instead: its class must be defined at the top level of your file and, called
    without arguments, build a module of the same structure. The module is left unchanged.

    Raises UsageError, with a message of one line, for invalid requests, and KeyboardInterrupt when
    interrupted, after saving the record.
    """
    if os.environ.get(api.MODULE_FOLDER):
        raise UsageError(
            "archbench.measure is called while its own process imports this file: call it below "
            'if __name__ == "__main__"'
        )
    store = Store(Path(results)) if results is not None else None
    if store:
        store.prepare()
    remove_abandoned()
    settings, rest = _settings(more, is_quick=quick)
    call: dict[str, Any] = {"size": size, "batch": batch, "mode": mode}
    if isinstance(network, str):
        if input is not None:
            raise UsageError(f"{network} is a name: give size and batch, not an input")
        given = {**rest, **(options or {})}
        spec = api.find_spec(network, detector, classes=classes, options=given, **call)
        if spec.origin == ONNX and "engine" not in more:
            settings = replace(settings, engine=engines.OF_GRAPHS)
        return _run(Job(spec, _checked(settings, spec)), store)
    if classes is not None or rest or options:
        idle = [*(["classes"] if classes is not None else []), *rest, *(options or ())]
        raise UsageError(f"a module is measured as it is, without {', '.join(idle)}")
    with job_folder() as folder:
        asked = detector if input is None else input
        spec, dtype = api.hand_over(network, asked, folder, **call)
        if "precision" not in more and dtype in PRECISIONS:
            settings = replace(settings, precision=PRECISIONS[dtype])
        variables = {api.MODULE_FOLDER: str(folder)}
        return _run(Job(spec, _checked(settings, spec), variables=variables), store)


def _settings(more: Mapping[str, Any], *, is_quick: bool) -> tuple[Settings, dict[str, Any]]:
    """Part keyword arguments into settings and what is none."""
    given: dict[str, Any] = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in more.items()
        if name in SETTINGS
    }
    settings = replace(QUICK if is_quick else DEFAULT, **given)
    return settings, {name: value for name, value in more.items() if name not in SETTINGS}


def _checked(settings: Settings, spec: Spec) -> Settings:
    settings.check(spec)
    engines.check(spec, settings)
    return settings


def _run(job: Job, store: Store | None) -> Record:
    """Run a job, and keep its record where there is a store."""

    def keep(record: Record, samples: Path) -> Record:
        return store.append(record, samples) if store else record

    # Signals are heard in the main thread alone; elsewhere nothing interrupts.
    is_main = threading.current_thread() is threading.main_thread()
    record = supervise(job, keep, Watch(interruptions=None if is_main else ()))
    if record.status == Status.INTERRUPTED:
        raise KeyboardInterrupt
    return record
