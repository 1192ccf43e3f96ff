"""Outputs are taken apart and put together again as the network gave them."""

from __future__ import annotations

import json

import pytest
import torch

from archbench.engines.outputs import flattened, together
from archbench.zoo.detectors.base.single_stage import Predictions
from archbench.zoo.detectors.base.two_stage import RegionPredictions
from archbench.zoo.detectors.mask_rcnn import MaskPredictions

A, B, C = torch.zeros(1), torch.ones(2), torch.full((3,), 2.0)


@pytest.mark.parametrize(
    "tree",
    [
        A,
        [A, B],
        (A, (B, C)),
        {"maps": [A, B], "logits": C},
        [A, None, 3, "text"],
        Predictions(A, B),
        MaskPredictions(RegionPredictions(A, B, C, A, B), A, B, C, A),
    ],
)
def test_a_tree_comes_back(tree: object) -> None:
    form, tensors = flattened(tree)
    again = together(json.loads(json.dumps(form)), tensors)
    assert type(again) is type(tree)
    assert again is tree if tree is A else again == tree


def test_other_numbers_of_outputs_are_refused() -> None:
    form, tensors = flattened([A, B])
    with pytest.raises(ValueError, match="more outputs"):
        together(form, [*tensors, C])
    with pytest.raises(ValueError, match="fewer outputs"):
        together(form, tensors[:1])
