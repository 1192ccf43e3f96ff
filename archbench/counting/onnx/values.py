"""What is known of a graph's tensors before anything runs: types, shapes, and data where it is
small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

from onnx import TensorProto, TypeProto
from onnx.helper import make_tensor_type_proto, tensor_dtype_to_np_dtype

FLOATING = frozenset(
    code for name, code in TensorProto.DataType.items() if re.match("B?FLOAT|DOUBLE", name)
)
"""Types of real numbers, by their codes."""
MICROSOFT = "com.microsoft"
RULED = frozenset(("", "ai.onnx.ml", MICROSOFT))
"""Domains whose operators are known by their names: onnx's and ONNX Runtime's."""
FLOAT_BYTES = 4
"""Bytes of a real number of whatever type the file keeps it in: figures of bytes are of fp32."""

Shape = tuple[int | None, ...]
T = TypeVar("T")


class UnknownShapeError(Exception):
    """A shape that is not known, and is asked for."""


@dataclass(slots=True, eq=False)
class Weight:
    """A tensor that the file holds; `kind`, what it is to the network, is found where it is
    used, and so is its size where it is packed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: int
    is_initializer: bool
    kind: str = ""
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = prod(self.shape)

    @property
    def is_floating(self) -> bool:
        return self.dtype in FLOATING


@dataclass(slots=True, eq=False)
class Storage:
    """Bytes in memory, and by how many names they are known."""

    bytes: int
    names: int = 0


@dataclass(slots=True, eq=False)
class Value:
    """A tensor by its type. `tensor` holds its data where that is known and small.

    A constant depends on no input of the network, and is made of the weights in `roots`; it is
    stored where they are not multiplied as matrices on the way. `writer` is the operator that
    writes it, `of_map` the shape of the map that it is a view of. What was in memory before has no
    `storage`.
    """

    type: TypeProto
    shape: Shape | None = None
    tensor: TensorProto | None = None
    roots: frozenset[Weight] = frozenset()
    is_constant: bool = False
    is_stored: bool = True
    writer: str = ""
    of_map: tuple[int, ...] = ()
    storage: Storage | None = None

    @property
    def is_known(self) -> bool:
        return self.shape is not None and None not in self.shape

    @property
    def sides(self) -> tuple[int, ...]:
        """The shape; raises UnknownShapeError where it, or a part of it, is not known."""
        if self.shape is None or None in self.shape:
            raise UnknownShapeError
        return self.shape  # type: ignore[return-value]

    @property
    def size(self) -> int:
        """Elements; raises UnknownShapeError."""
        return prod(self.sides)

    @property
    def dtype(self) -> int:
        return self.type.tensor_type.elem_type

    @property
    def bytes(self) -> int:
        """Bytes in fp32; 0 of what is not known."""
        return prod(self.sides) * item_bytes(self.dtype) if self.is_known else 0

    def is_like(self, other: Value) -> bool:
        """Whether all that is known of two tensors is the same."""
        return (
            self.shape == other.shape
            and self.dtype == other.dtype
            and self.is_constant == other.is_constant
            and self.tensor is None
            and other.tensor is None
        )


def value_of(kind: TypeProto | None) -> Value:
    """Make a value of a type; of an unknown one where there is none."""
    return Value(kind or TypeProto(), _shape(kind) if kind else None)


def told(kind: TypeProto, axes: Mapping[str, int]) -> Value:
    """Make a value of the type that a file says, in which axes may have names."""
    said = TypeProto()
    said.CopyFrom(kind)
    for dim in said.tensor_type.shape.dim:
        if dim.dim_param in axes:
            dim.dim_value = axes[dim.dim_param]
    return value_of(said)


def tensor_value(dtype: int, shape: Iterable[int | None] | None) -> Value:
    """Make a value of a tensor's type and shape."""
    return value_of(make_tensor_type_proto(dtype, None if shape is None else list(shape)))


def channels_first(sides: tuple[T, ...]) -> tuple[T, ...]:
    """The shape [B, C, H, W] of a map [B, H, W, C]."""
    return sides[:1] + sides[-1:] + sides[1:-1]


def channels_last(sides: tuple[T, ...]) -> tuple[T, ...]:
    """The shape [B, H, W, C] of a map [B, C, H, W]."""
    return sides[:1] + sides[2:] + sides[1:2]


def item_bytes(dtype: int) -> int:
    """Bytes of an element in memory."""
    if dtype in FLOATING:
        return FLOAT_BYTES
    try:
        return tensor_dtype_to_np_dtype(dtype).itemsize
    except KeyError:
        return 0


def _shape(kind: TypeProto) -> Shape | None:
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
        for dim in kind.tensor_type.shape.dim
    )
