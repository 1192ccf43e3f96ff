"""Networks as ONNX files: exported once, for one input, with all that eager gives as outputs."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

OPSET = 20
LARGEST_FILE = 1_900_000_000
"""Bytes of weights up to which they lie in the file itself, which holds 2 GiB at most."""
INPUT = "images"


class ExportError(Exception):
    """A network that cannot be an ONNX file; `operator` names what cannot be held, if one is to
    blame.
    """

    def __init__(self, message: str, operator: str | None = None) -> None:
        super().__init__(message)
        self.operator = operator


@dataclass(frozen=True)
class Exported:
    """An ONNX file: its input is `images`; its outputs are the tensors of the raw predictions in
    their order, which `archbench.engines.outputs` puts together again.
    """

    path: Path
    seconds: float
    outputs: tuple[str, ...]
    """Named by where they stand in the raw predictions: regions.proposals."""
    opset: int = OPSET


def export(
    network: nn.Module, images: Tensor, path: Path, *, plain: frozenset[str] = frozenset()
) -> Exported:
    """Write a network in evaluation mode, as it runs on `images` [B, 3, H, W], to an ONNX file.

    Operators named in `plain` are made of plain ones, for engines that lack ONNX's own. Weights
    beyond 2 GB lie in a file beside it. Raises ExportError for a network that cannot be held.
    """
    start = time.perf_counter()
    program = traced(network, images)
    names = output_names(program)
    with torch.no_grad(), _quiet():
        converted = _converted(program, names, plain)
    large = sum(_bytes(tensor) for tensor in program.state_dict.values()) > LARGEST_FILE
    converted.save(path, external_data=large)
    return Exported(path, time.perf_counter() - start, names)


def traced(network: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Have torch export a network as it runs on images; raises ExportError where that cannot be."""
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(network, (images,), strict=False)
    except Exception as error:  # A user's own network may raise anything.
        raise ExportError(f"torch.export: {_first_line(error)}") from error


def output_names(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    """Name the tensors of the raw predictions by where they stand there."""
    tree = program.call_spec.out_spec
    assert tree is not None
    count = tree.num_leaves
    places, _ = pytree.tree_flatten_with_path(pytree.tree_unflatten([*range(count)], tree))
    words = (re.findall(r"\w+", pytree.keystr(place)) for place, _ in places)
    names = tuple(".".join(each) or "output" for each in words)
    if len({*names, INPUT}) > count:
        return names
    return tuple(f"output_{number}" for number in range(count))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of its own parts and of libraries that are not here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _converted(
    program: torch.export.ExportedProgram, names: Sequence[str], plain: frozenset[str]
) -> Any:
    from archbench.engines.onnx.translations import OF_TORCH, PLAIN, TRANSLATIONS

    # What registers the operators: a network from elsewhere need not have loaded it.
    from archbench.zoo.ops import deform, proposals, regions  # noqa: F401

    ours = {**TRANSLATIONS, **{name: PLAIN[name] for name in plain}}
    table = {
        getattr(library, name).default: translation
        for library, translations in ((torch.ops.archbench, ours), (torch.ops.aten, OF_TORCH))
        for name, translation in translations.items()
    }
    try:
        return torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=names,
            custom_translation_table=table,
            verbose=False,
            # Engines fold constants themselves, and this takes ten times as long as all else.
            optimize=False,
        )
    except Exception as error:
        raise _refusal(error) from error


def _refusal(error: BaseException) -> ExportError:
    """What the exporter's chain of errors comes to."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    found = re.search(r"op='([\w:.]+)'", str(cause))
    if found:
        name = found[1]
        return ExportError(f"ONNX has no translation of the operator {name}", name)
    return ExportError(f"torch.onnx.export: {_first_line(cause)}")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
