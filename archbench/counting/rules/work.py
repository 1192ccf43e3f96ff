"""What an operator did: a convolution, sums of products, a pool or a normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archbench.counting.report import Kind
from archbench.counting.tally import ConvolutionCall


@dataclass(frozen=True)
class Convolution:
    """A convolution call: its tensors, and whether the kernel is applied at its input's positions
    (transposed).
    """

    source: Tensor
    weight: Tensor
    bias: Tensor | None
    out: Tensor
    stride: tuple[int, ...]
    groups: int
    transposed: bool

    @property
    def call(self) -> ConvolutionCall:
        """The same by shapes alone."""
        return ConvolutionCall(
            source=tuple(self.source.shape),
            weight=tuple(self.weight.shape),
            out=tuple(self.out.shape),
            bias=0 if self.bias is None else self.bias.numel(),
            stride=self.stride,
            groups=self.groups,
            is_transposed=self.transposed,
        )


@dataclass(frozen=True)
class Product:
    """Sums of products: `operands` are multiplied, the first is the data, with `macs`
    multiply-adds in all.

    `weights` are those that the operator itself says a layer holds. Without a `kind` the product
    is linear where an operand is a parameter or a buffer, and other elsewhere.
    """

    operands: tuple[Tensor, ...]
    out: Tensor
    macs: int
    kind: Kind | None = None
    weights: tuple[Tensor, ...] = ()
    addend: Tensor | None = None


@dataclass(frozen=True)
class Attention(Product):
    """Scaled dot products, counted in full: a causal mask leaves `left_out` of them out, one given
    as a tensor an unknown number.
    """

    left_out: int = 0
    has_mask: bool = False


@dataclass(frozen=True)
class Pool:
    """A pooling call: it reads `source` and writes `out`."""

    source: Tensor
    out: Tensor


@dataclass(frozen=True)
class Reduction:
    """A mean or a maximum of `source` over the dimensions `over`: a global pool where these are the
    spatial ones of a map.
    """

    source: Tensor
    out: Tensor
    over: frozenset[int]


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalisation call, which writes `out`."""

    out: Tensor


@dataclass(frozen=True)
class Unknown:
    """Multiply-adds whose number a call does not tell."""


Work = Convolution | Product | Pool | Reduction | BatchNorm | Unknown
Rule = Callable[[tuple[Any, ...], dict[str, Any], Any], Work | None]
"""What an operator did, by its arguments and its output; None: nothing that counts."""


def argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: Any = None
) -> Any:
    """Find an operator's argument by its place or its name."""
    return args[index] if len(args) > index else kwargs.get(name, default)


def as_tuple(value: Any, length: int) -> tuple[int, ...]:
    """Spell one value for all dimensions out."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * length if len(values) == 1 else values


def check_types(*operands: Tensor) -> None:
    """Raise RuntimeError where operands differ in dtype, which the meta device does not mind and
    every other refuses; with automatic casts they may.
    """
    first = operands[0].dtype
    for other in operands[1:]:
        if other.dtype is not first and not _casts():
            raise RuntimeError(f"expected operands of one dtype, got {first} and {other.dtype}")


def _casts() -> bool:
    """Whether a pass is inside of torch.autocast, which torch does not tell where operators are
    seen, but for how deep.
    """
    depth = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return depth > 1


def nothing(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
    """Say that an operator multiplies nothing."""
