"""Rules for operators that are not torch's own: ours, torchvision's and what a user registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archbench.counting.report import KINDS, Kind
from archbench.counting.rules.work import Product, Rule, Work, nothing
from archbench.shapes.devices import tensors_in
from archbench.spec import UsageError

OWN_NAMESPACES = frozenset(
    [
        "aten",
        "prim",
        "prims",
        "quantized",
        "_quantized",
        "mkldnn",
        "onednn",
        "sparse",
        "c10d",
        "_c10d_functional",
    ]
)
"""Where torch's operators live, of which the name tells whether they multiply."""

NO_PRODUCTS: dict[str, Rule] = {
    **{
        f"archbench::{name}": nothing
        for name in (
            *("nms", "soft_nms", "propose", "detect"),
            *("crop_and_resize", "roi_align", "roi_pool"),
            *("position_sensitive_crop", "position_sensitive_align", "position_sensitive_pool"),
        )
    },
    **{
        f"torchvision::{name}": nothing
        for name in ("nms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")
    },
}
"""Suppression and region pooling, which select and interpolate."""

registered: dict[str, Rule] = {}
"""Rules of users, by the operator's name; they come before all others."""

Macs = Callable[..., int]


def rule(operator: str, *, kind: Kind = "other") -> Callable[[Macs], Macs]:
    """Register how many multiply-adds one call of an operator does, such as "mylib::fused_mlp".

    The function gets the operator's arguments and, by the name `out`, its output, whose shapes are
    all that may be read, and returns a number; 0 says that the operator multiplies nothing. It
    counts under `kind`, "convolution" and "linear" in `macs` too.

        @archbench.counting.rule("mylib::fused_mlp", kind="linear")
        def _(x, w1, w2, *, out):
            return x.shape[:-1].numel() * (w1.numel() + w2.numel())

    Raises UsageError for a name without a namespace or an unknown kind.
    """
    if not isinstance(operator, str) or operator.count("::") != 1:
        raise UsageError(
            f"invalid operator {operator!r}: give its name, such as 'mylib::fused_mlp'"
        )
    if kind not in KINDS:
        raise UsageError(f"invalid kind {kind!r} (choose from {', '.join(KINDS)})")

    def register(macs: Macs) -> Macs:
        registered[operator] = _work_of(operator, macs, kind)
        return macs

    return register


def _work_of(operator: str, count: Macs, kind: Kind) -> Rule:
    def counted(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work | None:
        macs = count(*args, **kwargs, out=out)
        if not isinstance(macs, int) or macs < 0:
            raise UsageError(
                f"the rule of {operator} gives {macs!r}, not a number of multiply-adds"
            )
        operands = tensors_in((*args, *kwargs.values()))
        written = [*tensors_in((out,)), *operands]
        return Product(tuple(operands), written[0], macs, kind) if macs and written else None

    return counted
