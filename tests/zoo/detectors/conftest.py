"""What tests of several detectors share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from archbench.zoo.contracts import Detector


@pytest.fixture
def picture() -> Tensor:
    """A picture of noise, 427 pixels wide and 240 high."""
    return noise(0)


@pytest.fixture
def sees_alone() -> Callable[[Detector], None]:
    """Run a detector on two pictures together and one by one: it gives the same for each."""

    def check(detector: Detector) -> None:
        images = torch.stack([detector.prepare(noise(seed)).image for seed in range(2)])
        with torch.inference_mode():
            both = detector(images)
            alone = [detector(image[None]) for image in images]
        for together, *single in zip(both, *alone, strict=True):
            torch.testing.assert_close(together, torch.cat(single), rtol=1e-3, atol=1e-4)

    return check


def noise(seed: int) -> Tensor:
    return torch.randint(
        256, (3, 240, 427), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
