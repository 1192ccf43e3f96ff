"""Shapes without computing: a network's passes on the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.shapes.devices import Stale, run_on_meta, tensors_in


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name the parameters and buffers of every submodule, each submodule once, by its first name.

    Under all names of a shared submodule `functional_call` would take what it put there for the
    module's own.
    """
    for path, sub in module.named_modules():
        for name, tensor in (*sub._parameters.items(), *sub._buffers.items()):
            if tensor is not None:
                yield f"{path}.{name}" if path else name, tensor


class _Shapes(TorchDispatchMode):
    """Runs operators by shape."""

    def __init__(self) -> None:
        super().__init__()
        self._stale = Stale()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from wrapping the mode for its compiler, which would load it."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        read = tensors_in((*args, *kwargs.values()) if kwargs else args)
        return run_on_meta(func, args, kwargs or {}, read, self._stale)


def map_sizes(features: nn.Module, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Find width and height of each map that a module gives for images of `size` (width, height),
    without computing them.

    Raises ValueError where the images are too small for it.
    """
    try:
        maps = outputs_by_shape(features, size)
    except RuntimeError as error:
        raise ValueError(str(error).strip().splitlines()[0]) from None
    return [(m.shape[-1], m.shape[-2]) for m in maps]


def outputs_by_shape(module: nn.Module, size: tuple[int, int]) -> Any:
    """Find what a module gives for two images of `size` (width, height), without computing it."""
    # Two images: in training mode a 1x1 map of one would have no statistics.
    images = torch.empty(2, 3, size[1], size[0], device="meta")
    held = dict(named_tensors(module))
    # A device that is set for making the network is asked of every function meanwhile, in Python.
    with torch.inference_mode(), torch._C.DisableTorchFunction(), _Shapes():
        if all(tensor.is_meta for tensor in held.values()):
            return module(images)
        empty = {name: tensor.detach().to("meta") for name, tensor in held.items()}
        return functional_call(module, empty, (images,), tie_weights=False)
