"""The memory that training needs, by one step on the meta device: forward and backward run, nothing
is allocated or computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.counting.liveness import Liveness, storage_keys
from archbench.counting.state import Lent, lent
from archbench.shapes.blank import META
from archbench.shapes.devices import Stale, run_on_meta, tensors_in
from archbench.spec import UsageError


class Step(TorchDispatchMode):
    """Runs operators by shape and follows what lives."""

    def __init__(self, liveness: Liveness) -> None:
        super().__init__()
        self.liveness = liveness
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
        read = [*tensors_in(args), *tensors_in((kwargs or {}).values())]
        out = run_on_meta(func, args, kwargs or {}, read, self._stale)
        self.liveness.add(tensors_in((out,)))
        return out


def mean_square(outputs: Any) -> Tensor:
    """The loss of a network that has no labels: the sum over its raw outputs of their mean
    square.
    """
    found = list(_differentiable(outputs))
    if not found:
        raise UsageError("it returns no tensor with a gradient, in lists, tuples or mappings")
    return reduce(torch.add, (output.square().mean() for output in found))


def _differentiable(outputs: Any) -> Iterator[Tensor]:
    """Find the tensors that have a gradient in nested lists, tuples and mappings."""
    if isinstance(outputs, Tensor):
        if outputs.is_floating_point() and outputs.requires_grad:
            yield outputs
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from _differentiable(output)
    elif isinstance(outputs, Mapping):
        for output in outputs.values():
            yield from _differentiable(output)


def train_memory(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Find the most bytes that a training step on `inputs`, any device's, must hold at once, in the
    precision of the weights.

    Of parameters, buffers, inputs and SGD's momentum, which are there all the time, and of what
    autograd keeps for the backward pass, gradients and intermediate results as they come and go.
    Workspaces of a device's kernels, and what its optimiser needs while it runs, come on top. The
    module stays as it is. Raises RuntimeError or ValueError where it cannot be trained.
    """
    inputs = tuple(value.to(META) for value in inputs)
    with lent(module, META) as state:
        try:
            _prepare(state)
            parameters = list(module.parameters())
            resident = [*inputs, *parameters, *module.buffers()]
            liveness = Liveness(state.storages | storage_keys(inputs))
            with torch.enable_grad(), Step(liveness):
                mean_square(module(*inputs)).backward()
        finally:
            state.restore()
    momentum = [parameter for parameter in parameters if parameter.requires_grad]
    return liveness.peak_bytes + sum(
        tensor.untyped_storage().nbytes() for tensor in (*resident, *momentum)
    )


def _prepare(state: Lent) -> None:
    """Make a module ready for a step; what is on the meta device already is stood in for by what
    takes its gradients.
    """
    state.prepare()
    own = {key: _own(tensor) for key, tensor in state.tensors.items() if tensor.is_meta}
    state.replace(own)
    for sub in state.modules:
        sub.__dict__["training"] = True


def _own(tensor: Tensor) -> Tensor:
    shared = tensor.detach()
    is_parameter = isinstance(tensor, nn.Parameter)
    return nn.Parameter(shared, requires_grad=tensor.requires_grad) if is_parameter else shared
