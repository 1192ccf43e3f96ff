"""A prepared network in the process that is timed: an engine that runs its file, and torch for
postprocessing alone. The network itself is never built.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from archbench.api import CostReport, build_shell
from archbench.engines import engine_of
from archbench.engines.engine import FileEngine, How, Loaded
from archbench.engines.kept import Kept
from archbench.engines.outputs import assembler
from archbench.known import report_of
from archbench.measure.job import reference
from archbench.measure.job.bench import Bench
from archbench.measure.job.inputs import Inputs
from archbench.measure.job.preparing import COUNTED, MODEL, Places
from archbench.measure.job.result import Result
from archbench.measure.job.workload import draw_inputs
from archbench.measure.machine.device import Device
from archbench.records import Metric
from archbench.records.conditions import Conditions
from archbench.settings import Settings
from archbench.spec import Spec


@dataclass(frozen=True)
class Prepared:
    """What was prepared of a network: the folder of the exported file, and the engine's own."""

    exported: Kept
    converted: Kept | None

    @property
    def model(self) -> Path:
        """The file that the engine runs."""
        if self.converted:
            return self.converted.folder / str(self.converted.about["file"])
        return self.exported.folder / MODEL

    @property
    def reference(self) -> Path:
        """The file of what eager gave; not there for a network that has no eager form."""
        return self.exported.folder / reference.FILE

    @property
    def form(self) -> Any:
        """How the network's outputs stand together."""
        return self.exported.about["form"]

    def counted(self, result: Result) -> CostReport:
        """Give the network's count, and note what it came to and what was found with it."""
        about = self.exported.about
        result.counted = about["counted"]
        result.conditions |= about["conditions"]
        result.environment = {**about["environment"], **result.environment}
        return report_of(msgspec.json.decode((self.exported.folder / COUNTED).read_bytes()))

    def figures(self) -> dict[str, Metric]:
        """What its preparation took, then: seconds, and bytes of the file."""
        made = [self.exported, *([self.converted] if self.converted else [])]
        seconds = sum(float(kept.about["seconds"]) for kept in made)
        files = self.model.parent.glob(f"{self.model.stem}.*")
        size = sum(file.stat().st_size for file in files)
        return {
            "engine_prepare_s": Metric.of("engine_prepare_s", seconds, "host clock"),
            "engine_file_bytes": Metric.of("engine_file_bytes", size, "file system"),
        }


def take(places: Mapping[str, Any], held: ExitStack) -> Prepared:
    """Take what was prepared off the shelf, so that nobody removes it while `held` is open."""
    where = Places(**places)
    exported = held.enter_context(where.shelf.hold(where.exported))
    converted = None
    if where.converted is not None:
        converted = held.enter_context(where.shelf.hold(where.converted))
    if exported is None or (where.converted is not None and converted is None):
        raise FileNotFoundError(f"the prepared network is gone from {where.root}")
    return Prepared(exported, converted)


def load(
    prepared: Prepared, spec: Spec, settings: Settings, device: Device, conditions: Conditions
) -> tuple[Bench, dict[str, Metric]]:
    """Have the engine load its file on the device, with the inputs that it is timed on; gives what
    that took as well.
    """
    shell = build_shell(spec, device=device.label)
    rows, _ = draw_inputs(spec, settings, shell, conditions)
    start = time.perf_counter()
    loaded = _loaded(prepared, settings, device)
    seconds = time.perf_counter() - start
    conditions["engine"] = dict(loaded.facts)
    if prepared.converted and prepared.converted.about["calibration"]:
        conditions["calibration"] = prepared.converted.about["calibration"]
    conditions["caches"] = "emptied before each call" if settings.flush_cache else "warm"

    assemble = assembler(prepared.form)

    def call(images: Tensor) -> Any:
        return assemble(loaded.run(images))

    inputs = Inputs(rows, partial(Tensor.to, device=device.torch_device))
    bench = Bench(shell, device, inputs, refill=inputs.refill, cold_caches=settings.flush_cache)
    bench.replay = call
    took = Metric.of("engine_compile_s", seconds, "host clock")
    return bench, prepared.figures() | {"engine_compile_s": took}


def _loaded(prepared: Prepared, settings: Settings, device: Device) -> Loaded:
    engine = engine_of(settings)
    assert isinstance(engine, FileEngine)
    how = How(settings.precision, torch.get_num_threads(), device.torch_device, settings.spin)
    return engine.load(prepared.model, how)
