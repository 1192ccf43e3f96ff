"""Sort a module's scalars by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from torch import nn
from torch.nn.modules.conv import _ConvNd

from archbench.counting.report import ParamKinds
from archbench.counting.rules.packed import unpacked

PARAMETRISED = ("weight", "bias")
QUANTISED = "torch.ao.nn."
TOLD = "kind_of_weights"
"""The attribute by which what holds an exported layer's parameters says of which kind they are."""
HOOKED = ("_g", "_v", "_orig")
"""Endings of parameters from which a hook makes a tensor."""


def param_kinds(modules: Collection[nn.Module]) -> ParamKinds:
    """Sort the scalars of modules by kind; a parameter shared by several layers counts once."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    dense: set[int] = set()
    owners = _owners(modules)
    for layer in modules:
        for name, parameter in layer._parameters.items():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            own, of = owners.get(id(parameter), (layer, name))
            counts[_word(own, of)] += parameter.numel()
            if of == "weight" and id(own) not in dense and isinstance(own, _ConvNd):
                dense.add(id(own))
                counts["dense_conv_channels"] += own.out_channels if own.groups == 1 else 0
        if type(layer).__module__.startswith(QUANTISED):
            counts.update(_packed(layer))
        if layer._buffers and _kind(layer) == "norm_scalars":
            counts["norm_buffers"] += sum(
                buffer.numel()
                for buffer in layer._buffers.values()
                if buffer is not None and buffer.is_floating_point()
            )
    return ParamKinds(**counts)


def _packed(layer: nn.Module) -> Counter[str]:
    """Sort the scalars of a quantised layer, which are parameters no more."""
    counts: Counter[str] = Counter()
    for value in vars(layer).values():
        for part in unpacked(value):
            word = "biases" if part.ndim == 1 else "conv_weights" if part.ndim > 2 else ""
            is_recurrent = "rnn" in type(layer).__module__
            counts["other" if is_recurrent else word or "linear_weights"] += part.numel()
    return counts


def _owners(modules: Collection[nn.Module]) -> dict[int, tuple[nn.Module, str]]:
    """Find the layer and the name of what each original of a parametrised tensor stands for:
    parametrisations as submodules, and those by hooks, `weight_g`, `weight_v` and `weight_orig`.
    """
    owners = {}
    for layer in modules:
        held = layer._parameters
        for name in PARAMETRISED if held else ():
            for ending in HOOKED:
                original = held.get(f"{name}{ending}")
                if original is not None:
                    owners[id(original)] = layer, name
        parametrisations = layer._modules.get("parametrizations")
        for name in PARAMETRISED if parametrisations is not None else ():
            parametrised = getattr(parametrisations, name, None)
            for key, original in getattr(parametrised, "_parameters", {}).items():
                if key.startswith("original") and original is not None:
                    owners[id(original)] = layer, name
    return owners


def _word(layer: nn.Module, name: str) -> str:
    """The kind of a layer's parameter by its name."""
    if name not in PARAMETRISED:
        return "other"
    kind = _kind(layer)
    return "biases" if name == "bias" and kind != "norm_scalars" else kind


def _kind(layer: nn.Module) -> str:
    told = getattr(layer, TOLD, "")
    if told:
        return str(told)
    if isinstance(layer, _ConvNd):
        return "conv_weights"
    if isinstance(layer, nn.Linear):
        return "linear_weights"
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    return "norm_scalars" if isinstance(layer, norms) else "other"
