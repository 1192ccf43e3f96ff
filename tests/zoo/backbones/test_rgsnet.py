"""RGSNet: its shortcuts through ReLU and group norm, as far as they are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo import catalogue
from archbench.zoo.backbones.rgsnet import rg_shortcut, rgsnet
from archbench.zoo.contracts import Backbone


def test_the_shortcut_is_a_relu_and_a_normalisation_without_parameters() -> None:
    x = torch.randn(2, 8, 6, 6)
    expected = nn.functional.group_norm(x[..., ::2, ::2].relu(), 4)
    torch.testing.assert_close(rg_shortcut(8, 2)(x), expected)
    assert list(rg_shortcut(8).parameters()) == []


@pytest.mark.parametrize(("name", "norms"), [("b-rgsnet50", 16 + 12), ("res-rgsnet50", 16)])
def test_it_costs_what_resnet_50_does_and_is_approximate(name: str, norms: int) -> None:
    ours, original = archbench.cost(name), archbench.cost("resnet50")
    assert [getattr(ours, word) for word in ("params", "macs", "mac_eq1", "cio")] == [
        getattr(original, word) for word in ("params", "macs", "mac_eq1", "cio")
    ]
    network = archbench.build(name, device="meta")
    assert sum(isinstance(layer, nn.GroupNorm) for layer in network.modules()) == norms
    assert catalogue.find("backbone", name).approximate


@pytest.mark.parametrize("identity", [True, False])
def test_a_step_of_training_reaches_everything(
    identity: bool, trains: Callable[[Backbone, int], None]
) -> None:
    trains(rgsnet(blocks=[2, 2], identity=identity, stem="cifar", width=0.25), 16)
