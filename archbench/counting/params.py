"""Sort a module's scalars by kind."""

from __future__ import annotations

from collections import Counter

from torch import nn

from archbench.counting.report import ParamKinds

HOOKED = ("_g", "_v", "_orig")
"""Endings of parameters from which a hook makes a tensor."""


def param_kinds(module: nn.Module) -> ParamKinds:
    """Sort a module's scalars by kind; a parameter shared by several layers counts once."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    dense: set[int] = set()
    owners = _owners(module)
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                own, of = owners.get(id(parameter), (layer, name))
                kind = _kind(own)
                if (
                    isinstance(own, nn.modules.conv._ConvNd)
                    and own.groups == 1
                    and of == "weight"
                    and id(own) not in dense
                ):
                    dense.add(id(own))
                    counts["dense_conv_channels"] += own.out_channels
                word = kind if kind == "norm_scalars" or of != "bias" else "biases"
                counts[word if of in ("weight", "bias") else "other"] += parameter.numel()
        if _kind(layer) == "norm_scalars":
            counts["norm_buffers"] += sum(
                b.numel() for b in layer.buffers(recurse=False) if b.is_floating_point()
            )
    return ParamKinds(**counts)


def _owners(module: nn.Module) -> dict[int, tuple[nn.Module, str]]:
    """Find the layer and the name of what each original of a parametrised tensor stands for:
    parametrisations as submodules, and those by hooks, `weight_g`, `weight_v` and `weight_orig`.
    """
    owners = {}
    for layer in module.modules():
        for name in ("weight", "bias"):
            for ending in HOOKED:
                original = layer._parameters.get(f"{name}{ending}")
                if original is not None:
                    owners[id(original)] = layer, name
            parametrised = getattr(layer._modules.get("parametrizations"), name, None)
            for key, original in getattr(parametrised, "_parameters", {}).items():
                if key.startswith("original") and original is not None:
                    owners[id(original)] = layer, name
    return owners


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, nn.modules.conv._ConvNd):
        return "conv_weights"
    if isinstance(layer, nn.Linear):
        return "linear_weights"
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return "norm_scalars" if isinstance(layer, norms) else "other"
