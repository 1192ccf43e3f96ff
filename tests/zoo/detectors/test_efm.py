"""CSPNet's fusion heads: which scales reach which, their Maxout, and the computational bottlenecks
that the paper claims.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.counting.report import CostReport
from archbench.zoo.contracts import Stage
from archbench.zoo.detectors.efm import ContextEnhancement, ExactFusion, Fuse, GlobalFusion, halve
from archbench.zoo.layers import SPP, SpatialAttention

CHANNELS = (24, 40, 48)


class Given(nn.Module):
    """Stands in for a backbone: gives the maps that it is given."""

    tapped = tuple(
        Stage(f"c{level}", channels, 2**level)
        for level, channels in zip((3, 4, 5), CHANNELS, strict=True)
    )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return maps


def head(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = {
        "cem": lambda: ContextEnhancement(Given(), 6, attention=False, norm="bn"),  # type: ignore[arg-type]
        "cem-sam": lambda: ContextEnhancement(Given(), 6, attention=True, norm="bn"),  # type: ignore[arg-type]
        "gfm": lambda: GlobalFusion(Given(), 6, norm="bn"),  # type: ignore[arg-type]
        "efm": lambda: ExactFusion(Given(), 6, attention=False, spp=False, norm="bn"),  # type: ignore[arg-type]
        "efm-sam": lambda: ExactFusion(Given(), 6, attention=True, spp=False, norm="bn"),  # type: ignore[arg-type]
        "efm-spp": lambda: ExactFusion(Given(), 6, attention=False, spp=True, norm="bn"),  # type: ignore[arg-type]
    }[name]()
    return made.eval()


ALL = [[True] * 3] * 3
NEIGHBOURS = [[True, True, False], [True, True, True], [False, True, True]]


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("cem", ALL),
        ("cem-sam", ALL),
        ("gfm", ALL),
        ("efm", NEIGHBOURS),
        ("efm-sam", NEIGHBOURS),
        ("efm-spp", NEIGHBOURS),
    ],
)
def test_an_exact_fusion_reads_neighbours_a_global_one_every_scale(
    name: str, reach: list[list[bool]]
) -> None:
    """CSPNet's Figure 6: a change in the map at stride 8, 16 or 32, and the predictions that it
    reaches.
    """
    network = head(name)
    maps = [
        torch.randn(1, channels, side, side)
        for channels, side in zip(CHANNELS, (16, 8, 4), strict=True)
    ]
    with torch.inference_mode():
        before = network(maps)
        assert [tuple(m.shape) for m in before] == [(1, 6, 16, 16), (1, 6, 8, 8), (1, 6, 4, 4)]
        for changed, reached in enumerate(reach):
            after = network(
                [
                    m + 3 * torch.randn(m.shape) if index == changed else m
                    for index, m in enumerate(maps)
                ]
            )
            assert [
                not torch.equal(old, new) for old, new in zip(before, after, strict=True)
            ] == reached


def test_a_finer_map_comes_down_as_its_maxima_and_its_means() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert halve(x)[0].tolist() == [[[5, 7], [13, 15]], [[2.5, 4.5], [10.5, 12.5]]]


def test_maps_are_convolved_each_by_itself_and_their_maxima_taken() -> None:
    fuse = Fuse(8, 3, norm="bn").eval()
    maps = [torch.randn(1, 8, 4, 4) for _ in range(3)]
    expected = torch.stack([conv(m) for conv, m in zip(fuse.convs, maps, strict=True)]).amax(dim=0)
    torch.testing.assert_close(fuse(*maps), expected)


def test_scales_gather_two_three_and_two_maps() -> None:
    network = head("efm")
    assert [len(fuse.convs) for fuse in (network.fuse3, network.fuse4, network.fuse5)] == [2, 3, 2]
    assert [fuse.width for fuse in (network.fuse3, network.fuse4, network.fuse5)] == [64, 128, 256]


def kinds(name: str, kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in head(name).modules())


def test_attention_and_spp_stand_where_their_names_say() -> None:
    assert [
        kinds(name, SpatialAttention) for name in ("cem", "cem-sam", "efm", "efm-sam", "efm-spp")
    ] == [0, 3, 0, 1, 0]
    assert [kinds(name, SPP) for name in ("efm", "efm-sam", "efm-spp")] == [0, 0, 1]


@cache
def report(backbone: str, detector: str, **options: bool) -> CostReport:
    return archbench.cost(backbone, detector, size=416, **options)


def test_attention_adds_one_3x3_of_64_channels_at_stride_8_and_spp_nothing() -> None:
    plain = report("csp-peleenet", "efm")
    assert report("csp-peleenet", "efm-sam").macs - plain.macs == 64 * 64 * 9 * 52 * 52
    spp = report("csp-peleenet", "efm-spp")
    assert (spp.macs, spp.params) == (plain.macs, plain.params)


def largest(counted: CostReport) -> int:
    return max(call.macs for call in counted.calls)


def test_csppeleenet_cuts_the_bottlenecks_of_peleenet_by_44_and_80_percent() -> None:
    """CSPNet's Figure 7, the dearest convolution at 416x416: 1 - 9 / 16 and 1 - 1 / 5 to the
    unit.
    """
    ours = largest(report("csp-peleenet", "efm"))
    prn = largest(report("peleenet", "prn"))
    yolo = largest(report("peleenet", "yolo-fpn", merge_bottleneck=True))
    assert (1 - ours / prn, 1 - ours / yolo) == (0.4375, 0.8)
    assert [round(2 * macs / 1e9, 4) for macs in (ours, prn, yolo)] == [0.1994, 0.3544, 0.9968]


def test_the_bottleneck_of_peleenet_is_its_transitions_and_of_its_yolo_the_3x3_that_merges() -> (
    None
):
    prn, yolo = report("peleenet", "prn"), report("peleenet", "yolo-fpn", merge_bottleneck=True)
    assert [call.path for call in prn.calls if call.macs == largest(prn)] == [
        f"features.backbone.transition{i}.0" for i in (1, 2, 3)
    ]
    (merging,) = [call for call in yolo.calls if call.macs == largest(yolo)]
    assert (merging.in_shape, merging.kernel, merging.out_shape) == (
        (1, 640, 26, 26),
        (3, 3),
        (1, 128, 26, 26),
    )
