"""PRN: its residual additions, of the channels in common, and where its branches begin."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import archbench
from archbench.zoo import catalogue
from archbench.zoo.detectors.prn import Rise


@pytest.mark.parametrize("channels", [256, 128])
def test_a_finer_scale_is_added_before_and_after_its_3x3(channels: int) -> None:
    rise = Rise(8, norm="bn", activation="leaky").eval()
    coarse, fine = torch.randn(1, 8, 2, 3), torch.randn(1, channels, 4, 6)
    convolved, total = rise(coarse, fine)
    risen = rise.narrow(coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(convolved, rise.conv(F.leaky_relu(risen + fine[:, :128], 0.1)))
    torch.testing.assert_close(
        total, F.leaky_relu(F.leaky_relu(convolved + risen, 0.1) + fine[:, :128], 0.1)
    )


def test_of_a_narrow_map_all_channels_are_added() -> None:
    rise = Rise(8, norm="bn", activation="leaky").eval()
    coarse, fine = torch.randn(1, 8, 2, 2), torch.randn(1, 24, 4, 4)
    _, total = rise(coarse, fine)
    _, others = rise(coarse, torch.cat([fine, torch.zeros(1, 104, 4, 4)], dim=1))
    torch.testing.assert_close(total, others)


def test_branches_rise_from_the_3x3_before_its_input_is_added() -> None:
    torch.manual_seed(0)
    features = archbench.build("peleenet", "prn", size=64, classes=4).features
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        fine, deep = features.backbone(images)
        narrow = features.narrow(deep)
        convolved = features.conv(narrow)
        _, total = features.rises[0](convolved, fine)
        expected = [
            features.predictors[1](total),
            features.predictors[0](F.leaky_relu(convolved + narrow, 0.1)),
        ]
        for ours, theirs in zip(features(images), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_the_third_scale_adds_196480_weights() -> None:
    plain, third = (archbench.cost("peleenet", head).param_kinds for head in ("prn", "prn-3l"))
    assert third.conv_weights - plain.conv_weights == 196_480


@pytest.mark.parametrize(
    ("backbone", "deep"),
    [("peleenet", 704), ("darknet-reference", 512), ("efficientnet-b0-darknet", 1280)],
)
def test_the_head_s_weights_follow_the_deepest_map(backbone: str, deep: int) -> None:
    """868k + 256 C5."""
    features = archbench.build(backbone, "prn", device="meta").features
    own = [
        layer.weight.numel()
        for name, layer in features.named_modules()
        if isinstance(layer, nn.Conv2d) and not name.startswith("backbone")
    ]
    assert sum(own) == 867_968 + 256 * deep


def test_swish_is_in_the_head_and_in_the_backbone() -> None:
    network = archbench.build("csp-peleenet", "prn-swish", device="meta")
    kinds = {
        type(layer)
        for layer in network.modules()
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.SiLU)
    }
    assert kinds == {nn.SiLU}
    assert (
        catalogue.resolve("csp-peleenet", "prn", activation="swish").spec
        == catalogue.resolve("csp-peleenet", "prn-swish").spec
    )
    swish, leaky = (archbench.cost("csp-peleenet", head) for head in ("prn-swish", "prn"))
    assert (swish.params, swish.macs, swish.cio) == (leaky.params, leaky.macs, leaky.cio)
