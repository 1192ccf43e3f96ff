"""Rules for convolutions: plain, grouped, transposed, deformable."""

from __future__ import annotations

from typing import Any

from archbench.counting.rules.work import (
    Convolution,
    Product,
    Rule,
    Work,
    argument,
    as_tuple,
    check_types,
)


def _conv(*, groups_at: int, transposed: bool | None = False) -> Rule:
    """A rule for input, weight, bias, stride first; `transposed` None: the operator says so in its
    seventh argument.
    """

    def rule(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
        weight = args[1]
        check_types(args[0], weight)
        turned = bool(argument(args, kwargs, 6, "transposed")) if transposed is None else transposed
        stride = as_tuple(argument(args, kwargs, 3, "stride", 1), weight.ndim - 2)
        bias = argument(args, kwargs, 2, "bias")
        groups = argument(args, kwargs, groups_at, "groups", 1)
        return Convolution(args[0], weight, bias, out, stride, groups, turned)

    return rule


def _deformable(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """A deformable convolution multiplies as the convolution does whose taps it moves."""
    source, weight, bias, stride = args[:4]
    return Convolution(source, weight, bias, out, (stride, stride), 1, transposed=False)


def _torchvision_deformable(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    source, weight, bias, stride = args[0], args[1], args[4], (args[5], args[6])
    return Convolution(source, weight, bias, out, stride, args[11], transposed=False)


def _time_first(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """A convolution [T, B, C] by [k, C, O]."""
    source, weight, bias = args[:3]
    macs = out.numel() * weight.shape[0] * weight.shape[1]
    return Product((source, weight), out, macs, "convolution", (weight, bias))


CONVOLUTIONS: dict[str, Rule] = {
    **{f"aten::conv{n}d": _conv(groups_at=6) for n in (1, 2, 3)},
    **{f"aten::conv_transpose{n}d": _conv(groups_at=6, transposed=True) for n in (1, 2, 3)},
    "aten::convolution": _conv(groups_at=8, transposed=None),
    "aten::_convolution": _conv(groups_at=8, transposed=None),
    "aten::convolution_overrideable": _conv(groups_at=8, transposed=None),
    "aten::conv_tbc": _time_first,
    "archbench::deform_conv2d": _deformable,
    "torchvision::deform_conv2d": _torchvision_deformable,
}
