"""Hold a count against independent counters: fvcore's, which traces real weights, and torch's."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archbench.counting.inputs import Inputs
from archbench.counting.passes import macs_by_operator
from archbench.counting.report import CostReport


@dataclass(frozen=True)
class TorchCheck:
    """All multiply-accumulates of one image, as torch's counter has them and as we do, and ours of
    operators for which it has no formula.
    """

    torch: int
    all: int
    without_formula: tuple[tuple[str, int], ...]

    @property
    def agrees(self) -> bool:
        """Whether both are equal to the unit but for those operators."""
        return self.torch == self.all - sum(macs for _, macs in self.without_formula)

    def sentence(self) -> str:
        """The outcome in one sentence."""
        left_out = ", ".join(f"{name} {macs:,}" for name, macs in self.without_formula)
        but = f", less those it has no formula for ({left_out})" if left_out else ""
        verb = "equals" if self.agrees else "DISAGREES with"
        return (
            f"check: torch's counter, {self.torch:,} multiply-adds, {verb} our {self.all:,}{but}."
        )


@dataclass(frozen=True)
class Check:
    """Multiply-accumulates of one image, by kind, as fvcore and as we count them."""

    fvcore_conv: int
    fvcore_linear: int
    conv: int
    linear: int
    torch: TorchCheck | None = None

    @property
    def agrees(self) -> bool:
        """Whether both kinds are equal to the unit, and torch's count where that was taken."""
        return self.agrees_with_fvcore and (self.torch is None or self.torch.agrees)

    @property
    def agrees_with_fvcore(self) -> bool:
        """Whether both kinds are equal to the unit."""
        return (self.fvcore_conv, self.fvcore_linear) == (self.conv, self.linear)

    def sentence(self) -> str:
        """The outcome in a sentence for each counter."""
        return self._of_fvcore() + (f" {self.torch.sentence()}" if self.torch else "")

    def _of_fvcore(self) -> str:
        ours = f"convolutions {self.conv:,}, linear layers {self.linear:,}"
        if self.agrees_with_fvcore:
            return (
                f"check: fvcore's convolution and linear entries equal ours: {ours} multiply-adds."
            )
        return (
            f"check: fvcore DISAGREES: it has convolutions {self.fvcore_conv:,}, linear layers "
            f"{self.fvcore_linear:,}; ours are {ours}."
        )


def check_against_fvcore(
    network: nn.Module, report: CostReport, shape: tuple[int, int, int]
) -> Check:
    """Count a network that has real weights with fvcore on one image [3, H, W].

    Its totals add normalisation and more; only its convolution and linear entries mean what ours
    mean.
    """
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import conv_flop_count, get_shape

    def deform_conv(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        source, weight, out = (get_shape(value) for value in (*inputs[:2], outputs[0]))
        return Counter({"conv": conv_flop_count(source, weight, out)})

    quiet = logging.getLogger("fvcore")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        analysis = (
            FlopCountAnalysis(network, torch.zeros(1, *shape))
            .unsupported_ops_warnings(False)
            .uncalled_modules_warnings(False)
        )
        analysis.tracer_warnings("none").set_op_handle("archbench::deform_conv2d", deform_conv)
        by_operator = analysis.by_operator()
    finally:
        quiet.setLevel(level)
    return Check(
        int(by_operator["conv"]),
        int(by_operator["linear"]),
        report.macs_convolution,
        report.macs_linear,
    )


def check_against_torch(network: nn.Module, shape: tuple[int, int, int]) -> TorchCheck:
    """Count a network with torch's counter on one image [3, H, W], on the meta device under
    no_grad, in which form it has its formulas.
    """
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    image = torch.empty(1, *shape, device="meta")
    known = {str(operator).replace(".", "::") for operator in flop_registry}
    with _untrained(network):
        ours = macs_by_operator(network, Inputs((image,)))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image)
    without = {name: macs for name, macs in ours.items() if name not in known and macs}
    return TorchCheck(counter.get_total_flops() // 2, ours.total(), tuple(sorted(without.items())))


@contextlib.contextmanager
def _untrained(network: nn.Module) -> Iterator[None]:
    """Have no parameter ask for a gradient: torch's counter fails on one that is a module's input,
    as it looks for the function that would compute it.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
