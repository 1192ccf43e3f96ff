"""What layers read of one another's outputs: mean absolute weights of a trained network, block by
block.

VoVNet (section 3.2, Figure 2), after DenseNet: in a block, what joins layers is a concatenation,
and each layer that reads it has weights for every layer that wrote a part of it. Which layers those
are is found by following channels through one forward pass on the meta device, so that any network
that concatenates has its blocks: dense, one-shot or otherwise aggregated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from archbench.api import build_spec
from archbench.measure.job.checkpoint import load_weights
from archbench.spec import Spec, UsageError

INPUT = "input"
Part = tuple[str, int]
"""Channels in a row and the layer that wrote them."""


@dataclass(frozen=True)
class Block:
    """The layers that write parts of one another's inputs, and those that read them: mean absolute
    weights, None: not connected.

    Rows are sources, columns targets, in the order of their calls. A layer goes by its number in
    the block, what the block begins with by "input", and what reads its end (a transition, an
    aggregation, a classifier) by its name.
    """

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    weights: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer as it was called: where its input's channels come from."""

    path: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Group:
    """The paths of layers that write parts of one concatenation, and the layers that read them with
    their names, in order.
    """

    sources: dict[str, str]
    """By path the number in the block; those that were read from nothing in it are its inputs."""
    readers: dict[str, Layer]
    """By name."""


def aggregation(spec: Spec, weights: Path) -> list[Block]:
    """Load a checkpoint of a network and give the blocks of its layers; raises UsageError where it
    has none.
    """
    groups = group_layers(follow(build_spec(spec, device="meta"), (1, 3, spec.height, spec.width)))
    if not groups:
        raise UsageError(
            f"{spec} has no block whose layers read several others: it concatenates nothing, or "
            "nothing of its own"
        )
    network = build_spec(spec)
    load_weights(network, weights)
    return [weigh(group, network) for group in groups]


