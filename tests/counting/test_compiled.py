"""What torch.compile is to compile, or has compiled, counts as it was written."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

import archbench

COMPILES = """
import sys, torch, archbench

class Compiles(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return torch.compile(lambda y: self.conv(y).relu())(x)

compiles = torch.compile
print(archbench.count(Compiles(), (2, 3, 8, 8)).macs, "torch._dynamo" in sys.modules)
print(torch.compile is compiles)
"""


def test_a_forward_pass_that_compiles_loads_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILES], capture_output=True, text=True)
    assert done.stdout.split() == [str(36 * 27 * 8), "False", "True"], done.stderr


class Attends(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        from torch.nn.attention.flex_attention import flex_attention

        return flex_attention(x, x[:, :, :48], x[:, :, :48])


class Calls(nn.Module):
    """Calls a function that was compiled before."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4))
        self.function = torch.compile(lambda x, w: (x @ w).relu(), fullgraph=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_function_that_was_compiled_is_seen(device: str) -> None:
    assert archbench.count(Calls(), (2, 5, 8), device=device).macs == 5 * 8 * 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_flexible_attention_counts_in_full() -> None:
    report = archbench.count(Attends(), (2, 4, 64, 16), device="auto")
    assert report.macs_by_kind["attention"] == report.macs_all == 4 * 64 * 48 * 32
    assert (report.uncounted, report.masked_calls) == ((), 0)
