"""Rules for recurrent layers: every matrix multiplies every step of every sequence once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from archbench.counting.rules.work import Product, Rule, Work

Parameters = Callable[[tuple[Any, ...]], Iterable[Tensor | None]]


def _recurrent(parameters: Parameters) -> Rule:
    """A rule for data [.., features] first, a row for each step, and the operator's parameters."""

    def rule(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
        held = tuple(tensor for tensor in parameters(args) if tensor is not None)
        steps = args[0].shape[:-1].numel()
        matrices = [tensor for tensor in held if tensor.ndim == 2]
        written = out[0] if isinstance(out, tuple) else out
        macs = steps * sum(matrix.numel() for matrix in matrices)
        return Product((args[0], *matrices), written, macs, "recurrent", held)

    return rule


def _of_layers(args: tuple[Any, ...]) -> Iterable[Tensor]:
    """The parameters of all layers: the last list of tensors among the arguments."""
    lists = [value for value in args if isinstance(value, list | tuple) and value]
    return next(value for value in reversed(lists) if isinstance(value[0], Tensor))


def _of_cell(args: tuple[Any, ...]) -> Iterable[Tensor | None]:
    return args[2:6]


def _of_one_direction(args: tuple[Any, ...]) -> Iterable[Tensor]:
    """Two matrices and two biases; without those the matrices are passed twice."""
    has_biases = args[12]
    return args[1:5] if has_biases else args[1:3]


RECURRENT: dict[str, Rule] = {
    **{f"aten::{name}": _recurrent(_of_layers) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
    **{
        f"aten::{name}_cell": _recurrent(_of_cell)
        for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
    },
    "aten::mkldnn_rnn_layer": _recurrent(_of_one_direction),
    "aten::_cudnn_rnn": _recurrent(_of_layers),
    "aten::miopen_rnn": _recurrent(_of_layers),
}
