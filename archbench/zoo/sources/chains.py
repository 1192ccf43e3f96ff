"""Chains of steps out of a library's networks: turned to channels first, and what they are
normalised by.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archbench.zoo.layers import Norm


class Turned(nn.Module):
    """A step with channels last within a chain whose maps are [B, C, H, W]."""

    def __init__(self, step: nn.Module, *, reads_images: bool) -> None:
        super().__init__()
        self.step = step
        self.reads_images = reads_images

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.step(x if self.reads_images else x.permute(0, 2, 3, 1))
        return made.permute(0, 3, 1, 2)


def turned(steps: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Turn the maps of steps with channels last, of which the first reads images."""
    first = next(iter(steps), None)
    return {name: Turned(step, reads_images=name == first) for name, step in steps.items()}


def norm_of(network: nn.Module) -> Norm:
    """What necks and heads are normalised by: as the network is, if by groups; else by batches,
    where it is at all.
    """
    layers = [layer for layer in network.modules() if "norm" in type(layer).__name__.lower()]
    if any(isinstance(layer, _BatchNorm) for layer in layers):
        return "bn"
    if any(isinstance(layer, nn.GroupNorm) and layer.num_groups > 1 for layer in layers):
        return "gn"
    return "bn" if layers else None
