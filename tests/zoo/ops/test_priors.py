"""Default boxes on a grid."""

from __future__ import annotations

import torch

from archbench.zoo.ops.priors import Priors, grid_priors


def test_rows_then_columns_then_shapes() -> None:
    priors = grid_priors((3, 2), 10, [(4, 6), (2, 2)])
    assert priors.shape == (12, 4)
    assert priors[0].tolist() == [3, 2, 7, 8]
    assert priors[1].tolist() == [4, 4, 6, 6]
    assert priors[2].tolist() == [13, 2, 17, 8]
    assert priors[6].tolist() == [3, 12, 7, 18]
    assert priors[-1].tolist() == [24, 14, 26, 16]


def test_they_are_real_even_where_the_network_is_not() -> None:
    with torch.device("meta"):
        assert grid_priors((2, 2), 8, [(8, 8)])[0].tolist() == [0, 0, 8, 8]


def test_priors_keep_fp32_whatever_the_network_s_precision() -> None:
    network = torch.nn.Sequential(Priors(grid_priors((4, 4), 8, [(33.3, 7.7)])), torch.nn.Linear(2, 2))
    exact = network[0].boxes.clone()
    network.to(torch.bfloat16)
    assert network[1].weight.dtype == torch.bfloat16
    assert torch.equal(network[0].boxes, exact)
