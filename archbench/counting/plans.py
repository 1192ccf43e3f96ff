"""What is to be done with an operator when it is called, found once for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch._ops import HigherOrderOperator

from archbench.counting.rules import RULES, multiplies
from archbench.counting.rules.foreign import NO_PRODUCTS, OWN_NAMESPACES, registered
from archbench.counting.rules.work import Rule

PLAIN = frozenset(
    f"aten::{name}"
    for name in (
        *("reshape", "flatten", "unflatten", "contiguous", "chunk", "narrow", "to", "type_as"),
        *("expand_as", "view_as", "squeeze", "movedim", "moveaxis", "swapaxes", "adjoint", "mT"),
        *("numpy_T", "matrix_H", "flatten_dense_tensors", "tensor_split", "unsafe_chunk", "hsplit"),
        *("dropout", "dropout_", "feature_dropout", "alpha_dropout", "softmax", "log_softmax"),
        *("layer_norm", "group_norm", "instance_norm", "rms_norm", "selu", "relu6", "relu6_"),
        *("pad", "where", "meshgrid", "stack", "concat", "concatenate", "hstack", "vstack"),
        *("square", "std", "var", "cumsum", "multiply", "subtract", "divide", "special_expm1"),
        "size",
        *("pixel_shuffle", "upsample_bilinear2d", "upsample_nearest2d", "upsample_bicubic2d"),
        *("resolve_conj", "resolve_neg"),
        *("is_floating_point", "is_complex", "item", "result_type", "can_cast", "broadcast_to"),
    )
)
"""Composite operators that occur at every turn and hold no product."""
TRACKS = frozenset(
    f"aten::{name}"
    for name in (
        *("batch_norm", "native_batch_norm", "_batch_norm_impl_index", "cudnn_batch_norm"),
        *("miopen_batch_norm", "instance_norm"),
    )
)
"""Operators that write running statistics, arguments three and four, where the fifth says so,
though their schemas do not.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an operator is treated: by its rule, by what it is made of, or by its name alone."""

    name: str
    rule: Rule | None
    is_composite: bool = False
    is_named: bool = False
    is_foreign: bool = False
    is_mutable: bool = False
    moves_in_place: bool = False
    """Whether it reads and writes what it changes; one that makes a view of it does not."""
    tracks: bool = False

    @property
    def word(self) -> str:
        """The operator's name without its namespace."""
        return self.name.partition("::")[2]


def plan_of(func: Any) -> Plan:
    """Find how an operator is treated; a user's rule comes before all others."""
    plan = _plan_of(func)
    if registered and plan.name in registered:
        return replace(
            plan,
            rule=registered[plan.name],
            is_composite=False,
            is_named=False,
            is_foreign=False,
        )
    return plan


@cache
def _plan_of(func: Any) -> Plan:
    if isinstance(func, HigherOrderOperator):
        name = f"higher_order::{func.name()}"
        rule = RULES.get(name)
        return Plan(name, rule, is_named=rule is None)
    name = func._schema.name
    rule = RULES.get(name) or NO_PRODUCTS.get(name)
    is_composite = (
        rule is None
        and name not in PLAIN
        # No public function tells whether an operator is made of others.
        and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    )
    bare = rule is None and not is_composite
    is_mutable = func._schema.is_mutable
    return Plan(
        name,
        rule,
        is_composite,
        is_named=bare and multiplies(name),
        is_foreign=bare and name.partition("::")[0] not in OWN_NAMESPACES,
        is_mutable=is_mutable,
        moves_in_place=is_mutable and torch.Tag.inplace_view not in func.tags,
        tracks=name in TRACKS,
    )
