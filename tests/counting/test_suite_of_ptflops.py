"""The cases of ptflops' suite: one multiply-add for each bias as well, and resizing counted, which
multiplies nothing here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bodies import Body, Case, bias_adds, of_batch
from torch import nn
from torch.nn import functional as F

import archbench

CASES: dict[str, Case] = {
    "a convolution": Case(lambda: nn.Sequential(nn.Conv2d(3, 2, 3)), (1, 3, 224, 224), 2759904, 56),
    "a transposed convolution": Case(
        lambda: nn.ConvTranspose2d(3, 2, 3, stride=(2, 2)), (1, 3, 224, 224), 3112706, 56
    ),
    "a linear layer": Case(lambda: nn.Sequential(nn.Linear(3, 2)), (1, 3), 8, 8),
    "of more dimensions": Case(lambda: nn.Linear(3, 2, bias=False), (1, 4, 5, 3), 120, 6),
    "of more dimensions, with a bias": Case(lambda: nn.Linear(3, 2), (1, 4, 5, 3), 160, 8),
    "an input that is made": Case(lambda: nn.Linear(3, 2), torch.ones(()).new_empty((1, 3)), 8, 8),
    "an input by name": Case(
        lambda: Body(lambda m, x: m.linear(x), linear=nn.Linear(3, 2)),
        (),
        8,
        8,
        {"kwargs": {"x": torch.ones(1, 3)}},
    ),
    "a dict of inputs": Case(lambda: nn.Linear(3, 2), {"input": torch.ones(1, 3)}, 8, 8),
    "a product with itself": Case(lambda: Body(lambda _, x: x.matmul(x.t())), (1, 10), 10, 0),
    "by function": Case(
        lambda: Body(lambda m, x: F.linear(x, m.layer.weight), layer=nn.Linear(3, 2)), (1, 3), 6, 8
    ),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_multiply_adds_with_those_of_biases(case: Case, device: str) -> None:
    report = case.count(device)
    assert of_batch(report) + bias_adds(report) == case.theirs
    assert (report.params, report.uncounted) == (case.params, ())


@pytest.mark.parametrize(
    "options",
    [
        {"size": (20, 20), "align_corners": False},
        {"size": 20, "align_corners": False},
        {"size": (20, 20)},
        {"size": 20},
        {"scale_factor": 2},
    ],
    ids=str,
)
def test_resizing_multiplies_nothing(options: dict[str, Any]) -> None:
    module = Body(lambda _, x: F.interpolate(x, mode="bilinear", **options))
    report = archbench.count(module, (1, 3, 10, 10))
    assert (report.params, report.macs_all, report.uncounted) == (0, 0, ())
