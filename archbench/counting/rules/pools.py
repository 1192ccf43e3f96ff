"""Rules for pools and batch normalisations."""

from __future__ import annotations

from typing import Any

from archbench.counting.rules.work import BatchNorm, Pool, Rule, Work, argument, as_tuple


def _pool(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return Pool(args[0], out[0] if isinstance(out, tuple) else out)


def _mean(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work | None:
    """A mean over both spatial dimensions of a map is a global average pool."""
    source, over = args[0], argument(args, kwargs, 1, "dim")
    spatial = (
        source.ndim == 4 and over is not None and {dim % 4 for dim in as_tuple(over, 1)} == {2, 3}
    )
    return Pool(source, out) if spatial else None


def _batch_norm(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    return BatchNorm(out[0] if isinstance(out, tuple) else out)


POOLS: dict[str, Rule] = {
    "aten::mean": _mean,
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
