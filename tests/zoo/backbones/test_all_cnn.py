"""All-CNN-C: its layers, and the classifier before the pool."""

from __future__ import annotations

from collections.abc import Callable

import archbench
from archbench.zoo.backbones.all_cnn import all_cnn
from archbench.zoo.contracts import Backbone


def test_its_layers_are_the_paper_s() -> None:
    """Table 1; the seventh is not padded, the ninth is the classifier, on 6x6 positions."""
    calls = archbench.cost("all-cnn").calls
    assert [(call.kernel[0], call.out_shape[1], call.out_shape[-1]) for call in calls] == [
        (3, 96, 32),
        (3, 96, 32),
        (3, 96, 16),
        (3, 192, 16),
        (3, 192, 16),
        (3, 192, 8),
        (3, 192, 6),
        (1, 192, 6),
        (1, 100, 6),
    ]


def test_a_step_of_training_reaches_everything(trains: Callable[[Backbone, int], None]) -> None:
    trains(all_cnn(widths=[8, 16]), 16)
