"""DAFS: fusion, and which cells a refined anchor reads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import archbench
from archbench.spec import UsageError
from archbench.zoo.detectors.dafs import DAFS, AnchorConv, Fusion, select, taps
from archbench.zoo.ops.boxes import encode
from archbench.zoo.ops.priors import grid_priors

STRIDE = 8
SHAPES = [(24.0, 24.0), (48.0, 12.0), (16.0, 40.0)]


def priors(columns: int = 4, rows: int = 3) -> Tensor:
    return grid_priors((columns, rows), STRIDE, SHAPES)


def places(moved: Tensor) -> Tensor:
    """Where the taps lie, in pixels: [H, W, A, 9, (x, y)] of one image."""
    _, _, rows, columns = moved.shape
    taps = moved.view(len(SHAPES), 9, 2, rows, columns).permute(3, 4, 0, 1, 2).flip(-1)
    grid = torch.tensor([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)])
    cells = torch.stack(
        torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), dim=-1
    )
    return (taps + grid + cells[:, :, None, None] + 0.5) * STRIDE


def test_an_anchor_of_three_cells_that_stays_reads_as_a_plain_3x3() -> None:
    moved = select(torch.zeros(1, 12, 3, 4), priors(), taps(), STRIDE).view(1, 3, 18, 3, 4)
    torch.testing.assert_close(moved[:, 0], torch.zeros(1, 18, 3, 4))


def test_taps_lie_on_the_refined_anchor() -> None:
    """At the centres of a 3x3 grid on it, left to right and top to bottom."""
    anchors = priors()
    boxes = anchors + torch.tensor([3.0, -2.0, 9.0, 4.0])
    moves = encode(boxes, anchors).view(1, 3, 4, 12).permute(0, 3, 1, 2)
    found = places(select(moves, anchors, taps(), STRIDE))
    for number, box in enumerate(boxes):
        x1, y1, x2, y2 = box.tolist()
        expected = [
            (x1 + (x2 - x1) * (i + 0.5) / 3, y1 + (y2 - y1) * (j + 0.5) / 3)
            for j in range(3)
            for i in range(3)
        ]
        torch.testing.assert_close(
            found.view(-1, 9, 2)[number], torch.tensor(expected), rtol=1e-4, atol=1e-3
        )


def test_each_anchor_s_outputs_read_its_own_cells() -> None:
    torch.manual_seed(0)
    conv = AnchorConv(5, 2)
    x, offsets = torch.randn(1, 5, 3, 4), torch.zeros(1, 54, 3, 4)
    plain = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(x, offsets), plain, rtol=1e-4, atol=1e-5)
    offsets[:, 18:36] = 1e4
    far = conv(x, offsets)
    assert conv.bias is not None
    torch.testing.assert_close(far[:, [0, 1, 4, 5]], plain[:, [0, 1, 4, 5]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(far[:, 2:4], conv.bias[2:4].view(1, 2, 1, 1).expand(1, 2, 3, 4))


def test_a_map_is_fused_with_the_finer_and_the_coarser_one() -> None:
    torch.manual_seed(0)
    fusion = Fusion([6, 8, 4])
    maps = [torch.randn(1, c, side, side) for c, side in ((6, 8), (8, 4), (4, 2))]
    with torch.inference_mode():
        a, b, c = (lateral(m) for lateral, m in zip(fusion.lateral, maps, strict=True))
        top = fusion.last[2]((c + fusion.down[1](b)).relu())
        middle = fusion.last[1]((b + fusion.down[0](a) + fusion.up[1](top)).relu())
        bottom = fusion.last[0]((a + fusion.up[0](middle)).relu())
        for ours, expected in zip(fusion(maps), (bottom, middle, top), strict=True):
            torch.testing.assert_close(ours, expected)


def test_parts_have_their_parameters_and_it_is_approximate() -> None:
    built = archbench.build("vgg16", "dafs", device="meta")
    assert isinstance(built, DAFS)
    assert sum(p.numel() for p in built.fusion.down.parameters()) == 3 * 590_080
    assert sum(p.numel() for p in built.trunk.scales.parameters()) == 2 * 512
    report = archbench.cost("vgg16", "dafs")
    odm = [call for call in report.calls if call.path.startswith("odm.0.")]
    assert [(call.op, call.macs) for call in odm] == [
        ("conv2d", 64 * 64 * 9 * 256 * 12),
        ("conv2d", 64 * 64 * 9 * 256 * 243),
    ]
    assert report.uncounted == ()


def test_maps_that_do_not_halve_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="multiples of 64"):
        archbench.cost("vgg16", "dafs", size=300)
    with pytest.raises(UsageError, match="halve in width"):
        archbench.cost("inception-v3", "dafs", padding="valid")
