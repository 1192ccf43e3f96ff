"""What a module is: the hash by which it is named, and the forms in which it is run elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

from torch import Tensor, nn

HASH_DIGITS = 6


def structure_hash(module: nn.Module) -> str:
    """Hash the classes of a module and of all within it, what they print of themselves, and the
    names, shapes and dtypes of what they hold; no values.
    """
    digest = hashlib.sha256()
    for path, part in module.named_modules(remove_duplicate=False):
        kind = type(part)
        digest.update(f"{path}\0{kind.__qualname__}\0{part.extra_repr()}\0".encode())
    for name, held in chain(module.named_parameters(), module.named_buffers()):
        digest.update(f"{name}\0{tuple(held.shape)}\0{held.dtype}\0".encode())
    return digest.hexdigest()[:HASH_DIGITS]


def tensors(outputs: Any) -> Iterator[Tensor]:
    """Give the tensors in whatever a module gives, in order."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from chain.from_iterable(map(tensors, outputs.values()))
    elif isinstance(outputs, list | tuple):
        yield from chain.from_iterable(map(tensors, outputs))
    elif is_dataclass(outputs):
        yield from chain.from_iterable(
            tensors(getattr(outputs, field.name)) for field in fields(outputs)
        )


class Named(nn.Module):
    """A module that takes its images by a name."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()
        self.module, self.name = module, name

    def forward(self, images: Tensor) -> Any:
        """Run the module."""
        return self.module(**{self.name: images})


class Flat(nn.Module):
    """A module whose outputs are a tuple of tensors, which any file can hold."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the module."""
        return tuple(tensors(self.module(images)))
