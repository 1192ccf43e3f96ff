"""Build networks on the meta device, where there is nothing to fill with initial weights, or with
their weights alone there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext, _device_constructors

META = torch.device("meta")
MAKERS: frozenset[Callable[..., Any]] = frozenset(_device_constructors())
"""What makes a tensor on the device that is set."""
UNFILLED: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.zeros: torch.empty,
    torch.ones: torch.empty,
}
"""What makes the same tensor without filling it, which torch does in Python on the meta device."""
FILLS: frozenset[Callable[..., Any]] = frozenset(
    (
        *(nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.normal_, nn.init.constant_),
        *(Tensor.uniform_, Tensor.normal_, Tensor.zero_, Tensor.fill_),
    )
)
"""What sets a tensor's values, all of them."""
LAYERS: tuple[Any, ...] = (
    *(nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm),
    nn.Linear,
)
"""Layers of torch that fill their own tensors, in `reset_parameters`, once they are made."""


class Weightless(DeviceContext):
    """Makes tensors on the meta device and leaves out what would fill them."""

    def __init__(self) -> None:
        super().__init__(META)
        self._fills: list[tuple[Any, Callable[[nn.Module], None]]] = []

    def __enter__(self) -> None:
        # Each step of filling a layer would come here, a fifth of the time that networks take.
        self._fills = [(layer, layer.reset_parameters) for layer in LAYERS]
        for layer, fill in self._fills:
            layer.reset_parameters = _filling_real(fill)
        super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        for layer, fill in self._fills:
            layer.reset_parameters = fill

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, on the meta device where it makes a tensor."""
        kwargs = kwargs or {}
        if func in MAKERS:
            if kwargs.get("device") is None:
                return UNFILLED.get(func, func)(*args, **{**kwargs, "device": META})
        elif func in FILLS and (filled := _filled(args, kwargs)).is_meta:
            return filled
        return func(*args, **kwargs)


class WithoutWeights(TorchFunctionMode):
    """Makes layers' weights on the meta device and all else for real, such as default boxes: what
    postprocesses the predictions of a network takes no more.

    Layers make room for weights that they are about to fill, and nothing else does.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch; what makes room makes it on the meta device."""
        kwargs = kwargs or {}
        if func in FILLS and (filled := _filled(args, kwargs)).is_meta:
            return filled
        if func is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": META}
        return func(*args, **kwargs)


def _filled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The tensor that one of `FILLS` is called with."""
    return args[0] if args else kwargs["tensor"]


def _filling_real(fill: Callable[[nn.Module], None]) -> Callable[[nn.Module], None]:
    """Have a layer fill its tensors unless they are on the meta device."""

    def reset_parameters(layer: nn.Module) -> None:
        tensors = (*layer._parameters.values(), *layer._buffers.values())
        first = next((tensor for tensor in tensors if tensor is not None), None)
        if first is not None and not first.is_meta:
            fill(layer)

    return reset_parameters
