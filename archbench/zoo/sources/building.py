"""Whole networks and backbones from what a source makes: any module of torch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archbench.shapes import outputs_by_shape
from archbench.spec import UsageError
from archbench.zoo import sources
from archbench.zoo.catalogue import Network
from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import Norm

NEAR = 1.25
"""How far the input over a map may lie from a power of two, which small maps are rounded off."""


def build_whole(network: Network) -> nn.Module:
    """Build a network that is run as it is."""
    return _module(network, {"size": _size(network), "classes": network.spec.classes})


def build_backbone(network: Network) -> Backbone:
    """Build the backbone of a detector, which taps some of its maps."""
    assert network.detector
    taps, size = network.detector.taps, _size(network)
    module = _module(network, {"size": size, "taps": taps})
    if isinstance(module, Backbone):
        return module if "taps" in network.backbone.told else module.tapping(taps)
    return Maps(module, size, taps)


def _size(network: Network) -> tuple[int, int]:
    return network.spec.width, network.spec.height


def _module(network: Network, known: Mapping[str, Any]) -> nn.Module:
    """Make a network with the options that were given, and what it is told."""
    entry = network.backbone
    given = dict(network.spec.options)
    arguments = {key: value for key, value in network.backbone_options.items() if key in given} | {
        argument: known[what]
        for what, argument in entry.told.items()
        if known.get(what) is not None
    }
    made = sources.make(entry, arguments)
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise UsageError(f"{entry.builder} returns an object of type {kind}, not a torch.nn.Module")
    return made


class Maps(Backbone):
    """A backbone out of any module that gives maps [B, C, H, W] in a list, a tuple or a mapping.

    Channels and strides are found by a pass over shapes at `size` (width, height), without
    computing. Of the maps of one stride the deepest, which is the last, is a level.
    """

    def __init__(self, module: nn.Module, size: tuple[int, int], taps: tuple[str, ...]) -> None:
        nn.Module.__init__(self)
        self.module = module
        found = _stages(_maps(_outputs(module, size)), size)
        levels = {stage.level: index for index, stage in found.items()}
        for tap in taps:
            if tap not in levels:
                offered = ", ".join(
                    f"{found[i].level} (stride {found[i].stride})" for i in levels.values()
                )
                raise UsageError(
                    f"{type(module).__name__} has no {tap}; at {size[0]}x{size[1]} it gives "
                    f"{offered or 'no map at a stride that is a power of two'}"
                )
        self.taps = tuple(found[levels[tap]].name for tap in taps)
        self.stages = tuple(found.values())
        self.norm = _norm(module)
        self._inner = ()
        self.classifier_head = None
        self._places = {stage.name: index for index, stage in found.items()}

    def forward(self, images: Tensor, *, taps: Any = None) -> list[Tensor]:
        """Give the tapped maps for images [B, 3, H, W]."""
        maps = _maps(self.module(images))
        return [maps[self._places[tap]] for tap in (self.taps if taps is None else taps)]

    def split(self, *, dilated: bool = False) -> Any:
        """Refuse to be cut: a module does not say in which order its parts run."""
        raise UsageError(
            "its second stage runs the backbone's last part on crops, but "
            f"{type(self.module).__name__} cannot be split: only a Backbone of "
            "archbench.zoo.contracts has ordered stages"
        )


def _outputs(module: nn.Module, size: tuple[int, int]) -> Any:
    was_training = module.training
    try:
        return outputs_by_shape(module.eval(), size)
    finally:
        module.train(was_training)


def _maps(outputs: Any) -> list[Tensor]:
    """The maps among what a module gives, in its order."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    items = outputs if isinstance(outputs, list | tuple) else [outputs]
    maps = [item for item in items if isinstance(item, Tensor) and item.ndim == 4]
    if not maps:
        given = f"an object of type {type(items[0]).__name__}" if items else "nothing"
        raise UsageError(
            f"a backbone returns maps [B, C, H, W] in a list, a tuple or a mapping, not {given}"
        )
    return maps


def _stages(maps: list[Tensor], size: tuple[int, int]) -> dict[int, Stage]:
    """The maps at strides that are powers of two, as stages, by their places."""
    found = {}
    for index, item in enumerate(maps):
        ratio = size[1] / item.shape[2]
        stride = 1 << max(0, round(ratio).bit_length() - 1)
        stride = min((stride, 2 * stride), key=lambda near: max(near / ratio, ratio / near))
        if max(stride / ratio, ratio / stride) <= NEAR:
            found[index] = Stage(f"map{index + 1}", item.shape[1], stride)
    return found


def _norm(module: nn.Module) -> Norm:
    """The normalisation that a module is made with, which necks and heads follow."""
    if any(isinstance(layer, _BatchNorm) for layer in module.modules()):
        return "bn"
    return "gn" if any(isinstance(layer, nn.GroupNorm) for layer in module.modules()) else None
