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
    """Count and measure a network in a process of its own, as `archbench profile` does, and give
    its record.

    `network` is a name, as `build` takes it beside `detector`, `size`, `classes` and options, or a
    module with its weights. A module's second argument, or `input`, is a batch of images
    [B, 3, H, W] as `count` takes inputs: a tensor, a shape, or either by the name of its argument
    in a dict; `size` and `batch` say the same in short. `more` are settings by the names of
    `Settings`, such as device, precision, threads and budget_s; what is none of these is an option
    of the network, and so is all in `options`. `quick` takes the quick protocol.

    The record says how the measurement ended. It is returned, and kept only in a folder that
    `results` names. A module travels as an export of torch's; else by the file and the class that
    define it, where the class stands at the top of a file of yours and, called without arguments,
    makes a module of the same structure: that file is then imported in the other process. The
    module stays as it is.

    Raises UsageError, in one line, for what cannot be, and KeyboardInterrupt, once the record is
    kept, where it was interrupted.
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
            raise UsageError(f"{network} is a name, whose input is said by size and batch")
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
