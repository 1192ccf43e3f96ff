"""What layers read of one another's outputs: found by following channels, weighed by the weights
that a file holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archbench.api import build_spec
from archbench.measure.aggregation import Block, aggregation, follow, group_layers, weigh
from archbench.spec import UsageError
from archbench.zoo import catalogue


class Dense(nn.Module):
    """A stem of 2 channels, two dense layers of 1 and 3 channels, and a transition in 2 groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 1)
        self.one = nn.Conv2d(2, 1, 1)
        self.two = nn.Conv2d(3, 3, 1)
        self.transition = nn.Conv2d(6, 2, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        one = self.one(x)
        both = torch.cat([x, one], 1)
        two = self.two(nn.functional.max_pool2d(both, 1))
        return self.transition(torch.cat([both, two], dim=1))


def blocks(network: nn.Module) -> list[Block]:
    with torch.device("meta"):
        empty = type(network)()
    return [weigh(group, network) for group in group_layers(follow(empty, (1, 3, 4, 4)))]


def test_weights_are_averaged_by_the_layer_that_wrote_the_channels() -> None:
    network = Dense()
    with torch.no_grad():
        network.one.weight.copy_(torch.tensor([1.0, -3.0]).reshape(1, 2, 1, 1))
        network.two.weight.copy_(
            torch.tensor([[1.0, 1.0, 10.0], [-2.0, 2.0, 20.0], [3.0, 3.0, -30.0]]).reshape(
                3, 3, 1, 1
            )
        )
        # Channels 0 to 2 (stem, stem, one) go to the first output, 3 to 5 (all of two) to the
        # second.
        network.transition.weight.copy_(
            torch.tensor([[4.0, 6.0, -7.0], [1.0, 2.0, 6.0]]).reshape(2, 3, 1, 1)
        )
    (block,) = blocks(network)
    assert (block.sources, block.targets) == (("input", "1", "2"), ("1", "2", "transition"))
    assert block.weights == ((2.0, 2.0, 5.0), (None, 20.0, 7.0), (None, None, 3.0))


class Branches(nn.Module):
    """Two branches side by side, joined: no layer of the join reads another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right, self.last = (
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(4, 2, 1),
            nn.Conv2d(4, 2, 1),
            nn.Conv2d(4, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.last(torch.cat([self.left(x), self.right(x)], 1))


def test_branches_that_read_nothing_of_each_other_are_no_block() -> None:
    assert blocks(Branches()) == []


@pytest.mark.parametrize(
    ("name", "inner", "end"),
    [
        ("densenet40", 12, ["transition1", "transition2", "last"]),
        ("osa-5x43", 5, ["aggregate"] * 3),
        ("densenet121", 6, ["transition1"]),
    ],
)
def test_blocks_of_networks_in_the_zoo(name: str, inner: int, end: list[str]) -> None:
    spec = catalogue.resolve(name).spec
    groups = group_layers(follow(build_spec(spec, device="meta"), (1, 3, spec.height, spec.width)))
    for group, last in zip(groups, end, strict=False):
        numbers = list(map(str, range(1, inner + 1)))
        assert list(group.sources.values()) == ["input", *numbers]
        assert list(group.readers) == [*numbers, last]
    dense = name.startswith("densenet")
    assert all(
        len(groups[0].readers[str(number)].parts) == (number if dense else 1)
        for number in range(1, inner + 1)
    )


def test_a_checkpoint_s_weights_are_those_that_are_weighed(tmp_path: Path) -> None:
    spec = catalogue.resolve("osa-5x43").spec
    network = build_spec(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-0.25)
    torch.save(network.state_dict(), tmp_path / "known.pth")
    for block in aggregation(spec, tmp_path / "known.pth"):
        found = [weight for row in block.weights for weight in row if weight is not None]
        assert found == pytest.approx([0.25] * 11)
        assert [row[-1] for row in block.weights] == pytest.approx([0.25] * 6)
        assert block.name in ("block1", "block2", "block3")


def test_a_network_without_blocks_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"resnet50.* has no block whose layers read several others"
    ):
        aggregation(catalogue.resolve("resnet50").spec, tmp_path / "nowhere.pth")
