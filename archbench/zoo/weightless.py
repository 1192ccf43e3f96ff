"""Build networks on the meta device, where there is nothing to fill with initial weights, or with
their weights alone there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

FILLS: frozenset[Callable[..., Any]] = frozenset(
    (
        *(nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.normal_, nn.init.constant_),
        *(Tensor.uniform_, Tensor.normal_, Tensor.zero_, Tensor.fill_),
    )
)
"""What sets a tensor's values, all of them."""


class Weightless(DeviceContext):
    """Makes tensors on the meta device and leaves out what would fill them: a third of the time
    that layers take to be made.
    """

    def __init__(self) -> None:
        super().__init__(torch.device("meta"))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, on the meta device where it makes a tensor."""
        if func in FILLS:
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        return super().__torch_function__(func, types, args, kwargs)


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
        if func in FILLS:
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        if func is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)
