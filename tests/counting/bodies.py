"""Modules of a line each: layers by name, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn

import archbench
from archbench.counting.report import Call, CostReport


class Body(nn.Module):
    """Calls a function with itself and the inputs; parameters and layers are given by name."""

    def __init__(self, function: Callable[..., Any], **held: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.function(self, *inputs, **named)


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape))


@dataclass(frozen=True)
class Case:
    """A module and its input, and the number that a suite expects for all of the batch."""

    module: Callable[[], nn.Module]
    given: Any
    theirs: int
    params: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def count(self, device: str = "auto") -> CostReport:
        torch.manual_seed(0)
        return archbench.count(self.module(), self.given, **{"device": device, **self.options})


def of_batch(report: CostReport) -> int:
    """All multiply-adds of all images."""
    return sum(round(call.images * call.macs) for call in report.calls)


def bias_adds(report: CostReport) -> int:
    """One for each output of a layer that adds a bias."""
    return sum(prod(call.out_shape) for call in report.calls if _has_bias(call))


def _has_bias(call: Call) -> bool:
    if call.kind == "convolution":
        assert call.mac_eq1 is not None
        assert call.cio is not None
        return call.params > call.mac_eq1 - call.cio
    return call.kind == "linear" and call.params > call.in_shape[-1] * call.out_shape[-1]
