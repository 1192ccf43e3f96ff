"""SE and CBAM: their gates, and where they sit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo.backbones.attention_resnet import ChannelGate, SpatialGate, attention_resnet
from archbench.zoo.contracts import Backbone


def test_a_channel_gate_reads_the_means_and_the_maxima_apart() -> None:
    gate = ChannelGate(32, maxima=True)
    x = torch.randn(2, 32, 4, 4)
    logits = gate.gate(x.mean((2, 3))) + gate.gate(x.amax((2, 3)))
    torch.testing.assert_close(gate(x), x * logits.sigmoid()[..., None, None])
    gate.maxima = False
    torch.testing.assert_close(gate(x), x * gate.gate(x.mean((2, 3))).sigmoid()[..., None, None])


def test_a_spatial_gate_is_one_map() -> None:
    x = torch.randn(2, 5, 8, 8)
    gate = SpatialGate().eval()
    factors = gate(x) / x
    torch.testing.assert_close(factors, factors[:, :1].expand_as(x))


@pytest.mark.parametrize(
    ("name", "linear", "convolutions"),
    [("se-resnet50", 2 * 16 + 1, 0), ("cbam-resnet50", 4 * 16 + 1, 16)],
)
def test_a_gate_ends_every_branch(name: str, linear: int, convolutions: int) -> None:
    """CBAM's two calls of its linear layers count twice."""
    report = archbench.cost(name)
    assert sum(call.op == "linear" for call in report.calls) == linear
    assert len(report.calls) - linear == 53 + convolutions


@pytest.mark.parametrize("name", ["se-resnet50-gn", "cbam-resnet50-gn"])
def test_group_norm_replaces_every_normalisation(name: str) -> None:
    """A past bug: CBAM's spatial gates kept a batch norm."""
    plain = archbench.cost(name.removesuffix("-gn"))
    network = archbench.build(name, device="meta")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert (archbench.cost(name).params, archbench.cost(name).macs) == (plain.params, plain.macs)


@pytest.mark.parametrize("gate", ["se", "cbam"])
def test_a_step_of_training_reaches_everything(
    gate: str, trains: Callable[[Backbone, int], None]
) -> None:
    trains(attention_resnet(blocks=[1, 2], gate=gate, stem="cifar", width=0.25), 16)  # type: ignore[arg-type]
