"""Lend a module to a count: on the device of the count while that lasts, and afterwards as it was.

All that is reached from the module is noted before and put back: attributes, parameters, buffers,
hooks, lists, dicts, sets and objects that it holds. Nothing of the module is called for that, so an
overridden `train`, `to` or `__setattr__` has no say.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from archbench.counting.liveness import storage_key, storage_keys
from archbench.counting.slots import put_slots, slots_of

ATOMS = frozenset(
    (
        *(bool, int, float, complex, str, bytes, type(None), type, slice, range),
        *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
        *(FunctionType, BuiltinFunctionType, MethodType, ModuleType),
    )
)
"""Types of values that hold nothing which a pass could change."""
PLAIN = frozenset((dict, OrderedDict, list, set, deque))
"""Types of containers of which nothing is to be noted while they are empty but that they are."""
FOREIGN = frozenset(
    (
        *("torch", "numpy", "builtins", "functools", "typing", "types", "enum", "re", "logging"),
        *("threading", "weakref", "abc", "pathlib", "inspect", "ast", "_thread", "io", "random"),
    )
)
"""Packages whose objects are left alone, modules of torch.nn excepted."""

COMPILED = "OptimizedModule"
"""The type of what torch.compile gives, whose own place would load the compiler."""

Container = dict[Any, Any] | list[Any] | set[Any] | deque[Any]


class Belongings:
    """All that is reached from a module: modules, tensors, and containers with what they hold."""

    def __init__(self, module: nn.Module) -> None:
        self.modules: list[nn.Module] = []
        self.tensors: dict[int, Tensor] = {}
        self._kept: list[tuple[Container, Any]] = []
        self._empty: list[Container] = []
        self._slotted: list[tuple[Any, dict[str, Any]]] = []
        self._random: list[tuple[torch.Generator, Tensor]] = []
        self._collect([module])

    def _collect(self, waiting: list[Any]) -> None:
        """Note all that is reached from some values."""
        seen: set[int] = set()
        note, wait = self._empty.append, waiting.append
        while waiting:
            value = waiting.pop()
            key, kind = id(value), type(value)
            if key in seen:
                continue
            seen.add(key)
            # Whether a container is a tensor is not asked: torch takes long to answer.
            if kind not in PLAIN and isinstance(value, Tensor):
                self.tensors[key] = value
                continue
            held = self._held_by(value)
            for each in held.values() if isinstance(held, dict) else held:
                kind = type(each)
                if kind not in ATOMS:
                    (note if kind in PLAIN and not each else wait)(each)

    def _held_by(self, value: Any) -> Collection[Any]:
        """Note a value that is no tensor, and give what it holds."""
        if isinstance(value, nn.Module):
            self.modules.append(value)
            return self._kept_as(value.__dict__)
        if isinstance(value, dict | list | set | deque):
            return self._kept_as(value)
        if isinstance(value, tuple | frozenset):
            return value
        if isinstance(value, torch.Generator):
            self._random.append((value, value.get_state()))
        elif type(value).__module__.partition(".")[0] not in FOREIGN:
            slots = slots_of(value)
            if slots:
                self._slotted.append((value, slots))
            held = getattr(value, "__dict__", None)
            if type(held) is dict:
                self._kept_as(held)
                return [*held.values(), *slots.values()]
            return slots
        return ()

    def _kept_as(self, container: Container) -> Container:
        self._kept.append((container, container.copy()))
        return container

    def restore(self) -> None:
        """Put back what every container held."""
        for container in self._empty:
            if container:
                container.clear()
        for container, kept in self._kept:
            if isinstance(container, dict):
                if not (
                    len(container) == len(kept)
                    and all(map(is_, container, kept))
                    and all(map(is_, container.values(), kept.values()))
                ):
                    _restore_dict(container, kept)
            elif isinstance(container, set):
                if container != kept:
                    container.clear()
                    container |= kept
            elif not _are_same(container, kept):
                container.clear()
                container.extend(kept)
        for value, slots in self._slotted:
            put_slots(value, slots)
        for generator, drawn in self._random:
            generator.set_state(drawn)

    def replace(self, tensors: dict[int, Tensor]) -> None:
        """Put other tensors, by the identity of those that they stand for, into all containers."""
        for container, kept in self._kept:
            if isinstance(container, dict):
                slots: Any = kept.items()
            elif isinstance(container, set):
                continue
            else:
                slots = enumerate(kept)
            for key, value in slots:
                if isinstance(value, Tensor | tuple):
                    other = _replaced(value, tensors)
                    if other is not value:
                        container[key] = other
        for held, slots in self._slotted:
            put_slots(held, {name: _replaced(each, tensors) for name, each in slots.items()})


def _are_same(some: Collection[Any], others: Collection[Any]) -> bool:
    """Whether two hold the same objects in the same order."""
    return len(some) == len(others) and all(map(is_, some, others))


def _restore_dict(container: dict[Any, Any], kept: dict[Any, Any]) -> None:
    for key in [key for key in container if key not in kept]:
        del container[key]
    for key, value in kept.items():
        if key not in container or container[key] is not value:
            container[key] = value
    if list(container) != list(kept):
        container.clear()
        container.update(kept)


def _replaced(value: Any, tensors: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return tensors.get(id(value), value)
    if isinstance(value, tuple):
        parts = [_replaced(part, tensors) for part in value]
        if not _are_same(parts, value):
            return value._make(parts) if hasattr(value, "_make") else tuple(parts)
    return value


class Lent(Belongings):
    """A module as a count runs it: on a device, in evaluation mode, without its wrappings."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        super().__init__(module)
        self.device = device
        self.paths = paths(module)
        self.path = [""]
        """Where a pass is: the paths of the modules that are running, those inside last."""
        own = [sub.__dict__ for sub in self.modules]
        self._modes = [(each, each.get("training")) for each in own]
        self._bare = [each for each in own if "forward" not in each]
        self._followed: list[tuple[dict[str, Any], Callable[..., Any]]] = []
        self._moved = {
            key: _moved(tensor, device)
            for key, tensor in self.tensors.items()
            if tensor.device.type != device.type
        }
        self.storages = storage_keys(
            self._moved.get(key, tensor) for key, tensor in self.tensors.items()
        )
        """The storages that the module holds during a pass."""
        self._written: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        # A pass over shapes runs on tensors of its own; another may give these other data.
        self._views = [
            (tensor, tensor.detach())
            for key, tensor in self.tensors.items()
            if device.type != "meta" and key not in self._moved
        ]

    def prepare(self) -> None:
        """Make the module ready for a pass."""
        if self._moved:
            self.replace(self._moved)
        for sub in self.modules:
            own = sub.__dict__
            own["training"] = False
            if own.get("_compiled_call_impl") is not None:
                own["_compiled_call_impl"] = None
            inner = unwrapped(sub)
            if inner is not sub:
                own["forward"] = inner

    def follow(self) -> None:
        """Have a module that is ready keep track of where a pass is."""
        self._followed = self._followed or [
            (sub.__dict__, _followed(sub.forward, self.paths.get(sub, ""), self.path))
            for sub in self.modules
        ]
        for own, forward in self._followed:
            own["forward"] = forward

    def save(self, tensor: Tensor) -> None:
        """Note what a tensor holds that an operator is about to write to."""
        if tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        if storage._cdata not in self._written and storage.device.type != "meta":
            self._written[storage._cdata] = (storage, storage.clone())

    def restore(self) -> None:
        """Put back all containers and the values of all tensors that were written to."""
        for own, mode in self._modes:
            own["training"] = mode
        for own in self._bare:
            own.pop("forward", None)
        super().restore()
        for storage, values in self._written.values():
            if storage.nbytes() != values.nbytes():
                storage.resize_(values.nbytes())
            storage.copy_(values)
        self._written.clear()
        for tensor, view in self._views:
            if storage_key(tensor) != storage_key(view) or tensor.shape != view.shape:
                tensor.data = view.detach()


