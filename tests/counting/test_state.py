"""The module stays as it is, and so does the process."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

import archbench

IMAGE = torch.randn(1, 3, 8, 8)
DEVICES = pytest.mark.parametrize("device", ["meta", "cpu"])


class Grid(nn.Module):
    """Keeps what it made for the last shape, in an attribute and in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shape, self.grid = nn.Conv2d(3, 4, 1), None, None
        self.kept: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.shape != y.shape[-2:]:
            self.shape = y.shape[-2:]
            self.grid = torch.linspace(0, 1, y.shape[-1], device=y.device)
            self.kept["grid"] = self.grid
        return y * self.grid


@DEVICES
def test_what_a_module_keeps_is_forgotten(device: str) -> None:
    head = Grid()
    archbench.count(head, (1, 3, 8, 8), device=device)
    assert (head.shape, head.grid, head.kept) == (None, None, {})
    head(IMAGE).sum().backward()
    assert head.conv.weight.grad is not None


class Merged(nn.Linear):
    """Merges its adapter in evaluation mode, and takes it apart for training."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.a, self.b = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.randn(4, 2))
        self.merged = False

    def train(self, mode: bool = True) -> Merged:
        super().train(mode)
        if mode == self.merged:
            self.weight.data += (self.b @ self.a) * (-1 if mode else 1)
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        return y if self.merged else y + x @ self.a.t() @ self.b.t()


@DEVICES
def test_an_overridden_train_is_not_called(device: str) -> None:
    layer = Merged()
    before = layer.weight.clone()
    archbench.count(layer, (2, 4), device=device)
    assert torch.equal(layer.weight, before)
    assert (layer.training, layer.merged) == (True, False)


class Writing(nn.Module):
    """Writes to a parameter, a buffer, a plain tensor and its input."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.runs = nn.Buffer(torch.zeros(1))
        self.plain = torch.zeros(4)

    def forward(self, x: Tensor) -> Tensor:
        self.linear.weight.data.mul_(2)
        self.runs += 1
        self.plain[:2] = 1
        return self.linear(x.add_(1)) + self.plain + torch.rand(1, device=x.device)


@DEVICES
def test_what_a_pass_writes_to_is_put_back(device: str) -> None:
    module, x = Writing(), torch.zeros(2, 4)
    before = [t.clone() for t in (module.linear.weight, module.runs, module.plain, x)]
    torch.manual_seed(0)
    drawn, numbers = torch.get_rng_state(), random.getstate()
    archbench.count(module, x, device=device)
    after = (module.linear.weight, module.runs, module.plain, x)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert random.getstate() == numbers
    assert "forward" not in module.__dict__


def test_the_process_is_as_it_was() -> None:
    conv = parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
    with parametrize.cached():
        archbench.count(conv, (1, 3, 8, 8))
        assert not conv(IMAGE).is_meta
    assert torch.backends.mha.get_fastpath_enabled()


class Scaled(nn.Module):
    """Multiplies by a constant that it makes on the CPU, on the left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.half = torch.tensor(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.maximum(torch.tensor(0.0), self.conv(self.half * x))
        return F.gelu(y) * torch.linspace(0, 1, y.shape[-1])


def test_constants_on_the_cpu_join_the_meta_device() -> None:
    reports = [
        archbench.count(Scaled(), (1, 3, 64, 64), device=device) for device in ("meta", "cpu")
    ]
    assert reports[0].macs == reports[1].macs == 64 * 64 * 27 * 16
    assert reports[0].activation_peak_bytes == reports[1].activation_peak_bytes


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3), nn.Linear(288, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.conv(x).flatten(1))


@DEVICES
@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda net: nn.Sequential(nn.DataParallel(net)),
        torch.optim.swa_utils.AveragedModel,
        torch.fx.symbolic_trace,
        lambda net: torch.export.export(net.eval(), (IMAGE,)),
    ],
    ids=["data parallel", "inside", "averaged", "fx", "exported"],
)
def test_wrapped_modules_are_counted_through(wrap: Any, device: str) -> None:
    assert archbench.count(wrap(Net()), (1, 3, 8, 8), device=device).macs == 36 * 216 + 1440


def test_a_scripted_module_is_refused_in_one_line() -> None:
    with pytest.raises(archbench.UsageError, match="TorchScript at '0'") as caught:
        archbench.count(nn.Sequential(torch.jit.script(Net())), (1, 3, 8, 8))
    assert "cpu" not in str(caught.value)
