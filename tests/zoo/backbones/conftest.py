"""What tests of several families share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import archbench
from archbench.measure.job.training import TrainingStep
from archbench.measure.job.weights import calibrate, initialise
from archbench.zoo.contracts import Backbone, Classifier


@pytest.fixture
def trains() -> Callable[[Backbone, int], None]:
    """Train a backbone for one step on two images of a side, as a classifier: all stays finite,
    gradients reach all parameters.
    """

    def check(backbone: Backbone, side: int) -> None:
        torch.manual_seed(0)
        network = Classifier(
            backbone, classes=3, form="conv" if backbone.pools_scores else "linear"
        )
        initialise(network, seed=0)
        images = torch.randn(2, 3, side, side)
        calibrate(network, images)
        assert network(images).isfinite().all()
        training = TrainingStep(network, classes=3, seed=0)
        training.step(images)
        assert not training.diverged
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert [
            name
            for name, grad in gradients.items()
            if grad is None or not grad.any() or not grad.isfinite().all()
        ] == []

    return check


@pytest.fixture
def runs() -> Callable[..., None]:
    """Run a classifier on two small images: finite scores that differ, the second image's the same
    without the first.
    """

    def check(name: str, **options: str) -> None:
        torch.manual_seed(0)
        network = archbench.build(name, size=64, classes=10, **options)  # type: ignore[arg-type]
        images = torch.randn(2, 3, 64, 64)
        with torch.inference_mode():
            both, alone = network(images), network(images[1:])
        assert both.shape == (2, 10)
        assert both.isfinite().all()
        assert both.std() > 0
        torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-4)

    return check


@pytest.fixture
def maps() -> Callable[[nn.Module, int], dict[str, tuple[int, int]]]:
    """Channels and side of the map after each step of a network at an input of a side."""

    def of(network: nn.Module, side: int) -> dict[str, tuple[int, int]]:
        shapes: dict[str, tuple[int, int]] = {}
        for name, step in network.named_children():
            step.register_forward_hook(
                lambda _module, _inputs, out, name=name: shapes.update(
                    {name: (out.shape[1], out.shape[2])}
                )
            )
        archbench.count(network, (1, 3, side, side))
        return shapes

    return of