def _followed(forward: Callable[..., Any], path: str, stack: list[str]) -> Callable[..., Any]:
    def followed(*args: Any, **kwargs: Any) -> Any:
        stack.append(path)
        try:
            return forward(*args, **kwargs)
        finally:
            stack.pop()

    followed.__wrapped__ = forward  # type: ignore[attr-defined]
    return followed


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    moved = tensor.data.to(device)
    return (
        nn.Parameter(moved, requires_grad=tensor.requires_grad)
        if isinstance(tensor, nn.Parameter)
        else moved
    )


def paths(module: nn.Module) -> dict[nn.Module, str]:
    """Name every submodule by the first path to it."""
    found: dict[nn.Module, str] = {}

    def walk(at: nn.Module, path: str) -> None:
        found[at] = path
        for name, sub in at._modules.items():
            if sub is not None and sub not in found:
                walk(sub, f"{path}.{name}" if path else name)

    walk(module, "")
    return found


def unwrapped(module: nn.Module) -> nn.Module:
    """Find the module that a wrapper runs, itself where it is none: one that spreads batches over
    devices or compiles.
    """
    inner = module._modules.get("_orig_mod") if type(module).__name__ == COMPILED else None
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = module.module
    return unwrapped(inner) if inner is not None else module


@contextlib.contextmanager
def lent(module: nn.Module, device: torch.device) -> Iterator[Lent]:
    """Lend a module, and give it back as it was with the state of the process: random numbers, what
    parametrisations cache, the default dtype, the fused paths of attention.
    """
    parametrize: Any = sys.modules["torch.nn.utils.parametrize"]
    dtype = torch.get_default_dtype()
    cache, fused = parametrize._cache, torch.backends.mha.get_fastpath_enabled()
    with _random_state(device):
        state = Lent(module, device)
        try:
            # `parametrize.cached` keeps tensors here, whatever device they were computed on.
            parametrize._cache = {}
            # Fused, a layer of attention is one operator, which hides its products.
            torch.backends.mha.set_fastpath_enabled(False)
            yield state
        finally:
            parametrize._cache = cache
            torch.set_default_dtype(dtype)
            torch.backends.mha.set_fastpath_enabled(fused)


@contextlib.contextmanager
def _random_state(device: torch.device) -> Iterator[None]:
    numpy = sys.modules.get("numpy.random")
    drawn, numbers = random.getstate(), numpy.get_state() if numpy else None
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(drawn)
        if numpy:
            numpy.set_state(numbers)
