"""Backbones out of torchvision's classifiers: the steps that they run one after another, up to what
pools their last map.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from torch import Tensor, nn

from archbench.shapes import outputs_by_shape
from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.sources.chains import norm_of, turned
from archbench.zoo.sources.fitting import Asked, Fit, Size, fitted

RUNS_OF_STEPS = ("features", "layers", "trunk_output", "blocks")
"""Parts that hold steps rather than being one."""
ENDS = ("avgpool", "norm", "classifier", "fc")
"""The part that comes first after the last map is one of these."""
BESIDE = ("aux1", "aux2", "AuxLogits")
"""Classifiers beside the chain, which run in training alone."""
CHANNELS_LAST = "SwinTransformer"


class Each(nn.Module):
    """What gives the map after each step of a chain."""

    def __init__(self, steps: dict[str, nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleDict(steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x := step(x) for step in self.steps.values()]


def tapped(network: nn.Module, size: Size, taps: Sequence[str], own: Size) -> Backbone:
    """Make the backbone of some taps out of a classifier, whose own input is `own`; raises
    UsageError as `fitted` does.
    """
    steps = steps_of(network)
    fit, places = fitted(lambda tried: _fit(steps, tried), Asked(size, taps, own))
    names = [fit.stages[place].name for place in places]
    return Backbone(steps, fit.stages, taps=names, norm=norm_of(network))


def steps_of(network: nn.Module) -> dict[str, nn.Module]:
    """The steps of a classifier before its last map is pooled, by their names."""
    steps: dict[str, nn.Module] = {}
    for name, part in network.named_children():
        if name in ENDS:
            break
        if name in RUNS_OF_STEPS:
            steps |= {f"{name}_{inner}": step for inner, step in part.named_children()}
        elif name not in BESIDE:
            steps[name] = part
    return turned(steps) if type(network).__name__ == CHANNELS_LAST else steps


def _fit(steps: dict[str, nn.Module], size: Size) -> Fit:
    """The last map of each stride, for images of a size."""
    found = outputs_by_shape(Each(steps).eval(), size)
    ends: dict[int, tuple[Stage, Size]] = {}
    for name, each in zip(steps, found, strict=True):
        height, width = each.shape[2:]
        stride = 2 ** round(log2(size[1] / height))
        ends[stride] = Stage(name, each.shape[1], stride), (width, height)
    stages, maps = zip(*ends.values(), strict=True)
    return Fit(stages, maps, size)
