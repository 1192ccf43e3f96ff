"""PANet (SPP): the way up and the way down."""

from __future__ import annotations

import torch
from torch import nn

import archbench
from archbench.zoo.detectors.panet import Lateral
from archbench.zoo.layers import SPP


def test_a_lateral_puts_its_own_map_first() -> None:
    lateral = Lateral(6, 8, 4, norm="bn").eval()
    x, coarse = torch.randn(1, 6, 4, 4), torch.randn(1, 8, 2, 2)
    out = lateral(x, coarse)
    torch.testing.assert_close(out[:, :4], lateral.own(x))
    torch.testing.assert_close(
        out[:, 4:], lateral.up(coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    )


def test_the_taps_of_csp_resnext50_are_its_merged_maps() -> None:
    features = archbench.build("csp-resnext50", "panet-spp", device="meta").features
    assert [(stage.name, stage.channels, stage.stride) for stage in features.backbone.tapped] == [
        ("stage2", 512, 8),
        ("stage3", 1024, 16),
        ("stage4", 2048, 32),
    ]
    assert [
        features.up5[0].in_channels,
        features.lateral4.own[0].in_channels,
        features.lateral3.own[0].in_channels,
    ] == [2048, 1024, 512]


def test_the_way_down_halves_by_3x3_and_joins_the_way_up() -> None:
    features = archbench.build("csp-resnext50", "panet-spp", device="meta").features
    for halve, down, channels in (
        (features.halve3, features.down4, (128, 256)),
        (features.halve4, features.down5, (256, 512)),
    ):
        conv = halve[0]
        assert (conv.in_channels, conv.out_channels, conv.stride, conv.kernel_size) == (
            *channels,
            (2, 2),
            (3, 3),
        )
        assert down[0].in_channels == 2 * channels[1]
    assert sum(isinstance(layer, SPP) for layer in features.modules()) == 1
    assert [predict[-1].in_channels for predict in features.predictors] == [256, 512, 1024]
    assert all(isinstance(predict[-1], nn.Conv2d) for predict in features.predictors)
