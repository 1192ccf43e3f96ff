"""Sort a module's scalars by kind."""

from __future__ import annotations

from collections import Counter

from torch import nn

from archbench.counting.report import ParamKinds


def param_kinds(module: nn.Module) -> ParamKinds:
    """Sort a module's scalars by kind; a parameter shared by several layers counts once."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for layer in module.modules():
        kind = _kind(layer)
        for name, parameter in layer.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                if (
                    isinstance(layer, nn.modules.conv._ConvNd)
                    and layer.groups == 1
                    and name == "weight"
                ):
                    counts["dense_conv_channels"] += layer.out_channels
                own = kind if kind == "norm_scalars" or name != "bias" else "biases"
                counts[own if name in ("weight", "bias") else "other"] += parameter.numel()
        if kind == "norm_scalars":
            counts["norm_buffers"] += sum(
                b.numel() for b in layer.buffers(recurse=False) if b.is_floating_point()
            )
    return ParamKinds(**counts)


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, nn.modules.conv._ConvNd):
        return "conv_weights"
    if isinstance(layer, nn.Linear):
        return "linear_weights"
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return "norm_scalars" if isinstance(layer, norms) else "other"
