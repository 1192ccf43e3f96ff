"""Measure a network by name, or a module that is there, and give the record."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from archbench import api, engines
from archbench.measure.job.folder import job_folder, remove_abandoned
from archbench.measure.job.supervisor import JOB, Job, Watch
from archbench.measure.job.supervisor import measure as supervise
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.settings import DEFAULT, QUICK, SETTINGS, Settings
from archbench.spec import ONNX, OptionValue, Spec, UsageError
from archbench.spelling import plainly

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
    if os.environ.get(JOB):
        raise UsageError(
            "archbench.measure is called while its own process imports this file: call it below "
            'if __name__ == "__main__"'
        )
    store = Store(Path(results)) if results is not None else None
    if store:
        store.prepare()
    remove_abandoned()
    settings, rest = _settings(more, is_quick=quick)
    call: dict[str, Any] = {"size": _plain(size), "batch": _plain(batch), "mode": mode}
    if isinstance(network, str):
        if input is not None:
            raise UsageError(f"{network} is a name: give size and batch, not an input")
        given = {**rest, **(options or {})}
        spec = api.find_spec(network, detector, classes=_plain(classes), options=given, **call)
        if spec.origin == ONNX and "engine" not in more:
            settings = replace(settings, engine=engines.OF_GRAPHS)
        return _run(Job(spec, _checked(settings, spec)), store)
    if classes is not None or rest or options:
        idle = [*(["classes"] if classes is not None else []), *rest, *(options or ())]
        raise UsageError(f"a module is measured as it is, without {', '.join(idle)}")
    if detector is not None and input is not None:
        raise UsageError("two inputs are given: leave out one")
    with job_folder() as folder:
        asked = detector if input is None else input
        spec, dtype = api.hand_over(network, asked, folder, **call)
        if "precision" not in more and dtype in PRECISIONS:
            settings = replace(settings, precision=PRECISIONS[dtype])
        variables = {api.MODULE_FOLDER: str(folder)}
        return _run(Job(spec, _checked(settings, spec), variables=variables), store)


def _settings(more: Mapping[str, Any], *, is_quick: bool) -> tuple[Settings, dict[str, Any]]:
    """Part keyword arguments into settings and what is none; raises UsageError for a setting of
    another type.
    """
    given = {name: _plain(value) for name, value in more.items() if name in SETTINGS}
    asked = {**(QUICK if is_quick else DEFAULT).to_dict(), **given}
    try:
        settings = msgspec.convert(asked, Settings)
    except msgspec.ValidationError as error:
        raise UsageError(plainly(error)) from None
    return settings, {name: value for name, value in more.items() if name not in SETTINGS}


def _plain(value: Any) -> Any:
    """A value as a record keeps it: a path or a device of torch's as text, a number of NumPy's as
    one of Python's.
    """
    if isinstance(value, Path | torch.device):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


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
