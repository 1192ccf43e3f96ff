"""Rules for quantised layers, whose weights are packed into an object of the kernel's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from archbench.counting.rules.work import Convolution, Product, Rule, Unknown, Work


def unpacked(value: Any) -> list[Tensor]:
    """Give the weights, and then the biases, that a packed object holds; none of other objects and
    of kernels that do not give them back.
    """
    if not isinstance(value, torch.ScriptObject):
        return []
    packed: Any = value
    if packed._has_method("unpack"):
        try:
            return [part for part in packed.unpack() if part is not None]
        except RuntimeError:
            return []
    return _of_cell(packed.__getstate__()) if packed._has_method("__getstate__") else []


def _of_cell(state: Any) -> list[Tensor]:
    """The matrices and biases of a recurrent layer, nested in what is written of it."""
    waiting, tensors, packed = [state], [], []
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, tuple | list):
            waiting += part
        elif isinstance(part, Tensor):
            tensors.append(part)
        else:
            packed.append(unpacked(part))
    # Where biases stand alone, those that are packed with the matrices are the same.
    return [*tensors, *(part for each in packed for part in (each[:1] if tensors else each))]


def _packed_in(values: Iterable[Any]) -> Any:
    """The packed object among an operator's arguments, whose place differs; None without one."""
    return next((value for value in values if isinstance(value, torch.ScriptObject)), None)


def _linear(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    source, packed = args[0], _packed_in(args)
    weights = tuple(unpacked(packed))
    if not weights:
        return Unknown()
    return Product((source, weights[0]), out, out.numel() * source.shape[-1], "linear", weights)


def _conv(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    source, packed = args[0], _packed_in(args)
    weights = unpacked(packed)
    if not weights:
        return Unknown()
    weight, *bias = weights
    rank = out.ndim - 2
    # Kernels of one dimension are packed as those of two.
    weight = weight.reshape(*weight.shape[:2], *weight.shape[-rank:])
    stride = tuple(packed.stride()[-rank:])
    return Convolution(
        source,
        weight,
        bias[0] if bias else None,
        out,
        stride,
        packed.groups(),
        transposed=packed.transpose(),
    )


def _layers(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    lists = [value for value in args if isinstance(value, list | tuple)]
    cells = next((cells for cells in lists if _packed_in(cells) is not None), ())
    held = tuple(part for cell in cells for part in unpacked(cell))
    return _recurrent(args[0], held, out[0])


def _cell(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    held = tuple(part for packed in args[2:4] for part in unpacked(packed))
    return _recurrent(args[0], held, out[0] if isinstance(out, tuple) else out)


def _recurrent(source: Tensor, held: tuple[Tensor, ...], out: Tensor) -> Work:
    matrices = [part for part in held if part.ndim == 2]
    if not matrices:
        return Unknown()
    macs = source.shape[:-1].numel() * sum(matrix.numel() for matrix in matrices)
    return Product((source, *matrices), out, macs, "recurrent", held)


PACKED: dict[str, Rule] = {
    **{
        f"quantized::{name}": _linear
        for name in (
            *("linear", "linear_relu", "linear_leaky_relu", "linear_tanh"),
            *("linear_dynamic", "linear_relu_dynamic"),
            *("linear_dynamic_fp16", "linear_relu_dynamic_fp16"),
        )
    },
    **{
        f"quantized::{name}": _conv
        for n in (1, 2, 3)
        for name in (
            *(f"conv{n}d", f"conv{n}d_relu", f"conv{n}d_dynamic"),
            *(f"conv_transpose{n}d", f"conv_transpose{n}d_dynamic"),
        )
    },
    "quantized::conv2d_add": _conv,
    "quantized::conv2d_add_relu": _conv,
    "aten::quantized_lstm": _layers,
    "aten::quantized_gru": _layers,
    **{
        f"quantized::quantized_{name}_cell_dynamic": _cell
        for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
    },
}
