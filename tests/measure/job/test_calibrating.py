"""Networks from elsewhere that take no two images: calibrated on what they take, or not at all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archbench.measure.job.weights import calibrate_as_it_can


class Picky(nn.Module):
    """A network that takes one batch alone, in training mode at least so many images."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.norm, self.stem, self.last = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(images)
        if len(images) != self.batch:
            raise ValueError(f"it takes {self.batch} and was given {len(images)}")
        maps = self.last(self.stem(maps))
        return maps


def drawn(count: int) -> Tensor:
    return 3 + 2 * torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (2, ""),
        (1, "calibrated on 1 image, not 2: it takes 1 and was given 2"),
        (4, "calibrated on 4 images, not 2: it takes 4 and was given 2"),
    ],
)
def test_a_network_is_calibrated_on_what_it_takes(batch: int, said: str) -> None:
    network = Picky(batch).eval()
    assert calibrate_as_it_can(network, drawn(2), drawn(batch)) == said
    assert network.norm.running_mean is not None
    expected = drawn(batch).mean((0, 2, 3))
    torch.testing.assert_close(network.norm.running_mean, expected)
    assert (network.training, network.norm.training, network.norm.momentum) == (False, False, 0.1)


def test_what_takes_neither_keeps_the_statistics_it_was_made_with() -> None:
    network = Picky(7).eval()
    said = calibrate_as_it_can(network, drawn(2), drawn(1))
    assert said == "drawn, not calibrated: it takes 7 and was given 2"
    for norm in (network.norm, network.last):
        assert norm.running_mean is not None
        assert norm.running_mean.abs().max() == 0
        assert (norm.momentum, norm.training) == (0.1, False)


def test_memory_that_is_not_enough_is_said_as_such() -> None:
    class Large(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise MemoryError

    with pytest.raises(MemoryError):
        calibrate_as_it_can(Large(), drawn(2), drawn(1))
