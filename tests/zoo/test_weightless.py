"""Networks on the meta device are made without filling them, and are the same networks."""

from __future__ import annotations

import torch
from torch import nn

import archbench
from archbench.zoo.weightless import Weightless


def test_nothing_on_the_meta_device_is_filled_and_all_else_is() -> None:
    filled = torch.empty(3, device="cpu")
    with Weightless():
        layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        assert nn.init.uniform_(layer[0].weight) is layer[0].weight
        nn.init.constant_(filled, 2.0)
        seen = torch.zeros(2, device="cpu").fill_(3)
        real = nn.BatchNorm2d(2, affine=False, device="cpu"), nn.Linear(8, 8, device="cpu")
        made = torch.zeros(2, dtype=torch.int64), torch.ones((2, 3), requires_grad=True)
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"meta"}
    assert filled.tolist() == [2.0] * 3
    assert seen.tolist() == [3.0] * 2
    assert real[0].running_var.tolist() == [1.0, 1.0]
    assert real[1].weight.abs().max() > 0
    assert nn.Linear(8, 8).weight.std() > 0
    assert [(*each.shape, each.dtype, each.device.type, each.requires_grad) for each in made] == [
        (2, torch.int64, "meta", False),
        (2, 3, torch.float32, "meta", True),
    ]


def test_a_network_without_weights_is_the_network() -> None:
    empty, real = (
        archbench.build("vovnet27-slim", "ssd300", device=device) for device in ("meta", "cpu")
    )
    held = [
        {
            name: (tensor.shape, tensor.dtype, tensor.requires_grad, type(tensor))
            for name, tensor in (*network.named_parameters(), *network.named_buffers())
        }
        for network in (empty, real)
    ]
    assert held[0] == held[1]
    assert any(value.abs().sum() > 0 for value in real.parameters())
