"""Which networks a command is given: flags that name one, at one or several inputs and batches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated

import typer

from archbench.cli import completion
from archbench.cli.groups import given, refuse
from archbench.cli.messages import say
from archbench.cli.plugins import Plugins
from archbench.spec import (
    MAX_DIGITS,
    ONNX,
    PROGRAM,
    Spec,
    UsageError,
    origin_of,
    parse_options,
    parse_size,
)
from archbench.zoo import catalogue


@dataclass(frozen=True, kw_only=True)
class NetworkFlags:
    """Which network is asked for."""

    backbone: Annotated[
        str,
        typer.Argument(
            metavar="BACKBONE",
            autocompletion=completion.backbones,
            help="Backbone, such as vovnet39 (archbench list shows all), or your own network: a "
            "class or function, PATH.py:NAME or package.module:NAME, run in a separate process; a "
            "torch.export program, PATH.pt2; an ONNX graph, PATH.onnx.",
        ),
    ]
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="NAME",
            help="Detector, such as refinedet320. Default: none, a classifier.",
            autocompletion=completion.detectors,
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            "-s",
            metavar="SIZE",
            help="Input size in pixels: SIDE or WIDTHxHEIGHT, or several: 320,416,512. Default: "
            "the published size.",
        ),
    ] = None
    classes: Annotated[
        int | None,
        typer.Option(
            "--classes",
            metavar="N",
            help="Foreground classes. Without a detector, 0 builds the backbone alone.",
        ),
    ] = None
    proposals: Annotated[
        int | None,
        typer.Option(
            "--proposals",
            metavar="N",
            help="Proposals that the second stage of a two-stage detector processes.",
        ),
    ] = None
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="KEY=VALUE",
            help="Network option (archbench list options). Repeatable.",
        ),
    ] = None
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch", "-b", metavar="N", help="Batch size, or several: 1,2,4,8.  [default: 1]"
        ),
    ] = None
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code", help="Allow a .pt2 file to run the code it contains besides its graph."
        ),
    ] = False
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Measure training steps (SGD with momentum) instead of forward passes."
        ),
    ] = False
    plugin: Plugins = None

    def resolve(self) -> list[Spec]:
        """Find a spec for each input and batch that is asked for, in their order; a detector that
        pads its input is told of.
        """
        self._allow_code()
        sizes, batches = _listed("size", self.size), _listed("batch", self.batch)
        asked = [replace(self, size=size, batch=batch) for size, batch in product(sizes, batches)]
        specs = [each._one() for each in asked]
        for text in dict.fromkeys(map(NetworkFlags._padded, asked, specs)):
            if text:
                say(text)
        return list(dict.fromkeys(specs))

    def _padded(self, spec: Spec) -> str:
        """What is to be said of an input that a detector pads; empty for others."""
        is_as_asked = parse_size(self.size) in (None, (spec.width, spec.height))
        is_padded = not is_as_asked and origin_of(self.backbone) != ONNX
        return f"{spec.detector} pads images: the input is {spec.size}" if is_padded else ""

    def _one(self) -> Spec:
        batch = None if self.batch is None else _number(self.batch)
        if origin_of(self.backbone) == ONNX:
            return self._of_graph(batch)
        proposals = [f"proposals={self.proposals}"] if self.proposals is not None else []
        return catalogue.resolve(
            self.backbone,
            self.detector,
            size=self.size,
            classes=self.classes,
            batch=batch,
            mode="train" if self.train else "infer",
            options=parse_options([*(self.option or []), *proposals]),
        ).spec

    def _allow_code(self) -> None:
        """Let the code of an exported program run where that is asked for; raises UsageError where
        there is none to be allowed.
        """
        if not self.allow_code:
            return
        if origin_of(self.backbone) != PROGRAM:
            refuse(["--allow-code"], "--allow-code is for .pt2 files")
        catalogue.allow_code()

    def _of_graph(self, batch: int | None) -> Spec:
        """The spec of an ONNX graph, which says itself what else it is."""
        from archbench.counting.onnx import spec_of

        kept = replace(self, size=None, batch=None)
        refuse(given(kept), "a graph runs as exported")
        return spec_of(self.backbone, size=self.size, batch=batch)


def _listed(name: str, text: str | None) -> Sequence[str | None]:
    """The values of a flag that takes several, each once, in their order."""
    if text is None:
        return [None]
    values = [value.strip() for value in text.split(",")]
    if "" in values:
        raise UsageError(f"invalid {name} {text!r} (one value, or several separated by commas)")
    return list(dict.fromkeys(values))


def _number(text: str) -> int:
    """Read a batch."""
    if not re.fullmatch(r"[+-]?[0-9]+", text) or len(text) > MAX_DIGITS:
        raise UsageError(f"invalid batch {text!r} (a whole number, or several: 1,2,4,8)")
    return int(text)
