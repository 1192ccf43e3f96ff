"""Rules for pools, reductions that may be pools, and batch normalisations."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archbench.counting.rules.work import BatchNorm, Pool, Reduction, Rule, Work, argument, as_tuple


def _pool(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Pool(args[0], out[0] if isinstance(out, tuple) else out)


def _reduction(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work | None:
    source, over = args[0], argument(args, kwargs, 1, "dim")
    if over is None or isinstance(over, Tensor):
        return None
    dims = frozenset(dim % max(1, source.ndim) for dim in as_tuple(over, 1))
    return Reduction(source, out[0] if isinstance(out, tuple) else out, dims)


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return BatchNorm(out[0] if isinstance(out, tuple) else out)


POOLS: dict[str, Rule] = {
    **{f"aten::{name}": _reduction for name in ("mean", "amax", "max")},
    **{
        f"aten::{name}{n}d{form}": _pool
        for n in (1, 2, 3)
        for name, form in (
            ("max_pool", ""),
            ("max_pool", "_with_indices"),
            ("mkldnn_max_pool", ""),
            ("avg_pool", ""),
            ("adaptive_avg_pool", ""),
            ("_adaptive_avg_pool", ""),
            ("mkldnn_adaptive_avg_pool", ""),
            ("adaptive_max_pool", ""),
            ("fractional_max_pool", ""),
        )
    },
}
NORMS: dict[str, Rule] = {
    f"aten::{name}": _batch_norm
    for name in (
        "batch_norm",
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "cudnn_batch_norm",
    )
}
