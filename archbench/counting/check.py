"""Hold a count against fvcore's, an independent counter that traces real weights."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archbench.counting.report import CostReport


@dataclass(frozen=True)
class Check:
    """Multiply-accumulates of one image, by kind, as fvcore and as we count them."""

    fvcore_conv: int
    fvcore_linear: int
    conv: int
    linear: int

    @property
    def agrees(self) -> bool:
        """Whether both kinds are equal to the unit."""
        return (self.fvcore_conv, self.fvcore_linear) == (self.conv, self.linear)

    def sentence(self) -> str:
        """The outcome in one sentence."""
        ours = f"convolutions {self.conv:,}, linear layers {self.linear:,}"
        if self.agrees:
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
    linear = sum(call.macs for call in report.calls if call.op == "linear")
    return Check(int(by_operator["conv"]), int(by_operator["linear"]), report.macs - linear, linear)
