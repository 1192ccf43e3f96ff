"""Pre-activation ResNets: where the activation sits, and what the shortcuts add."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo.backbones.preact_resnet import PreactResidual, preact_resnet
from archbench.zoo.contracts import Backbone


def test_the_first_block_of_a_stage_projects_what_the_others_add_as_it_is() -> None:
    first = PreactResidual(4, 8, 2, bottleneck=False, first=True)
    later = PreactResidual(8, 8, 1, bottleneck=False, first=False).eval()
    assert [type(layer) for layer in first.branch] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.ReLU,
        nn.Conv2d,
    ]
    assert [type(layer) for layer in later.branch] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d] * 2
    assert isinstance(first.shortcut, nn.Conv2d)
    x = torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(later(x), later.branch(x) + x)


@pytest.mark.parametrize(
    ("bottleneck", "layers"), [(True, 1 + 3 * (3 + 1)), (False, 1 + 3 * (2 + 1))]
)
def test_a_stage_halves_in_its_first_convolution(bottleneck: bool, layers: int) -> None:
    backbone = preact_resnet(blocks=1, widths=[8, 16, 32], bottleneck=bottleneck)
    calls = archbench.count(backbone, (1, 3, 16, 16)).calls
    assert len(calls) == layers
    assert [call.path for call in calls if call.stride != (1, 1)] == [
        f"stage{stage}.0.{layer}" for stage in (2, 3) for layer in ("branch.0", "shortcut")
    ]


def test_the_last_map_is_activated() -> None:
    (out,) = preact_resnet(blocks=1, widths=[8, 16, 32]).eval()(torch.randn(2, 3, 16, 16))
    assert out.min() == 0
    assert out.shape == (2, 32, 4, 4)


@pytest.mark.parametrize("bottleneck", [True, False])
def test_a_step_of_training_reaches_everything(
    bottleneck: bool, trains: Callable[[Backbone, int], None]
) -> None:
    trains(preact_resnet(blocks=2, widths=[8, 16, 32], bottleneck=bottleneck), 16)
