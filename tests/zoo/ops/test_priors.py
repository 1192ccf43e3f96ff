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


def test_on_the_meta_device_there_is_their_shape_alone() -> None:
    with torch.device("meta"):
        grids = [
            grid_priors((30_000, 20_000), 8, [(8, 8), (4, 4)]),
            grid_priors((2, 3), 8, [(8, 8)]),
        ]
        priors = Priors(grids, within=(100, 100))
    assert priors.boxes.is_meta
    assert priors.boxes.shape == (30_000 * 20_000 * 2 + 6, 4)


def test_maps_are_laid_end_to_end_and_cut_where_asked() -> None:
    grids = [grid_priors((2, 1), 10, [(16, 4)]), grid_priors((1, 1), 20, [(40, 8)])]
    assert Priors(grids).boxes.tolist() == [[-3, 3, 13, 7], [7, 3, 23, 7], [-10, 6, 30, 14]]
    assert Priors(grids, within=(20, 10)).boxes.tolist() == [
        [0, 3, 13, 7],
        [7, 3, 20, 7],
        [0, 6, 20, 10],
    ]


def test_priors_keep_fp32_whatever_the_network_s_precision() -> None:
    network = torch.nn.Sequential(
        Priors([grid_priors((4, 4), 8, [(33.3, 7.7)])]), torch.nn.Linear(2, 2)
    )
    exact = network[0].boxes.clone()
    network.to(torch.bfloat16)
    assert network[1].weight.dtype == torch.bfloat16
    assert torch.equal(network[0].boxes, exact)
