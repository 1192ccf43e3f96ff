"""Inception v3 (Szegedy et al., Rethinking the Inception Architecture for Computer Vision, Table 1
and Figures 5 to 7).

Widths and the order of layers are those released in tensorflow/models, research/slim. A network is
a table of named rows; Inception-ResNet v2 is written in the same rows and shares the stem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol

from torch import nn

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import Branches, ConvNormReLU, Kernel, chain

Padding = Literal["valid", "same", "same-all"]


class Row(Protocol):
    """A row of a table: what makes a module, which keeps the size of a map or halves it."""

    @property
    def stride(self) -> int: ...

    def make(self, c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
        """Make the module for `c_in` channels and say how many it gives; `padded` pads what is
        `valid` too.
        """


@dataclass(frozen=True)
class Conv:
    """A convolution with batch norm and ReLU; a `valid` one has no padding."""

    kernel: Kernel
    width: int
    stride: int = 1
    valid: bool = False
    dilation: int = 1

    def make(self, c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
        # TensorFlow pads an even side by one cell less above and on the left; sizes are the same.
        padding = 0 if self.valid and not padded else None
        layer = ConvNormReLU(
            c_in,
            self.width,
            self.kernel,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
        )
        return layer, self.width


@dataclass(frozen=True)
class Pool:
    """A 3x3 pool; a `valid` one has no padding."""

    kind: Literal["avg", "max"]
    stride: int = 1
    valid: bool = False

    def make(self, c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
        padding = 0 if self.valid and not padded else 1
        if self.kind == "max":
            return nn.MaxPool2d(3, self.stride, padding), c_in
        # TensorFlow's means leave the padding out, torch's would count it.
        return nn.AvgPool2d(3, self.stride, padding, count_include_pad=False), c_in


class Mixed:
    """Branches, each a chain of rows, that read the same map and are concatenated."""

    def __init__(self, *branches: Sequence[Row]) -> None:
        self.branches = branches

    @property
    def stride(self) -> int:
        return prod(row.stride for row in self.branches[0])

    def make(self, c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
        branches, widths = zip(
            *(in_chain(rows, c_in, padded=padded) for rows in self.branches), strict=True
        )
        return Branches(*branches), sum(widths)


def in_chain(rows: Sequence[Row], c_in: int, *, padded: bool) -> tuple[nn.Module, int]:
    """Make rows that follow one another, and say how many channels the last gives."""
    parts = []
    for row in rows:
        part, c_in = row.make(c_in, padded=padded)
        parts.append(part)
    return parts[0] if len(parts) == 1 else chain(*parts), c_in


STEM: dict[str, Row] = {
    "conv1a": Conv(3, 32, stride=2, valid=True),
    "conv2a": Conv(3, 32, valid=True),
    "conv2b": Conv(3, 64),
    "pool3a": Pool("max", stride=2, valid=True),
    # Table 1 has a 3x3 to 80, a strided 3x3 to 192 and a 3x3 to 288 up to the first module.
    "conv3b": Conv(1, 80),
    "conv4a": Conv(3, 192, valid=True),
    "pool5a": Pool("max", stride=2, valid=True),
}


def mixed_5(pooled: int) -> Mixed:
    """The module at stride 8; `pooled` is the width of the 1x1 after its pool."""
    return Mixed(
        [Conv(1, 64)],
        # Figure 5 has a 3x3 in place of this 5x5.
        [Conv(1, 48), Conv(5, 64)],
        [Conv(1, 64), Conv(3, 96), Conv(3, 96)],
        [Pool("avg"), Conv(1, pooled)],
    )


def mixed_6(width: int) -> Mixed:
    """The module at stride 16, which has a 1x7 and a 7x1 for a 7x7 (Figure 6), with `width`
    channels inside.
    """
    return Mixed(
        [Conv(1, 192)],
        [Conv(1, width), Conv((1, 7), width), Conv((7, 1), 192)],
        [
            Conv(1, width),
            Conv((7, 1), width),
            Conv((1, 7), width),
            Conv((7, 1), width),
            Conv((1, 7), 192),
        ],
        [Pool("avg"), Conv(1, 192)],
    )


def mixed_7() -> Mixed:
    """The module at stride 32, two of whose branches end in a fork (Figure 7)."""
    fork = Mixed([Conv((1, 3), 384)], [Conv((3, 1), 384)])
    return Mixed(
        [Conv(1, 320)],
        [Conv(1, 384), fork],
        [Conv(1, 448), Conv(3, 384), fork],
        [Pool("avg"), Conv(1, 192)],
    )


TABLE: dict[str, Row] = {
    **STEM,
    "mixed_5b": mixed_5(32),
    "mixed_5c": mixed_5(64),
    "mixed_5d": mixed_5(64),
    "mixed_6a": Mixed(
        [Conv(3, 384, stride=2, valid=True)],
        [Conv(1, 64), Conv(3, 96), Conv(3, 96, stride=2, valid=True)],
        [Pool("max", stride=2, valid=True)],
    ),
    "mixed_6b": mixed_6(128),
    "mixed_6c": mixed_6(160),
    "mixed_6d": mixed_6(160),
    "mixed_6e": mixed_6(192),
    "mixed_7a": Mixed(
        [Conv(1, 192), Conv(3, 320, stride=2, valid=True)],
        [Conv(1, 192), Conv((1, 7), 192), Conv((7, 1), 192), Conv(3, 192, stride=2, valid=True)],
        [Pool("max", stride=2, valid=True)],
    ),
    "mixed_7b": mixed_7(),
    "mixed_7c": mixed_7(),
}
"""Steps are named for the released code's layers: conv1a is its Conv2d_1a_3x3."""


def trunk(table: Mapping[str, Row], padding: Padding, taps: Sequence[str] | None) -> Backbone:
    """Chain the rows of a table. A stage is the deepest row at its stride.

    `padding` "same" pads the valid rows, so that maps have ceil(side / stride) cells, except
    Mixed_7a's, which a two-stage detector runs on crops; "same-all" pads those too.
    """
    steps: dict[str, nn.Module] = {}
    deepest: dict[int, Stage] = {}
    channels, stride = 3, 1
    for name, row in table.items():
        padded = padding == "same-all" or (padding == "same" and name != "mixed_7a")
        steps[name], channels = row.make(channels, padded=padded)
        stride *= row.stride
        deepest[stride] = Stage(name, channels, stride)
    backbone = Backbone(steps, list(deepest.values()), taps=taps)
    backbone.preparation = Preparation(mean=(0.5,) * 3, std=(0.5,) * 3)
    return backbone


def inception_v3(*, padding: Padding, taps: Sequence[str] | None = None) -> Backbone:
    """Build Inception v3 without its auxiliary classifier."""
    return trunk(TABLE, padding, taps)
