"""VoVNet: one-shot aggregation, its stems, identity and bottleneck."""

from __future__ import annotations

import pytest
import torch

import archbench
from archbench.zoo.backbones.vovnet import OSA


def test_an_identity_adds_the_modules_input() -> None:
    torch.manual_seed(0)
    plain = OSA(8, 4, 8).eval()
    residual = OSA(8, 4, 8, identity=True).eval()
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(residual(x), plain(x) + x)


def test_the_layers_are_a_chain_and_all_are_aggregated() -> None:
    module = OSA(8, 4, 16, layers=3)
    assert [layer[0].in_channels for layer in module.layers] == [8, 4, 4]
    assert module.aggregate[0].in_channels == 8 + 3 * 4
    assert module(torch.randn(1, 8, 6, 6)).shape == (1, 16, 6, 6)


def test_only_later_modules_of_a_stage_have_an_identity() -> None:
    network = archbench.build("vovnet57", classes=0, device="meta")
    assert [module.identity for module in network.stage4] == [False, True, True, True]
    assert not any(
        module.identity
        for module in archbench.build("vovnet57", classes=0, stem="pool", device="meta").stage4
    )


@pytest.mark.parametrize(("detector", "stem_stride"), [(None, 2), ("refinedet", 1)])
def test_the_stem_loses_resolution_in_its_third_convolution_or_in_a_pool(
    detector: str | None, stem_stride: int
) -> None:
    calls = archbench.cost("vovnet39", detector, size=64).calls
    assert [call.stride[0] for call in calls[:4]] == [2, 1, stem_stride, 1]
    assert [call.in_shape[-1] for call in calls[:4]] == [64, 32, 32, 16]


def test_a_bottleneck_halves_the_modules_width() -> None:
    network = archbench.build("vovnet27-slim", classes=0, bottleneck=True, device="meta")
    for stage, width in (("stage2", 64), ("stage3", 80), ("stage4", 96), ("stage5", 112)):
        layers = list(network.get_submodule(stage)[0].layers)
        assert {layer[0].out_channels for layer in layers} == {width // 2}
        assert [
            (layer[0].kernel_size, layer[3].kernel_size, layer[3].out_channels) for layer in layers
        ] == [((1, 1), (3, 3), width)] * 5


def test_a_bottleneck_saves_what_the_paper_says() -> None:
    """Table 3: 5.9 to 4.8 M parameters, 5.6 to 4.6 G multiply-adds at 300x300 (vovnet-refinedet.md
    1.4).
    """
    plain, narrow = (
        archbench.cost("vovnet27-slim", classes=0, size=300, stem="pool", bottleneck=value)
        for value in (False, True)
    )
    assert (plain.params - narrow.params) / 1e6 == pytest.approx(1.10, abs=0.005)
    assert (plain.macs - narrow.macs) / 1e9 == pytest.approx(1.02, abs=0.005)
