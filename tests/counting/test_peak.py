"""The predicted peak activation memory against what the allocator did in a real pass."""

from __future__ import annotations

import pytest
import torch
from profiled import peak_of

import archbench

MIB = 2**20


def allocated_peak(network: torch.nn.Module, images: torch.Tensor) -> int:
    """The most bytes that one pass on the CPU held at once, weights and input excluded."""
    with torch.inference_mode():
        network(images)
        return peak_of(lambda: network(images))


@pytest.mark.parametrize(
    ("backbone", "detector", "mib"),
    [
        ("resnet50", None, 9.95),
        ("densenet201", None, 9.57),
        ("vgg16", None, 24.50),
        ("vovnet57", None, 24.50),
        ("vovnet39", "refinedet", 50.0),
    ],
)
def test_the_prediction_is_below_a_real_pass_and_near_it(
    backbone: str, detector: str | None, mib: float
) -> None:
    """A CPU's kernels take workspaces besides: up to 0.6 of the activations."""
    predicted = archbench.cost(backbone, detector).activation_peak_bytes
    assert predicted / MIB == pytest.approx(mib, abs=0.006)
    network = archbench.build(backbone, detector)
    side = 320 if detector else 224
    assert predicted <= allocated_peak(network, torch.randn(1, 3, side, side)) <= 1.6 * predicted


def test_the_sum_of_activations_is_of_every_new_tensor() -> None:
    """Two convolutions and an in-place ReLU: two maps; a view is none."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 1),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(8, 4, 1),
        torch.nn.Flatten(),
    )
    report = archbench.count(network, (1, 3, 16, 16))
    assert report.activation_total_bytes == 4 * (8 + 4) * 16 * 16
    assert report.totals()["activation_total_bytes"] == report.activation_total_bytes
