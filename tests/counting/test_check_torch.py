"""Torch's own counter agrees to the unit, but for operators for which it has no formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.counting.check import TorchCheck, check_against_torch


class Attending(nn.Module):
    """Attention over the cells of a map, a recurrent layer, and a product with a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4, groups=1)
        self.lstm = nn.LSTM(16, 8, batch_first=True)
        self.score = nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x).flatten(2).mT
        y = F.scaled_dot_product_attention(y, y, y, is_causal=True)
        return torch.mv(self.lstm(y)[0][0], self.score)


def test_torch_agrees() -> None:
    module = Attending().to("meta").eval()
    check = check_against_torch(module, (3, 16, 16))
    report = archbench.count(module, (1, 3, 16, 16))
    assert check.agrees
    assert check.all == report.macs_all
    assert check.without_formula == (("aten::mv", 16 * 8),)
    assert "less those it has no formula for (aten::mv 128)" in check.sentence()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet", "densenet121"])
def test_torch_agrees_of_the_zoo(name: str) -> None:
    check = check_against_torch(archbench.build(name, device="meta"), (3, 224, 224))
    assert check.agrees
    assert check.torch == archbench.cost(name, size=224).macs_all


class Deep(nn.Module):
    """Gives a parameter to a submodule as its input."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 8))
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.token) + x.mean()


def test_a_parameter_may_be_an_input() -> None:
    module = Deep().to("meta")
    assert check_against_torch(module, (3, 4, 4)).agrees
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_difference_is_said() -> None:
    check = TorchCheck(torch=1, all=2, without_formula=())
    assert not check.agrees
    assert "torch's counter, 1 multiply-adds, DISAGREES with our 2." in check.sentence()
