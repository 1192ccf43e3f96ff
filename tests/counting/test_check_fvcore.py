"""An independent counter, fvcore, on real weights: its convolution and linear entries are our
multiply-accumulates.
"""

from __future__ import annotations

import pytest
import torch
from fvcore.nn import FlopCountAnalysis

import archbench

SIZE = 64


@pytest.mark.parametrize("pair", [("resnet50",), ("vovnet27-slim", "refinedet")], ids="+".join)
def test_fvcore_agrees(pair: tuple[str, ...]) -> None:
    network = archbench.build(*pair, size=SIZE)
    analysis = (
        FlopCountAnalysis(network, torch.zeros(1, 3, SIZE, SIZE))
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
    )
    theirs = analysis.tracer_warnings("none").by_operator()
    report = archbench.cost(*pair, size=SIZE)
    linear = sum(call.macs for call in report.calls if call.op == "linear")
    assert (theirs["conv"], theirs["linear"]) == (report.macs - linear, linear)
