"""PeleeNet: its stem, its two-way dense layers, stages that end before their pools; its sparse,
grouped and partial forms.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.zoo.backbones.peleenet import (
    Partial,
    SparseBlock,
    Style,
    csp_peleenet,
    sources,
    stem,
    two_way,
)
from archbench.zoo.contracts import Backbone
from archbench.zoo.layers import SqueezeExcite

CHANNELS = (32, 128, 128, 128, 256, 256, 256, 512, 512, 512, 704, 704)
STEPS_AT = {4: 3, 8: 3, 16: 3, 32: 3}
"""How many steps each stride has, from the stem on."""


def build(name: str = "peleenet") -> nn.Module:
    return archbench.build(name, classes=0, device="meta")


@pytest.mark.parametrize(
    ("side", "sides"), [(304, (76, 38, 19, 10)), (224, (56, 28, 14, 7)), (250, (63, 32, 16, 8))]
)
def test_map_sizes(side: int, sides: tuple[int, ...]) -> None:
    network = build()
    shapes: list[tuple[int, int]] = []
    for step in network.children():
        step.register_forward_hook(
            lambda _module, _inputs, out: shapes.append((out.shape[1], out.shape[2]))
        )
    archbench.count(network, (1, 3, side, side))
    each = [
        side for side, steps in zip(sides, STEPS_AT.values(), strict=True) for _ in range(steps)
    ]
    assert shapes == list(zip(CHANNELS, each, strict=True))


def test_its_stages_are_the_transitions() -> None:
    assert [(stage.name, stage.channels, stage.level) for stage in build().stages] == [
        ("transition1", 128, "c2"),
        ("transition2", 256, "c3"),
        ("transition3", 512, "c4"),
        ("transition4", 704, "c5"),
    ]


def test_the_stem_concatenates_a_pool_and_a_strided_3x3() -> None:
    first, norm, _, branches, fused, *_ = network = stem().eval()
    pool, strided = branches.branches
    assert (first.stride, pool.kernel_size, strided[3].stride, fused.in_channels) == (
        (2, 2),
        2,
        (2, 2),
        64,
    )
    x = torch.randn(1, 3, 9, 9)
    halved = norm(first(x)).relu()
    both = branches(halved)
    assert torch.equal(both[:, :32], pool(halved))
    assert network(x).shape == (1, 32, 3, 3)


def test_a_layer_keeps_its_input_and_adds_16_channels_a_way() -> None:
    layer = two_way(24, 8).eval()
    x = torch.randn(1, 24, 5, 5)
    y = layer(x.clone())
    assert y.shape[1] == 24 + 32
    assert torch.equal(y[:, :24], x)
    shapes = [
        [
            (conv.out_channels, conv.kernel_size[0])
            for conv in way.modules()
            if isinstance(conv, nn.Conv2d)
        ]
        for way in layer.branches
    ]
    assert shapes == [[], [(8, 1), (16, 3)], [(8, 1), (16, 3), (16, 3)]]


def test_the_stages_have_the_widths_of_the_paper() -> None:
    network = build()
    stages = [network.get_submodule(f"stage{index}") for index in (1, 2, 3, 4)]
    assert [len(stage) for stage in stages] == [3, 4, 8, 6]
    assert [{layer.branches[1][0].out_channels for layer in stage} for stage in stages] == [
        {16},
        {32},
        {64},
        {64},
    ]
    inputs = [stage[0].branches[1][0].in_channels for stage in stages]
    # The authors narrow a 1x1 that would be wider than half of what it reads; none is.
    assert all(width <= c_in / 2 for width, c_in in zip((16, 32, 64, 64), inputs, strict=True))


def test_params_and_convolutions() -> None:
    report = archbench.cost("peleenet", size=304, classes=0)
    assert (report.params, len(report.calls)) == (2_097_248, 113)


def test_the_authors_classifier_is_linear_and_darknets_a_convolution() -> None:
    conv, linear = archbench.cost("peleenet"), archbench.cost("peleenet", classifier="linear")
    assert conv.params == linear.params == 2_802_248
    assert conv.macs == linear.macs == 507_757_568
    assert (conv.calls[-1].op, linear.calls[-1].op) == ("conv2d", "linear")


def test_a_real_pass_is_finite_overwrites_nothing_and_fvcore_counts_it_alike() -> None:
    torch.manual_seed(0)
    network = archbench.build("peleenet", size=64, classes=0)
    network.taps = tuple(stage.name for stage in network.stages)
    plain = deepcopy(network)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps = network(images)
        assert all(torch.equal(a, b) for a, b in zip(maps, plain(images), strict=True))
    assert maps[-1].shape == (2, 704, 2, 2)
    assert all(m.isfinite().all() and m.std() > 0 for m in maps)
    assert check_against_fvcore(
        network, archbench.cost("peleenet", size=64, classes=0), (3, 64, 64)
    ).agrees


def test_a_sparse_layer_reads_the_layers_1_2_4_before_it() -> None:
    assert [sources(layer) for layer in (1, 2, 3, 4, 7, 8)] == [
        [0],
        [1, 0],
        [2, 1],
        [3, 2, 0],
        [6, 5, 3],
        [7, 6, 4, 0],
    ]


def test_a_sparse_block_gives_its_input_and_all_layers() -> None:
    block = SparseBlock(24, 8, 5, Style()).eval()
    assert [layer.branches[0][0].in_channels for layer in block.layers] == [24, 56, 64, 88, 96]
    x = torch.randn(1, 24, 4, 4)
    y = block(x)
    assert y.shape == (1, 24 + 5 * 32, 4, 4)
    assert torch.equal(y[:, :24], x)
    torch.testing.assert_close(
        y[:, 120:152], block.layers[3](torch.cat([y[:, 88:120], y[:, 56:88], x], dim=1))
    )


def test_grouped_layers_have_four_input_channels_a_group() -> None:
    convs = [
        layer
        for layer in build("peleenext").stage3.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    ]
    assert [(conv.in_channels, conv.groups) for conv in convs[:3]] == [(64, 16), (64, 16), (16, 1)]


def test_the_first_channels_pass_by_a_partial_block() -> None:
    partial = Partial(2, nn.Conv2d(3, 4, 1))
    x = torch.randn(1, 5, 2, 2)
    y = partial(x)
    assert torch.equal(y[:, 4:], x[:, :2])
    torch.testing.assert_close(y[:, :4], partial.branch(x[:, 2:]))


@pytest.mark.parametrize(
    ("gamma", "read"), [(0.25, [96, 192, 384]), (0.5, [64, 128, 256]), (0.75, [32, 64, 128])]
)
@pytest.mark.parametrize("fusion", ["both", "first", "last"])
def test_gamma_is_the_share_that_passes_by(fusion: str, gamma: float, read: list[int]) -> None:
    network = build_csp(fusion, gamma)
    stages = [network.get_submodule(f"stage{index}") for index in (2, 3, 4)]
    assert [stage.bypass for stage in stages] == [128 - read[0], 256 - read[1], 512 - read[2]]
    first = [
        next(layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)) for stage in stages
    ]
    assert [conv.in_channels for conv in first] == read
    assert [(stage.channels, stage.level) for stage in network.stages] == [
        (128, "c2"),
        (256, "c3"),
        (512, "c4"),
        (704, "c5"),
    ]
    assert (network.stages[-1].name == "stage4") is (fusion == "first")


def build_csp(fusion: str, gamma: float) -> Backbone:
    with torch.device("meta"):
        return csp_peleenet(
            layers=[3, 4, 8, 6],
            widths=[16, 32, 64, 64],
            gamma=gamma,
            fusion=fusion,
            activation="leaky",
            se=False,  # type: ignore[arg-type]
        )


def test_swish_takes_every_activation_s_place() -> None:
    kinds = (nn.ReLU, nn.LeakyReLU, nn.SiLU)
    counts = {
        name: [type(layer) for layer in build(name).modules() if isinstance(layer, kinds)]
        for name in ("csp-peleenet", "peleenet")
    }
    assert set(counts["peleenet"]) == {nn.ReLU}
    assert set(counts["csp-peleenet"]) == {nn.LeakyReLU}
    swish = [
        type(layer) for layer in build("csp-peleenet-swish").modules() if isinstance(layer, kinds)
    ]
    assert swish == [nn.SiLU] * len(counts["csp-peleenet"])


@pytest.mark.parametrize("name", ["peleenet", "csp-peleenet"])
def test_squeeze_and_excitation_gates_the_1x1_of_both_ways(name: str) -> None:
    """Two 1x1 with bias between b and b / 16 channels: 2 b b / 16 + b + b / 16, twice a layer."""
    gates = [layer for layer in build(f"se-{name}").modules() if isinstance(layer, SqueezeExcite)]
    hidden = [gate.gate[1].out_channels for gate in gates]
    assert hidden == [1] * 6 + [2] * 8 + [4] * 28
    more = 2 * sum(
        layers * (2 * b * b // 16 + b + b // 16)
        for layers, b in zip((3, 4, 8, 6), (16, 32, 64, 64), strict=True)
    )
    plain, gated = (
        sum(parameter.numel() for parameter in build(each).parameters())
        for each in (name, f"se-{name}")
    )
    assert gated - plain == more == 17_830


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sparse-peleenet", {}),
        ("peleenext", {}),
        ("se-peleenet", {}),
        ("csp-peleenet", {}),
        ("csp-peleenet-fusion-first-g25", {}),
        ("csp-peleenet-fusion-last-g75", {}),
        ("se-csp-peleenet", {"activation": "swish"}),
    ],
)
def test_every_form_runs_for_real_and_its_images_do_not_see_each_other(
    runs: Callable[..., None], name: str, options: dict[str, str]
) -> None:
    runs(name, **options)
