"""The process in which a network is written to a file: `python -m archbench.measure.job.exporter
FOLDER` reads FOLDER/job.json, writes the file that it names, and FOLDER/exported.json beside the
files of any job.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archbench.engines.agreement import chosen_share
from archbench.engines.engine import How, Run, UnsupportedError
from archbench.engines.matching import compare_detections
from archbench.engines.onnx import ExportError, export, output_names, traced
from archbench.engines.onnxruntime import ONNXRUNTIME
from archbench.engines.outputs import flattened, together
from archbench.files import writing_to
from archbench.measure.job.agreeing import LEAST_MATCHED, MOST_ERROR, error_of
from archbench.measure.job.exporting import FOUND
from archbench.measure.job.findings import Report
from archbench.measure.job.folder import ASKED
from archbench.measure.job.reference import random_images
from archbench.measure.job.worker import die_with_parent, last_word, leave
from archbench.measure.job.workload import with_weights
from archbench.measure.machine.device import set_threads
from archbench.settings import Settings
from archbench.spec import Spec

CPU = torch.device("cpu")
PLAIN = frozenset(("deform_conv2d",))
"""Operators that can be made of plain ones."""


@dataclass(frozen=True)
class Job:
    """What is to be written where."""

    spec: Spec
    settings: Settings
    path: Path
    plain: bool


def write(job: Job, report: Report) -> dict[str, Any]:
    """Write a network to its file and hold that against eager; gives what there is to be said."""
    with report.phase("build"):
        network, _ = with_weights(job.spec, job.settings, CPU, report.result.conditions)
    images = random_images(job.spec, job.settings)
    start = time.perf_counter()
    with report.phase("export"), writing_to(job.path.parent.parent):
        opset, names = _written(job, network, images)
    seconds = time.perf_counter() - start
    with report.phase("agreement"), torch.no_grad():
        reference = network(images)
        check = _checked(job, network, images, reference)
    outputs = zip(names, flattened(reference)[1], strict=True)
    return {
        "file": job.path.name,
        "bytes": sum(file.stat().st_size for file in job.path.parent.iterdir()),
        "opset": opset,
        "seconds": seconds,
        "inputs": [_described("images", images)],
        "outputs": [_described(name, tensor) for name, tensor in outputs],
        "check": check,
    }


def _written(job: Job, network: nn.Module, images: Tensor) -> tuple[int | None, Sequence[str]]:
    """Write the file; its opset, if it is a graph, and the names of its outputs."""
    try:
        if job.path.suffix == ".onnx":
            exported = export(network, images, job.path, plain=PLAIN if job.plain else frozenset())
            return exported.opset, exported.outputs
        program = traced(network, images)
    except ExportError as error:
        raise UnsupportedError(str(error)) from error
    names = output_names(program)
    try:
        torch.export.save(program, job.path)
    except NotImplementedError:  # No file holds classes of named tuples: their tensors are saved.
        torch.export.save(traced(Flat(network), images), job.path)
    return None, names


class Flat(nn.Module):
    """A network whose outputs are a tuple of tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the network."""
        return tuple(flattened(self.network(images))[1])


def _checked(job: Job, network: Any, images: Tensor, reference: Any) -> dict[str, Any]:
    """Run the file and hold what it gives against eager."""
    run, name = _graph_runner(job) if job.path.suffix == ".onnx" else _program_runner(job)
    if run is None:
        return {"why_not": name}
    form, _ = flattened(reference)
    given = together(form, run(images))
    error, matched = error_of(given, reference), None
    if hasattr(network, "postprocess"):
        matched = compare_detections(network, given, reference).share
    differs = error > MOST_ERROR or (matched is not None and matched < LEAST_MATCHED)
    return {
        "run_in": name,
        "dense_error": error if isfinite(error) else None,
        "chosen": chosen_share(given, reference) if isfinite(error) else None,
        "matched": matched,
        "agrees": not differs,
    }


def _graph_runner(job: Job) -> tuple[Run | None, str]:
    """What runs a graph, and its name; or None, and why there is none."""
    lacking = ONNXRUNTIME.why_not()
    if lacking:
        return None, lacking
    (version,) = ONNXRUNTIME.versions().values()
    threads = torch.get_num_threads()
    loaded = ONNXRUNTIME.load(job.path, How("fp32", threads, CPU))
    return loaded.run, f"ONNX Runtime {version}"


def _program_runner(job: Job) -> tuple[Run, str]:
    """What runs a program of torch's."""
    module = torch.export.load(job.path).module()
    return lambda images: flattened(module(images))[1], f"torch {torch.__version__}"


def _described(name: str, tensor: Tensor) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"name": name, "dtype": dtype, "shape": [*tensor.shape]}


def main(folder: Path) -> int:
    """Export the network of the job in `folder`; the exit code says only whether the files hold the
    last word.
    """
    asked: dict[str, Any] = json.loads((folder / ASKED).read_text(encoding="utf-8"))
    die_with_parent(asked["supervisor"])
    spec, settings = Spec.from_dict(asked["spec"]), Settings.from_dict(asked["settings"])
    report = Report(folder)
    with last_word(report, spec):
        set_threads(settings.threads)
        found = write(Job(spec, settings, Path(asked["file"]), asked["plain"]), report)
        (folder / FOUND).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
