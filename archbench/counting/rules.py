"""What an operator does, by its name: convolve, multiply by a weight, pool, normalise, or none of
that.

An operator arrives in one of two spellings: whole under inference mode (`aten.conv2d`,
`aten.linear`) and decomposed under no_grad (`aten.convolution`, `aten.addmm` on a transposed
weight). Both have a rule here and give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor


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
    def crops(self) -> int:
        """Images, or crops of images, in the call."""
        return self.source.shape[0] if self.source.ndim == self.weight.ndim else 1

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(self.weight.shape[2:])

    @property
    def positions(self) -> int:
        """Places of one crop at which the kernel is applied."""
        applied = self.source if self.transposed else self.out
        return prod(applied.shape[-len(self.kernel) :])


@dataclass(frozen=True)
class Product:
    """A matrix product: rows [.., k] times columns [k, ..]; `weight` is the operand that a layer
    would hold, if known.
    """

    source: Tensor
    weight: Tensor | None
    bias: Tensor | None
    out: Tensor
    depth: int
    certain: bool
    """Whether the operator itself says that this is a linear layer."""


@dataclass(frozen=True)
class Pool:
    """A pooling call: it reads `source` and writes `out`."""

    source: Tensor
    out: Tensor


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalisation call, which writes `out`."""

    out: Tensor


Work = Convolution | Product | Pool | BatchNorm
Rule = Callable[[tuple[Any, ...], dict[str, Any], Any], Work | None]


def _get(
    args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: Any = None
) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def _tuple(value: Any, length: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * length if len(values) == 1 else values


def _conv(*, groups_at: int, transposed: bool | None = False) -> Rule:
    """A rule for input, weight, bias, stride first; `transposed` None: the operator says so in its
    seventh argument.
    """

    def rule(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
        weight = args[1]
        turned = bool(_get(args, kwargs, 6, "transposed")) if transposed is None else transposed
        stride = _tuple(_get(args, kwargs, 3, "stride", 1), weight.ndim - 2)
        bias, groups = _get(args, kwargs, 2, "bias"), _get(args, kwargs, groups_at, "groups", 1)
        return Convolution(args[0], weight, bias, out, stride, groups, turned)

    return rule


def _deform_conv(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """A deformable convolution multiplies as the convolution does whose taps it moves."""
    source, weight, bias, stride = args[:4]
    return Convolution(source, weight, bias, out, (stride, stride), 1, transposed=False)


def _linear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Product(
        args[0], args[1], _get(args, kwargs, 2, "bias"), out, depth=args[0].shape[-1], certain=True
    )


def _matmul(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Product(args[0], args[1], None, out, depth=args[0].shape[-1], certain=False)


def _addmm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Product(args[1], args[2], args[0], out, depth=args[1].shape[-1], certain=False)


def _pool(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Pool(args[0], out[0] if isinstance(out, tuple) else out)


def _mean(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work | None:
    """A mean over both spatial dimensions of a map is a global average pool."""
    source, over = args[0], _get(args, kwargs, 1, "dim")
    spatial = (
        source.ndim == 4 and over is not None and {dim % 4 for dim in _tuple(over, 1)} == {2, 3}
    )
    return Pool(source, out) if spatial else None


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return BatchNorm(out[0] if isinstance(out, tuple) else out)


RULES: dict[str, Rule] = {
    **{f"aten::conv{n}d": _conv(groups_at=6) for n in (1, 2, 3)},
    "aten::conv_transpose1d": _conv(groups_at=6, transposed=True),
    "aten::conv_transpose2d": _conv(groups_at=6, transposed=True),
    "aten::conv_transpose3d": _conv(groups_at=6, transposed=True),
    "aten::convolution": _conv(groups_at=8, transposed=None),
    "aten::_convolution": _conv(groups_at=8, transposed=None),
    "archbench::deform_conv2d": _deform_conv,
    "aten::linear": _linear,
    "aten::mm": _matmul,
    "aten::matmul": _matmul,
    "aten::addmm": _addmm,
    "aten::mean": _mean,
    **{
        f"aten::{name}": _batch_norm
        for name in (
            "batch_norm",
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
            "cudnn_batch_norm",
        )
    },
    **{
        f"aten::{name}": _pool
        for name in (
            "max_pool2d",
            "max_pool2d_with_indices",
            "avg_pool2d",
            "adaptive_avg_pool2d",
            "_adaptive_avg_pool2d",
            "adaptive_max_pool2d",
        )
    },
}

MULTIPLIES = re.compile(
    r"conv(?!ert)|deform|(^|_)(hsp|ssp|s)?(b?add)?b?mm(_|$)|mv$|addr$|matmul|linear|dot$|einsum|inner$|cdist|lstm|(^|_)gru|(^|_)rnn|attention|transformer"
)
"""Names of operators that multiply matrices or convolve; one of them without a rule is reported,
never left out.
"""

RESAMPLES = re.compile(r"upsample|grid_sampler|interpolate")


def multiplies(name: str) -> bool:
    """Whether an operator, such as aten::bmm, multiplies matrices or convolves by its name."""
    word = name.partition("::")[2]
    return bool(MULTIPLIES.search(word)) and not RESAMPLES.search(word)
