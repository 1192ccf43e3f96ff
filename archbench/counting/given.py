"""Read what a caller gives `count` as a module's input: a tensor, a shape, arguments by place or
name, or one object that holds tensors.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archbench.counting.inputs import BatchDim, Inputs, Shaped, leaves
from archbench.counting.state import unwrapped
from archbench.spec import UsageError

POSSIBLE = "give a tensor, a shape such as (1, 3, 224, 224), or the arguments in a tuple or a dict"


@dataclasses.dataclass(frozen=True)
class Given:
    """What a caller gives: the input, keyword arguments, the dtype of what is a shape alone, and
    where the batch is.
    """

    input: Any
    kwargs: Mapping[str, Any]
    dtype: torch.dtype | None
    batch_dim: BatchDim

    def read(self, module: nn.Module) -> list[Inputs]:
        """Make the arguments of the module's forward pass of it: the ways in which it can be read,
        the likeliest first. Raises UsageError where there is none.
        """
        if self.dtype is not None and not isinstance(self.dtype, torch.dtype):
            raise UsageError(
                f"invalid dtype {self.dtype!r}: give a torch.dtype, such as torch.int64"
            )
        if not isinstance(self.kwargs, Mapping):
            raise UsageError(f"invalid kwargs of type {_type(self.kwargs)}: give a dict by name")
        dtype = self.dtype or _floating_dtype(module)
        only_shapes = not leaves((self.input, self.kwargs))
        given = _shaped(self.input, dtype, everywhere=only_shapes)
        kwargs = {
            name: _shaped(value, dtype, everywhere=only_shapes)
            for name, value in self.kwargs.items()
        }
        read = _arguments(module, given, kwargs)
        return [Inputs(args, named, self.batch_dim) for args, named in read]


def _type(value: Any) -> str:
    return type(value).__name__


def _floating_dtype(module: nn.Module) -> torch.dtype:
    """The dtype in which a module takes its data: that of its first floating parameter."""
    held = (p.dtype for p in module.parameters() if p.dtype.is_floating_point and p.itemsize > 1)
    return next(held, torch.get_default_dtype())


def _is_sides(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and bool(value)
        and all(isinstance(side, int) and not isinstance(side, bool) for side in value)
    )


def _shaped(value: Any, dtype: torch.dtype, *, everywhere: bool) -> Any:
    """Read shapes as tensors: those that say their dtype, and all where there are no tensors."""
    if isinstance(value, tuple) and len(value) == 2:
        sides, of = value
        if isinstance(of, torch.dtype) and (sides == () or _is_sides(sides)):
            return _tensor(sides, of)
    if everywhere and _is_sides(value):
        return _tensor(value, dtype)
    if type(value) in (tuple, list):
        return type(value)(_shaped(part, dtype, everywhere=everywhere) for part in value)
    if type(value) is dict:
        return {key: _shaped(part, dtype, everywhere=everywhere) for key, part in value.items()}
    return value


def _tensor(sides: Sequence[int], dtype: torch.dtype) -> Shaped:
    if min(sides, default=0) < 0:
        raise UsageError(f"invalid shape {tuple(sides)}: a side is below 0")
    return Shaped(tuple(sides), dtype)


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _arguments(module: nn.Module, given: Any, kwargs: dict[str, Any]) -> list[Arguments]:
    """Tell whether an input is one argument, several by place, or several by name.

    A signature that takes anything does not tell: then it may be one as well.
    """
    one: Arguments = (given,), kwargs
    if isinstance(given, Tensor | Shaped):
        return [one]
    several = one
    if isinstance(given, tuple | list):
        several = tuple(given), kwargs
    elif isinstance(given, Mapping):
        if all(isinstance(name, str) for name in given):
            several = (), {**given, **kwargs}
    elif given is None or not leaves(given):
        at = type(given).__module__.partition(".")[0]
        hint = "; torch.from_numpy makes a tensor of it" if at == "numpy" else ""
        raise UsageError(f"invalid input of type {_type(given)}: {POSSIBLE}{hint}")
    if several is one or not given:
        return [one] if isinstance(given, Mapping) or several is one else [several]
    named = isinstance(given, Mapping) and not _names(module).issuperset(given)
    ways = [one, several] if named or hasattr(given, "_make") else [several, one]
    return [way for way in ways if _binds(module, *way)] or ways[:1]


def _signature(module: nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(unwrapped(module).forward)
    except (TypeError, ValueError):
        return None


def _names(module: nn.Module) -> set[str]:
    """Names of the arguments that a forward pass takes by name."""
    signature = _signature(module)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = signature.parameters.values() if signature else ()
    return {parameter.name for parameter in parameters if parameter.kind in by_name}


def _binds(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a forward pass takes these arguments, as far as its signature says."""
    signature = _signature(module)
    if signature is None:
        return True
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True
