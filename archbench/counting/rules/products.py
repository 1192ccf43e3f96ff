"""Rules for linear layers and matrix products."""

from __future__ import annotations

from typing import Any

from archbench.counting.rules.work import Product, Rule, Work, argument, check_types


def _linear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    source, weight = args[:2]
    check_types(source, weight)
    bias = argument(args, kwargs, 2, "bias")
    weights = (weight,) if bias is None else (weight, bias)
    return Product((source, weight), out, out.numel() * source.shape[-1], "linear", weights)


def _packed_linear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """A linear layer whose weight is packed into another form."""
    source, weight = args[:2]
    return Product((source, weight), out, out.numel() * source.shape[-1], "linear", (weight,))


def _product(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """Rows [.., k] times columns [k, ..], or two vectors."""
    check_types(*args[:2])
    return _scaled(args, kwargs, out)


def _scaled(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """The same of operands whose types may differ, as those of eight bits may."""
    return Product(args[:2], out, out.numel() * args[0].shape[-1])


def _grid(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """Positions [.., 3 or 4], homogeneous, of every image by its matrix [B, 2 or 3, 3 or 4]."""
    return Product(args[:1], out, out.numel() * args[0].shape[-1])


def _added_product(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    addend, *operands = args[:3]
    check_types(*operands)
    depth = operands[0].shape[-1]
    return Product(tuple(operands), out, out.numel() * depth, addend=addend)


def _summed_products(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """One sum over a batch of products [B, n, k] times [B, k, m]."""
    addend, first, second = args[:3]
    return Product((first, second), out, first.numel() * second.shape[-1], addend=addend)


def _outer(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    addend, *operands = args[:3]
    return Product(tuple(operands), out, out.numel(), addend=addend)


def _grouped(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """Products of several sizes in one: rows, columns or depths are shared out among them."""
    first, second = args[:2]
    groups = out.shape[0] if first.ndim == second.ndim == 2 else 1
    return Product((first, second), out, out.numel() * first.shape[-1] // groups)


PRODUCTS: dict[str, Rule] = {
    "aten::linear": _linear,
    "aten::mkldnn_linear": _packed_linear,
    "aten::_weight_int8pack_mm": _packed_linear,
    "aten::_weight_int4pack_mm": _packed_linear,
    "aten::_weight_int4pack_mm_for_cpu": _packed_linear,
    "aten::_mixed_dtypes_linear": _packed_linear,
    **{
        f"aten::{name}": _product
        for name in ("mm", "matmul", "bmm", "mv", "dot", "vdot", "_int_mm")
    },
    **{
        f"aten::{name}": _added_product
        for name in ("addmm", "addmm_", "baddbmm", "baddbmm_", "addmv", "addmv_")
    },
    "aten::_scaled_mm": _scaled,
    "aten::_addmm_activation": _added_product,
    "aten::addbmm": _summed_products,
    "aten::addbmm_": _summed_products,
    "aten::addr": _outer,
    "aten::affine_grid_generator": _grid,
    "aten::cudnn_affine_grid_generator": _grid,
    "aten::_grouped_mm": _grouped,
    "aten::_scaled_grouped_mm": _grouped,
}
