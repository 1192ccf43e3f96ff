"""Shapes without computing: outputs of the commonest operators on the meta device, without torch's
own meta kernels.

Torch's are written in Python: they load its compiler and sympy on first use, which takes longer
than a count, and are most of a count's time afterwards. A test holds these against them.

A forward pass under inference mode calls whole operators (`aten.conv2d`), a training step
decomposed ones and their backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.shapes.arithmetic import ARITHMETIC
from archbench.shapes.layers import LAYERS

OUTPUTS: dict[Any, Callable[..., Any]] = LAYERS | ARITHMETIC
"""An operator's output, or outputs, for its arguments; None leaves the call, and the error it may
deserve, to torch.
"""


def run_by_shape(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on the meta device, by `OUTPUTS` where it can."""
    shaped = OUTPUTS.get(func)
    out = shaped(*args, **kwargs) if shaped else None
    return func(*args, **kwargs) if out is None else out


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name the parameters and buffers of every submodule, each submodule once, by its first name.

    Under all names of a shared submodule `functional_call` would take what it put there for the
    module's own.
    """
    for path, sub in module.named_modules():
        for name, tensor in (
            *sub.named_parameters(recurse=False),
            *sub.named_buffers(recurse=False),
        ):
            yield f"{path}.{name}" if path else name, tensor


def on_meta(module: nn.Module) -> dict[str, Tensor]:
    """A module's parameters and buffers on the meta device, by name; the module stays as it is."""
    return {name: tensor.detach().to("meta") for name, tensor in named_tensors(module)}


class _Shapes(TorchDispatchMode):
    """Runs operators on the meta device by `OUTPUTS` where it can."""

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
        return run_by_shape(func, args, kwargs or {})


def map_sizes(features: nn.Module, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Find width and height of each map that a module gives for images of `size` (width, height),
    without computing them.

    Raises ValueError where the images are too small for it.
    """
    # Two images: in training mode a 1x1 map of one would have no statistics.
    images = torch.empty(2, 3, size[1], size[0], device="meta")
    try:
        with torch.inference_mode(), _Shapes():
            maps = functional_call(features, on_meta(features), (images,), tie_weights=False)
    except RuntimeError as error:
        raise ValueError(str(error).strip().splitlines()[0]) from None
    return [(m.shape[-1], m.shape[-2]) for m in maps]
