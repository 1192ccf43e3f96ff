"""Backbones out of classifiers as torchvision builds them: parts in order, up to a pool."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.zoo.sources.torchvision import maps

SIDES = (3, 4, 8, 16, 32, 64)


class Net(nn.Module):
    """A stem, steps in a part that holds them, a classifier beside, a pool and a classifier."""

    def __init__(self, padding: int = 1) -> None:
        super().__init__()
        convs = [nn.Conv2d(a, b, 3, 2, padding) for a, b in pairwise(SIDES)]
        self.stem = convs[0]
        self.features = nn.Sequential(*convs[1:3], nn.ReLU(), *convs[3:])
        self.AuxLogits = nn.Linear(3, 3)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.features(self.stem(images))).flatten(1))  # type: ignore[no-any-return]


class SwinTransformer(nn.Module):
    """Steps with channels last."""

    def __init__(self) -> None:
        super().__init__()
        last = [Last(conv) for conv in Net().features.children() if isinstance(conv, nn.Conv2d)]
        self.features = nn.Sequential(First(), *last)
        self.norm = nn.LayerNorm(64)


class First(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), images.shape[2] // 2, images.shape[3] // 2, 4)


class Last(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # type: ignore[no-any-return]


def test_a_classifier_is_a_chain_that_can_be_cut() -> None:
    network = Net()
    backbone = maps.tapped(network, (96, 64), ("c3", "c4"), (64, 64))
    assert [(s.name, s.channels, s.stride) for s in backbone.tapped] == [
        ("features_2", 16, 8),
        ("features_3", 32, 16),
    ]
    assert not hasattr(backbone, "features_4")
    images = torch.randn(1, 3, 64, 96)
    c3, c4 = backbone(images)
    assert torch.equal(c3, network.features[:3](network.stem(images)))
    assert c4.shape == (1, 32, 4, 6)
    assert len(backbone.split().trunk.stages) == 3


def test_channels_last_are_turned() -> None:
    backbone = maps.tapped(SwinTransformer(), (64, 64), ("c5",), (64, 64))
    (found,) = backbone(torch.randn(1, 3, 64, 64))
    assert found.shape == (1, 64, 2, 2)
    assert backbone.norm == "bn"


def test_maps_that_are_not_there_or_not_whole_are_said() -> None:
    with pytest.raises(UsageError, match=r"it has no c6; it offers c1 \(stem, stride 2\), c2"):
        maps.tapped(Net(), (64, 64), ("c6",), (64, 64))
    with pytest.raises(UsageError, match=r"does not take 64x64 \(its map at stride 8 is 7x7 there"):
        maps.tapped(Net(padding=0), (64, 64), ("c3",), (64, 64))
