"""ResNet: where resolution is lost, in each layout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.zoo import catalogue
from archbench.zoo.backbones.resnet import Residual, Shape, ZeroPad, basic


def strided(name: str, **options: int) -> list[tuple[str, tuple[int, ...]]]:
    """The module and kernel of each strided convolution past the stem."""
    calls = archbench.cost(name, classes=0, **options).calls
    return [(call.path, call.kernel) for call in calls[1:] if call.stride != (1, 1)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", [("branch.3", (3, 3)), ("shortcut.0", (1, 1))]),
        ("resnet50-v1", [("branch.0", (1, 1)), ("shortcut.0", (1, 1))]),
        ("resnet18", [("branch.0", (3, 3)), ("shortcut.0", (1, 1))]),
    ],
)
def test_the_first_block_of_a_stage_halves(
    name: str, expected: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert strided(name) == [
        (f"stage{stage}.0.{layer}", kernel) for stage in (3, 4, 5) for layer, kernel in expected
    ]


def test_in_the_slim_layout_the_last_block_before_does() -> None:
    """Its shortcut has no projection: the input is subsampled."""
    assert strided("resnet50-slim") == [
        (f"stage{stage}.{last}.branch.3", (3, 3)) for stage, last in ((2, 2), (3, 3), (4, 5))
    ]


def test_a_shortcut_without_projection_takes_every_second_pixel() -> None:
    block = Residual(nn.AvgPool2d(2), Shape(4, 4, 4, stride=2), projected=False)
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(x), (nn.functional.avg_pool2d(x, 2) + x[..., ::2, ::2]).relu())


def test_where_nothing_is_projected_zeros_fill_the_new_channels() -> None:
    """He et al., option A: ResNet-110's shortcuts have no parameters."""
    block = basic(Shape(4, 6, 6, stride=2), projected=False)
    x = torch.randn(1, 4, 6, 6)
    shortcut = block.shortcut(x)
    assert torch.equal(shortcut[:, :4], x[..., ::2, ::2])
    assert shortcut.shape == (1, 6, 3, 3)
    assert not shortcut[:, 4:].any()
    network = archbench.build("resnet110", device="meta")
    assert sum(isinstance(module, ZeroPad) for module in network.modules()) == 2
    assert len(archbench.cost("resnet110").calls) == 110


def test_a_width_is_a_factor_on_resnet110s_own_channels() -> None:
    """A past bug: it was one on ResNet-50's, four times as wide."""
    assert catalogue.resolve("resnet110-x1.0").spec == catalogue.resolve("resnet110").spec
    widths = {
        name: [stage.channels for stage in archbench.build(name, classes=0, device="meta").stages]
        for name in ("resnet110", "resnet110-x0.5", "resnet110-x2.0")
    }
    assert widths == {
        "resnet110": [16, 32, 64],
        "resnet110-x0.5": [8, 16, 32],
        "resnet110-x2.0": [32, 64, 128],
    }
    assert catalogue.find("backbone", "resnet110-x0.5").levels == ("c0", "c1", "c2")


def test_strides_that_are_left_out_become_dilation() -> None:
    network = archbench.build("resnet50", classes=0, output_stride=8, device="meta")
    dilations = {
        name: [block.branch[3].dilation[0] for block in network.get_submodule(name)]
        for name in ("stage3", "stage4", "stage5")
    }
    assert dilations == {"stage3": [1] * 4, "stage4": [1] + [2] * 5, "stage5": [2] + [4] * 2}
    assert strided("resnet50", output_stride=8) == [
        ("stage3.0.branch.3", (3, 3)),
        ("stage3.0.shortcut.0", (1, 1)),
    ]


@pytest.mark.parametrize(("side", "pad", "ceil"), [(320, 80, 80), (321, 81, 80), (513, 129, 128)])
def test_the_stems_pools_differ_at_odd_sides_only(side: int, pad: int, ceil: int) -> None:
    maps = [
        archbench.cost("resnet18", classes=0, size=side, stem_pool=pool).calls[1].in_shape[-1]
        for pool in ("pad", "ceil")
    ]
    assert maps == [pad, ceil]


def test_a_wide_middle_leaves_the_outputs() -> None:
    wide = archbench.build("wrn-50-2-bottleneck", classes=0, device="meta")
    block = wide.stage3[1].branch
    assert [block[i].out_channels for i in (0, 3, 6)] == [256, 256, 512]
