"""DenseNet: every layer reads all before it, and a stage is tapped before its pool."""

from __future__ import annotations

import torch

import archbench
from archbench.zoo.backbones.densenet import DenseBlock


def test_a_block_keeps_its_input_and_adds_to_it() -> None:
    block = DenseBlock(6, 4, 3, bottleneck=True).eval()
    x = torch.randn(1, 6, 5, 5)
    y = block(x)
    assert block.channels == y.shape[1] == 6 + 3 * 4
    assert torch.equal(y[:, :6], x)
    assert [layer[0].num_features for layer in block.layers] == [6, 10, 14]


def test_a_stage_is_its_transition_before_the_pool() -> None:
    stages = archbench.build("densenet201", classes=0, device="meta").stages
    assert [(stage.name, stage.channels, stage.stride) for stage in stages] == [
        ("transition1", 128, 4),
        ("transition2", 256, 8),
        ("transition3", 896, 16),
        ("final", 1920, 32),
    ]
