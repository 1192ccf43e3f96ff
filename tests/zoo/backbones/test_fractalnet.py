"""FractalNet: the rule by which a block is made of smaller ones."""

from __future__ import annotations

from collections.abc import Callable

import torch

import archbench
from archbench.zoo.backbones.fractalnet import Fractal, fractalnet
from archbench.zoo.contracts import Backbone


def depth(block: Fractal) -> int:
    """Convolutions on the longest path."""
    return sum(depth(part) for part in block.deeper) or 1  # type: ignore[arg-type]


def test_three_columns_are_seven_convolutions_four_deep() -> None:
    network = archbench.build("fractalnet", classes=0, device="meta")
    blocks = [module for name, module in network.named_children() if name.startswith("block")]
    assert [sum(isinstance(part, Fractal) for part in block.modules()) for block in blocks] == [
        7
    ] * 5
    assert sum(map(depth, blocks)) == 20  # type: ignore[arg-type]


def test_a_join_is_the_mean() -> None:
    block = Fractal(3, 4, 2).eval()
    x = torch.randn(1, 3, 4, 4)
    first, second = block.deeper
    torch.testing.assert_close(block(x), (block.conv(x) + second.conv(first.conv(x))) / 2)


def test_a_step_of_training_reaches_everything(trains: Callable[[Backbone, int], None]) -> None:
    trains(fractalnet(widths=[4, 8], columns=3), 16)
