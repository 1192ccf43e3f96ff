"""The process that prepares a network for an engine: `python -m archbench.measure.job.preparer
FOLDER`.

It builds the network with its weights, exports it, and runs it eagerly in fp32 on the inputs that
the engine is held against, so that the process that is timed never builds it. The files go to the
shelf that FOLDER/job.json names.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.api import build_shell
from archbench.engines import engine_of, graphs
from archbench.engines.engine import FileEngine, UnsupportedError
from archbench.engines.onnx import Exported, ExportError, export
from archbench.measure.job import counting, reference
from archbench.measure.job.findings import Report
from archbench.measure.job.folder import ASKED
from archbench.measure.job.phases import count
from archbench.measure.job.pictures import find_pictures
from archbench.measure.job.preparing import COUNTED, MODEL, Key, Places
from archbench.measure.job.worker import die_with_parent, last_word, leave
from archbench.measure.job.workload import draw_inputs, with_weights
from archbench.measure.machine.device import set_threads
from archbench.records.conditions import Conditions
from archbench.settings import Settings
from archbench.spec import ONNX, Spec

OURS = "archbench"
"""The namespace of our operators."""
CALIBRATION_IMAGES = 32
"""Images that a network is quantised on."""


class _Seen(TorchDispatchMode):
    """Notes which operators of ours run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == OURS:
            self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Preparation:
    """What is to be prepared, and where is written down what is found."""

    spec: Spec
    settings: Settings
    report: Report

    @property
    def engine(self) -> FileEngine:
        """The engine that it is prepared for."""
        engine = engine_of(self.settings)
        assert isinstance(engine, FileEngine)
        return engine

    @cached_property
    def built(self) -> tuple[nn.Module, list[Tensor]]:
        """The network with its weights, and the batches that it is run on."""
        with self.report.phase("build"):
            conditions = self.report.result.conditions
            return with_weights(self.spec, self.settings, torch.device("cpu"), conditions)

    @cached_property
    def operators(self) -> list[str]:
        """Operators of ours that the network runs."""
        if self.spec.origin == ONNX:
            return []
        network, rows = self.built
        with _Seen() as seen, torch.no_grad():
            network(rows[0])
        return sorted(seen.names)

    def settle(self, exported: Key) -> Key:
        """Give the key of a file that other engines run as well, where the network has none of the
        operators that this one lacks.
        """
        return {**exported, "plain": [name for name in exported["plain"] if name in self.operators]}

    def export(self, folder: Path) -> Mapping[str, Any]:
        """Fill a folder with the exported network, its count and its reference; gives what is to be
        known of them.
        """
        spec = self.spec
        if spec.origin == ONNX:
            return self._export_graph(folder)
        with self.report.phase("count"):
            (folder / COUNTED).write_bytes(msgspec.json.encode(count(spec, self.report.result)))
        network, rows = self.built
        with self.report.phase("export"):
            exported = self._exported(network, rows[0], folder / MODEL)
        with self.report.phase("reference"), torch.no_grad():
            batches = {reference.RANDOM: [reference.random_images(spec, self.settings)]}
            if self.settings.images:
                batches[reference.PICTURES] = rows
            form = reference.refer(network, batches, folder / reference.FILE)
        return self._about(exported.seconds, form)

    def _export_graph(self, folder: Path) -> Mapping[str, Any]:
        """The same of a graph, which is exported already and has no eager form."""
        spec, result = self.spec, self.report.result
        with self.report.phase("count"):
            counted = counting.count(spec)
            (folder / COUNTED).write_bytes(msgspec.json.encode(counted.report))
            assert counted.result
            result.counted = counted.report.totals()
            result.conditions = {**counted.result.conditions, "weights": "its own"}
            result.environment = counted.result.environment
        with self.report.phase("export"):
            start = time.perf_counter()
            size = spec.width, spec.height
            outputs = graphs.fix(Path(spec.backbone), folder / MODEL, size=size, batch=spec.batch)
            seconds = time.perf_counter() - start
        return self._about(seconds, {"type": "tuple", "parts": ["tensor"] * outputs})

    def _about(self, seconds: float, form: Any) -> Mapping[str, Any]:
        """What is to be known of an exported network."""
        result = self.report.result
        return {
            "seconds": seconds,
            "form": form,
            "operators": self.operators,
            "counted": result.counted,
            "conditions": result.conditions,
            "environment": result.environment,
        }

    def _exported(self, network: nn.Module, images: Tensor, path: Path) -> Exported:
        try:
            return export(network, images, path, plain=self.engine.plain)
        except ExportError as error:
            raise UnsupportedError(str(error)) from error

    def convert(self, exported: Path, folder: Path) -> Mapping[str, Any]:
        """Fill a folder with the engine's own file, made of the exported one."""
        examples, calibration = self._examples() if self.settings.precision == "int8" else ([], "")
        with self.report.phase("convert"):
            start = time.perf_counter()
            made = self.engine.convert(exported, folder, self.settings.precision, examples)
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "file": made.name, "calibration": calibration}

    def _examples(self) -> tuple[Sequence[Tensor], str]:
        """The batches that a network is quantised on, and what they are in words."""
        count = -(-CALIBRATION_IMAGES // self.spec.batch)
        if self.settings.images:
            noted = Conditions()
            rows, _ = draw_inputs(self.spec, self.settings, build_shell(self.spec), noted)
            there = len(find_pictures(Path(self.settings.images)))
            used = min(len(rows[:count]) * self.spec.batch, there)
            return rows[:count], f"{used} picture{'s' * (used != 1)}"
        generator = torch.Generator().manual_seed(self.settings.seed + 1)
        shape = (self.spec.batch, 3, self.spec.height, self.spec.width)
        drawn = [torch.randn(shape, generator=generator) for _ in range(count)]
        return drawn, f"{count * self.spec.batch} generated pictures (random normal)"


def prepare(preparation: Preparation, places: Places) -> None:
    """Put on the shelf what a job needs and what is not there."""
    shelf, key = places.shelf, places.exported
    with shelf.hold(key) as there:
        pass
    if there is None:
        key = preparation.settle(key)
        shelf.make(key, preparation.export)
    if places.converted is None:
        return
    with shelf.hold(key) as exported:
        assert exported is not None
        model = exported.folder / MODEL
        converted = {**places.converted, "exported": key}
        shelf.make(converted, lambda folder: preparation.convert(model, folder))


def main(folder: Path) -> int:
    """Prepare the network of the job in `folder`; the exit code says only whether the result file
    holds the last word.
    """
    job = json.loads((folder / ASKED).read_text(encoding="utf-8"))
    die_with_parent(job["supervisor"])
    spec, settings = Spec.from_dict(job["spec"]), Settings.from_dict(job["settings"])
    report = Report(folder)
    with last_word(report, spec):
        with report.phase("preflight"):
            set_threads(settings.threads)
        prepare(Preparation(spec, settings, report), Places(**job["prepared"]))
    return 0


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
