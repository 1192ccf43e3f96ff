"""Make the network of an exported program, with the weights that it was exported with."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources import ALLOW_CODE
from archbench.zoo.sources.library import LIBRARIES
from archbench.zoo.sources.library import load as import_library

WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Torch's own switch: no pickle is loaded but as tensors."""

KINDS = {
    **dict.fromkeys(("conv", "convolution", "conv_transpose"), "conv_weights"),
    "linear": "linear_weights",
    **dict.fromkeys(("batch_norm", "group_norm", "layer_norm", "rms_norm"), "norm_scalars"),
}
"""The kind of the weights that operators of torch's read, by their names."""


def make(entry: Entry, arguments: dict[str, Any]) -> nn.Module:
    """Load a program; raises UsageError where that cannot be, and for a detector to stand on it."""
    if "taps" in arguments:
        raise UsageError("an exported program runs whole, as it was exported")
    assert entry.images
    return Program(load(Path(entry.builder)), getattr(torch, entry.images.dtype))


def importable(entry: Entry) -> AbstractContextManager[None]:
    """A program imports nothing."""
    return nullcontext()


def facts(entry: Entry) -> dict[str, Any]:
    """What an environment says of a program: its file, and whether its code was allowed to run."""
    allowed = {"code_allowed": True} if os.environ.get(ALLOW_CODE) else {}
    return {"graph_file": entry.builder} | allowed


def load(path: Path) -> GraphModule:
    """Load a program's graph and tensors on the CPU; raises UsageError in one line."""
    try:
        _know_operators()
        with _as_tensors(), torch.device("cpu"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(path)
            # Guards are Python in the file, and take time in each call.
            graph: GraphModule = program.module(check_guards=False)
        # Of a fixed batch one image is counted too: what a program takes is checked by its entry.
        graph._forward_pre_hooks.clear()
        return graph
    except UnpicklingError:
        said = "it holds a pickle of more than tensors, which --allow-code lets load"
        raise UsageError(said) from None
    except Exception as error:  # Torch raises anything for a file that it cannot read.
        said = first_line(error) or type(error).__name__
        raise UsageError(f"torch {torch.__version__} cannot load it: {said}") from error


def _know_operators() -> None:
    """Import what defines the operators that a graph may call besides torch's own."""
    for name in ("deform", "nms", "proposals", "regions.crops", "regions.position_sensitive"):
        import_module(f"archbench.zoo.ops.{name}")
    if LIBRARIES["torchvision"].version:
        with suppress(UsageError):
            import_library("torchvision")


@contextmanager
def _as_tensors() -> Iterator[None]:
    """Have torch load pickles as tensors alone for a while, and say nothing of what it tries."""
    before = os.environ.get(WEIGHTS_ONLY)
    log = logging.getLogger("torch.export")
    was_disabled = log.disabled
    log.disabled = True
    if not os.environ.get(ALLOW_CODE):
        os.environ[WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        log.disabled = was_disabled
        if before is None:
            os.environ.pop(WEIGHTS_ONLY, None)
        else:
            os.environ[WEIGHTS_ONLY] = before


class Program(nn.Module):
    """An exported program as a network: images [B, 3, H, W] in, what was exported out."""

    def __init__(self, graph: GraphModule, dtype: torch.dtype) -> None:
        super().__init__()
        self.program = graph
        self.dtype = dtype
        for module, kind in _holders(graph):
            module.kind_of_weights = kind  # type: ignore[assignment]

    def forward(self, images: Tensor) -> Any:
        """Run the graph."""
        return self.program(images)

    def train(self, mode: bool = True) -> Program:
        """Stay as exported: a graph has one mode, and no module in it has any."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> Program:
        """Move the tensors, and the devices that the graph names; raises UsageError where the graph
        names the dtype that it is to leave.
        """
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
        if dtype is not None and dtype != self.dtype:
            self._check_cast(dtype)
            self.dtype = dtype
        super().to(*args, **kwargs)
        if device is not None:
            _move(self.program, device)
        return self

    def _check_cast(self, dtype: torch.dtype) -> None:
        own, wanted = (str(each).removeprefix("torch.") for each in (self.dtype, dtype))
        if self.dtype != torch.float32:
            raise UsageError(f"it was exported in {own}, not {wanted}: use its own precision")
        fixed = [node.target for node in _nodes(self.program) if self.dtype in _arguments(node)]
        if fixed:
            named = ", ".join(dict.fromkeys(map(str, fixed[::-1])))
            raise UsageError(
                f"it was exported in {own}, which its {named} requires: export it in {wanted} "
                "instead"
            )


def _holders(graph: GraphModule) -> Iterator[tuple[nn.Module, str]]:
    """Find the modules that hold the parameters of layers, which are layers no more themselves, and
    the kind of their weights.
    """
    modules = dict(graph.named_modules())
    for node in graph.graph.nodes:
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        kind = KINDS.get(re.sub(r"[123]d$", "", name), "")
        for argument in node.all_input_nodes if kind else ():
            path, _, of = str(argument.target).rpartition(".")
            if path in modules and argument.op == "get_attr" and of in ("weight", "bias"):
                yield modules[path], kind


def _nodes(graph: GraphModule) -> Iterator[Node]:
    for module in graph.modules():
        if isinstance(module, GraphModule):
            yield from module.graph.nodes


def _arguments(node: Node) -> list[Any]:
    return [*node.args, *node.kwargs.values()]


def _move(graph: GraphModule, device: torch.device) -> None:
    """Have a graph make its tensors on a device."""
    for module in graph.modules():
        if not isinstance(module, GraphModule):
            continue
        for node in module.graph.nodes:
            node.args = tuple(_on(item, device) for item in node.args)
            node.kwargs = {key: _on(item, device) for key, item in node.kwargs.items()}
        module.recompile()


def _on(item: Any, device: torch.device) -> Any:
    return device if isinstance(item, torch.device) else item
