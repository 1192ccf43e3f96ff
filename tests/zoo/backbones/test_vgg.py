"""VGG-16: what follows conv5_3, the rounding of its pools, taps before a ReLU."""

from __future__ import annotations

import pytest
import torch

import archbench
from archbench.zoo.backbones.vgg import vgg16


@pytest.mark.parametrize(
    ("fc", "side", "channels", "dilation"),
    [
        ("none", 20, 512, 1),
        ("conv", 20, 1024, 6),
        ("conv-s2", 10, 1024, 3),
        ("conv-d3", 20, 1024, 3),
    ],
)
def test_the_forms_of_fc6_and_fc7(fc: str, side: int, channels: int, dilation: int) -> None:
    trunk = archbench.build("vgg16", classes=0, fc=fc, device="meta")
    last = archbench.cost("vgg16", classes=0, fc=fc, size=320).calls[-1]
    assert last.out_shape == (1, channels, side, side)
    assert (trunk.stages[-1].channels, 320 // trunk.stages[-1].stride) == (channels, side)
    assert (trunk.fc6 if fc != "none" else trunk.conv5_3)[0].dilation == (dilation, dilation)


def test_linear_layers_take_any_input() -> None:
    """A map of another size is brought to 7x7 first."""
    assert (
        archbench.cost("vgg16", size=224).params
        == archbench.cost("vgg16", size=320).params
        == 138_357_544
    )


@pytest.mark.parametrize(("pool_ceil", "side"), [(False, 37), (True, 38)])
def test_pools_round_down_or_up(pool_ceil: bool, side: int) -> None:
    calls = {
        call.path: call
        for call in archbench.cost("vgg16", classes=0, size=300, pool_ceil=pool_ceil).calls
    }
    assert calls["conv4_3.0"].out_shape[-1] == side


def test_a_convolution_may_be_tapped_before_its_relu() -> None:
    torch.manual_seed(0)
    taps = ("conv4_3_linear", "conv4_3", "fc7_linear")
    backbone = vgg16(fc="conv-d3", pool_ceil=True, taps=taps).eval()
    assert [(stage.name, stage.channels, stage.stride) for stage in backbone.tapped] == [
        ("conv4_3_linear", 512, 8),
        ("conv4_3", 512, 8),
        ("fc7_linear", 1024, 16),
    ]
    with torch.inference_mode():
        linear, activated, deep = backbone(torch.randn(1, 3, 33, 32))
    assert linear.min() < 0
    assert deep.min() < 0
    torch.testing.assert_close(activated, linear.relu())
    assert "fc7" not in dict(backbone.named_children())