def follow(network: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """Follow channels through a forward pass on the meta device; give every layer with the parts of
    its input.
    """
    channels = _Channels(
        {id(parameter): name.rpartition(".")[0] for name, parameter in network.named_parameters()}
    )
    with torch.no_grad(), channels:
        network(torch.empty(*shape, device="meta"))
    return channels.layers


class _Channels(TorchFunctionMode):
    """Knows which layer wrote each channel of a tensor."""

    def __init__(self, paths: dict[int, str]) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self._paths = paths
        self._parts: dict[int, tuple[Part, ...]] = {}
        self._kept: list[Tensor] = []
        """Every tensor of the pass, so that no two share an id; on the meta device they hold
        nothing.
        """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.ndim > 1:
            parts = self._write(func, args, kwargs or {}, out)
            if parts:
                self._parts[id(out)] = parts
                self._kept.append(out)
        return out

    def _write(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor
    ) -> tuple[Part, ...]:
        """Where the channels of a result come from; nothing where that cannot be said."""
        if func in (torch.conv2d, F.conv2d, F.linear):
            source, weight = args[0], args[1] if len(args) > 1 else kwargs["weight"]
            path = self._paths.get(id(weight), "")
            if path:
                self.layers.append(Layer(path, self._parts.get(id(source), ())))
            return ((path, out.shape[1]),) if path else ()
        if func in (torch.cat, torch.concat, torch.concatenate):
            if (args[1] if len(args) > 1 else kwargs.get("dim", 0)) in (1, 1 - out.ndim):
                read = [self._parts.get(id(tensor), (("", tensor.shape[1]),)) for tensor in args[0]]
                return tuple(part for parts in read for part in parts)
            return ()
        known = [
            self._parts[id(argument)]
            for argument in args
            if isinstance(argument, Tensor) and id(argument) in self._parts
        ]
        if len(known) == 1 and sum(channels for _, channels in known[0]) == out.shape[1]:
            return known[0]
        if len(known) > 1 and out.shape[1] == sum(channels for _, channels in known[0]):
            # What is added up is a source of its own; it goes by the layer that came last.
            return ((known[0][-1][0], out.shape[1]),)
        return ()


def group_layers(layers: Sequence[Layer]) -> list[Group]:
    """The blocks of a network, in the order of their calls: of layers that write one concatenation
    some read from it too.
    """
    sets: list[set[str]] = []
    for layer in layers:
        written = {path for path, _ in layer.parts}
        if len(written) > 1 and "" not in written:
            joined = [block for block in sets if block & written]
            sets = [block for block in sets if not block & written] + [
                set().union(written, *joined)
            ]
    by_path = {layer.path: layer for layer in layers}
    groups = [
        _group(by_path, sources)
        for sources in sorted(sets, key=lambda block: min(map(list(by_path).index, block)))
    ]
    return [
        group for group in groups if any(name in group.sources.values() for name in group.readers)
    ]


def _group(layers: dict[str, Layer], paths: set[str]) -> Group:
    """Number a block's layers and name those that read them.

    What a layer writes may have been read by another, before it: a bottleneck's narrow layer reads
    for the wide one. Of those that read one layer alone and write no part, such as a head on the
    block's input, none belongs to the block.
    """
    ordered = [path for path in layers if path in paths]
    entries = {path: _entry(layers, path, paths) for path in ordered}
    inputs = [path for path in ordered if not entries[path]]
    inner = [path for path in ordered if entries[path]]
    sources = {
        path: INPUT if len(inputs) == 1 else f"{INPUT} {index}"
        for index, path in enumerate(inputs, start=1)
    }
    sources |= {path: str(index) for index, path in enumerate(inner, start=1)}
    names = {entry: sources[path] for path, entry in entries.items() if entry}
    read = [
        layer
        for layer in layers.values()
        if layer.parts and {path for path, _ in layer.parts} <= paths
    ]
    others = [layer.path for layer in read if layer.path not in names and len(layer.parts) > 1]
    names |= {path: _short(path, others) for path in others}
    return Group(sources, {names[layer.path]: layer for layer in read if layer.path in names})


def _entry(layers: dict[str, Layer], path: str, sources: set[str]) -> str:
    """The layer by which what a layer writes was read from a block's sources; empty where it was
    not.
    """
    while True:
        written = {source for source, _ in layers[path].parts}
        if written and written <= sources:
            return path
        if len(written) != 1 or (path := written.pop()) not in layers:
            return ""


def _short(path: str, others: Sequence[str]) -> str:
    """The last word of a path, or all of it where that is not its alone."""
    words = [
        [step for step in each.split(".") if not step.isdigit()][-1] for each in (path, *others)
    ]
    return words[0] if words.count(words[0]) == 2 else path


def weigh(group: Group, network: nn.Module) -> Block:
    """Give the mean absolute weights of a block's layers."""
    columns = [_strengths(layer, network) for layer in group.readers.values()]
    rows = tuple(tuple(column.get(path) for column in columns) for path in group.sources)
    own = [path for path, name in group.sources.items() if not name.startswith(INPUT)]
    return Block(_common(own), tuple(group.sources.values()), tuple(group.readers), rows)


def _strengths(layer: Layer, network: nn.Module) -> dict[str, float]:
    """The mean absolute weight that a layer has for each layer that wrote a part of its input."""
    module = network.get_submodule(layer.path)
    weight = network.get_parameter(f"{layer.path}.weight").detach().double().abs()
    groups = getattr(module, "groups", 1)
    # The inputs of a group stand one after the other: [groups, outputs of a group, inputs of a
    # group, kernel].
    means = (
        weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
        .mean(dim=(1, 3))
        .flatten()
    )
    strengths: dict[str, list[float]] = {}
    start = 0
    for path, channels in layer.parts:
        strengths.setdefault(path, []).extend(means[start : start + channels].tolist())
        start += channels
    return {path: sum(values) / len(values) for path, values in strengths.items()}


def _common(paths: Sequence[str]) -> str:
    """What the paths of a block's layers begin with, without what says nothing."""
    shared = []
    for steps in zip(*(path.split(".") for path in paths), strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    words = shared[1:] if shared[:1] == ["backbone"] else shared
    return ".".join(words).removesuffix(".layers") or "network"
