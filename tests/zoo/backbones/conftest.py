"""What tests of several families share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archbench.measure.training import TrainingStep
from archbench.measure.weights import calibrate, initialise
from archbench.zoo.contracts import Backbone, Classifier


@pytest.fixture
def trains() -> Callable[[Backbone, int], None]:
    """Train a backbone for one step on two images of a side, as a classifier: all stays finite, gradients reach all parameters."""

    def check(backbone: Backbone, side: int) -> None:
        torch.manual_seed(0)
        network = Classifier(backbone, classes=3, form="conv" if backbone.pools_scores else "linear")
        initialise(network, seed=0)
        images = torch.randn(2, 3, side, side)
        calibrate(network, images)
        assert network(images).isfinite().all()
        training = TrainingStep(network, classes=3, seed=0)
        training.step(images)
        assert not training.diverged
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert [name for name, grad in gradients.items() if grad is None or not grad.any() or not grad.isfinite().all()] == []

    return check
