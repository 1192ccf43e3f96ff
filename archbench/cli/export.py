"""`archbench export`: one network as a file, checked against eager."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.cli.exit import Exit
from archbench.cli.groups import Several, grouped, refuse
from archbench.cli.measuring import OPTIONS
from archbench.cli.messages import say, say_traceback, tell
from archbench.cli.network import NetworkFlags
from archbench.cli.profile import check_asked
from archbench.engines.engine import EXPORTERS, why_not
from archbench.engines.onnxruntime import ONNXRUNTIME
from archbench.escaping import visible_lines
from archbench.settings import DEFAULT
from archbench.spec import ONNX, UsageError

MB = 1e6
PHASES = {
    "build": "building",
    "export": "exporting",
    "agreement": "checking against eager",
}

SETTINGS = {name: OPTIONS[name] for name in ("weights", "seed", "threads")}
"""The settings that a file depends on."""


@dataclass(frozen=True, kw_only=True)
class File:
    """What is written."""

    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File to write: FILE.onnx, or FILE.pt2 for PyTorch."),
    ]
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Write deformable convolutions as plain operators, for engines that lack them "
            "(OpenVINO).",
        ),
    ] = False
    settings: Annotated[Mapping[str, Any], Several(SETTINGS)]
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False


@grouped
def export(network: NetworkFlags, output: File) -> int:
    """Export one network to a file for other engines, and check it against eager PyTorch.

    Example: archbench export vovnet39 -d refinedet320 model.onnx
    """
    from archbench.measure.job.exporting import Export, FailedError

    _check_file(output)
    refuse(["--train"] if network.train else [], "a file holds the forward pass only")
    spec, *more = network.resolve()
    if more:
        raise UsageError(f"a file holds one input and batch, not {1 + len(more)}")
    if spec.origin == ONNX:
        raise UsageError(f"{network.backbone} already is an ONNX graph")
    settings = replace(DEFAULT, device="cpu", **_as_text(output.settings))
    check_asked(spec, settings)
    try:
        found = Export(spec, settings, output.plain).write(output.file, _tell)
    except FailedError as error:
        say(str(error))
        return Exit.FAILED
    print(json.dumps(found, indent=2) if output.as_json else _text(found))
    if found["check"].get("agrees", True):
        return Exit.DONE
    say(f"{output.file} does not match eager")
    return Exit.FAILED


def _as_text(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with paths as the text that they are kept as."""
    return {name: str(v) if isinstance(v, Path) else v for name, v in given.items()}


def _check_file(output: File) -> None:
    """Raise UsageError where the file cannot be written as it is asked for."""
    from archbench.measure.job.exporting import SUFFIXES

    file = output.file
    if file.suffix not in SUFFIXES:
        raise UsageError(f"invalid file {str(file)!r} (choose from {', '.join(SUFFIXES)})")
    if file.is_dir():
        raise UsageError(f"{file} cannot be written: it is a folder")
    if not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written: no folder {file.parent}")
    if file.exists() and not output.force:
        raise UsageError(f"{file} already exists: --force overwrites it")
    if file.suffix != SUFFIXES[0]:
        refuse(["--plain"] if output.plain else [], f"{file} keeps its operators")
    elif lack := why_not(EXPORTERS, ONNXRUNTIME.install):
        raise UsageError(f"{file} cannot be written: {lack}")


def _tell(news: Mapping[str, Any]) -> None:
    say_traceback(news.get("traceback", ""))
    if news["phase"] in PHASES:
        tell(f"{PHASES[news['phase']]} ...")


def _text(found: Mapping[str, Any]) -> str:
    """What there is to be said of a file, a line each."""
    opset = f", opset {found['opset']}" if found["opset"] else ""
    lines = [f"{found['file']}: {found['bytes'] / MB:.1f} MB{opset}, in {found['seconds']:.1f} s"]
    for kind in ("inputs", "outputs"):
        for each in found[kind]:
            shape = "x".join(map(str, each["shape"]))
            lines.append(f"{kind.removesuffix('s')} {each['name']}: {each['dtype']} {shape}")
    return visible_lines("\n".join([*lines, _agreement(found["check"])]))


def _agreement(check: Mapping[str, Any]) -> str:
    """How far a file agrees with eager, in words."""
    if "why_not" in check:
        return f"not checked against eager: {check['why_not']}"
    error = check["dense_error"]
    said = [f"dense error {'not finite' if error is None else f'{error:.1e}'}"]
    for key, boxes in (("chosen", "chosen boxes"), ("matched", "detections")):
        if check[key] is not None:
            said.append(f"{100 * check[key]:.1f} % of {boxes} matched")
    return f"against eager in {check['run_in']}: {', '.join(said)}"
