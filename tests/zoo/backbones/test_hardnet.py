"""HarDNet: which layers a layer reads, how wide it is, the DS variants and the bridge of the
authors' SSD.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.spec import UsageError
from archbench.zoo.backbones.hardnet import HarDBlock, sources, width

Maps = Callable[[nn.Module, int], dict[str, tuple[int, int]]]


def build(name: str, **options: object) -> nn.Module:
    return archbench.build(name, classes=0, device="meta", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "read"),
    [
        (1, [0]),
        (2, [1, 0]),
        (3, [2]),
        (4, [3, 2, 0]),
        (6, [5, 4]),
        (12, [11, 10, 8]),
        (16, [15, 14, 12, 8, 0]),
    ],
)
def test_a_layer_reads_those_at_powers_of_two_that_divide_its_number(
    layer: int, read: list[int]
) -> None:
    assert sources(layer) == read


def test_a_layers_width_grows_with_each_harmonic() -> None:
    assert [width(layer, 14, 1.7) for layer in range(1, 9)] == [14, 24, 14, 40, 14, 24, 14, 68]


def test_a_block_gives_its_odd_layers_and_the_last() -> None:
    block = HarDBlock(8, 14, 8, multiplier=1.7).eval()
    outputs: list[Tensor] = []
    for layer in block.layers:
        layer.register_forward_hook(lambda _module, _inputs, out: outputs.append(out.clone()))
    x = torch.randn(1, 8, 6, 6)
    y = block(x)
    assert block.channels == y.shape[1] == 4 * 14 + 68
    assert torch.equal(y, torch.cat([outputs[i] for i in (0, 2, 4, 6, 7)], dim=1))
    torch.testing.assert_close(
        outputs[3], block.layers[3](torch.cat([outputs[2], outputs[1], x], dim=1))
    )


@pytest.mark.parametrize(
    ("name", "concatenated"),
    [("hardnet68", [124, 262, 328, 654]), ("hardnet85", [214, 392, 458, 588, 784])],
)
def test_channels_of_the_blocks_before_their_1x1(name: str, concatenated: list[int]) -> None:
    steps = build(name, bridge=True).named_children()
    assert [step[0].channels for label, step in steps if label.startswith("block")] == concatenated


@pytest.mark.parametrize(
    ("name", "options", "stages"),
    [
        (
            "hardnet39",
            {},
            [("stem", 48), ("block1", 96), ("block2", 320), ("block3", 640), ("block4", 1024)],
        ),
        (
            "hardnet39ds",
            {},
            [("stem", 48), ("block1", 96), ("block2", 320), ("block3", 640), ("block4", 1024)],
        ),
        (
            "hardnet68",
            {},
            [("stem", 64), ("block1", 128), ("block3", 320), ("block4", 640), ("block5", 1024)],
        ),
        (
            "hardnet68ds",
            {},
            [("stem", 64), ("block1", 128), ("block3", 320), ("block4", 640), ("block5", 1024)],
        ),
        (
            "hardnet85",
            {},
            [("stem", 96), ("block1", 192), ("block3", 320), ("block5", 720), ("block6", 1280)],
        ),
        (
            "hardnet68",
            {"bridge": True},
            [("stem", 64), ("block1", 128), ("block3", 320), ("bridge", 640)],
        ),
        (
            "hardnet85",
            {"bridge": True},
            [("stem", 96), ("block1", 192), ("block3", 320), ("bridge", 720)],
        ),
    ],
)
def test_its_stages_are_the_deepest_maps_of_each_resolution(
    maps: Maps, name: str, options: dict[str, bool], stages: list[tuple[str, int]]
) -> None:
    network = build(name, **options)
    assert [(stage.name, stage.channels) for stage in network.stages] == stages
    assert [stage.level for stage in network.stages] == ["c1", "c2", "c3", "c4", "c5"][
        : len(stages)
    ]
    shapes = maps(network, 224)
    assert [shapes[stage.name] for stage in network.stages] == [
        (stage.channels, 224 // stage.stride) for stage in network.stages
    ]


@pytest.mark.parametrize(("side", "sides"), [(512, (256, 128, 64, 32)), (300, (150, 75, 38, 19))])
@pytest.mark.parametrize("name", ["hardnet68", "hardnet85"])
def test_maps_under_the_ssd(maps: Maps, name: str, side: int, sides: tuple[int, ...]) -> None:
    network = build(name, bridge=True)
    shapes = maps(network, side)
    assert tuple(shapes[stage.name][1] for stage in network.stages) == sides


def test_only_the_pool_after_the_first_block_of_the_ssd_rounds_up() -> None:
    pools = {
        name: step.ceil_mode
        for name, step in build("hardnet68", bridge=True).named_children()
        if name.startswith("down")
    }
    assert pools == {"down0": False, "down1": True, "down3": False}
    assert not any(
        pool.ceil_mode for pool in build("hardnet68").modules() if isinstance(pool, nn.MaxPool2d)
    )


@pytest.mark.parametrize(
    ("name", "trunk", "bridge"),
    [("hardnet68", 8_006_368, 4_098_560), ("hardnet85", 17_883_548, 6_915_360)],
)
def test_params_of_the_bridge(name: str, trunk: int, bridge: int) -> None:
    network = build(name, bridge=True)
    params = (
        sum(p.numel() for p in network.parameters()),
        sum(p.numel() for p in network.bridge.parameters()),
    )
    assert params == (trunk + bridge, bridge)


def test_the_bridge_of_68_is_dilated_and_keeps_the_size() -> None:
    pool, wide, *_ = build("hardnet68", bridge=True).bridge
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 1, 1)
    assert (wide.dilation, wide.padding, wide.out_channels) == ((4, 4), (4, 4), 640)
    assert (
        build("hardnet85", bridge=True).bridge[1].dilation,
        build("hardnet85", bridge=True).bridge[1].out_channels,
    ) == ((1, 1), 960)


def test_classifiers_have_relu6_and_the_ssd_has_relu() -> None:
    for bridge, kind in ((False, nn.ReLU6), (True, nn.ReLU)):
        activations = {
            type(module)
            for module in build("hardnet68", bridge=bridge).modules()
            if isinstance(module, nn.ReLU | nn.ReLU6)
        }
        assert activations == {kind}


def test_ds_variants_are_pointwise_and_depthwise() -> None:
    network = build("hardnet39ds")
    assert [
        (conv.kernel_size[0], conv.stride[0])
        for conv in network.stem
        if isinstance(conv, nn.Conv2d)
    ] == [(3, 2), (1, 1)]
    point, _, activation, depth, norm = network.block1[0].layers[3]
    assert (point.kernel_size, depth.kernel_size, depth.groups) == (
        (1, 1),
        (3, 3),
        depth.out_channels,
    )
    assert (type(activation), type(norm)) == (nn.ReLU6, nn.BatchNorm2d)
    downs = [step for name, step in network.named_children() if name.startswith("down")]
    assert [(conv.stride, conv.groups, len(step)) for step in downs for conv in [step[0]]] == [
        ((2, 2), c, 2) for c in (48, 96, 320, 640)
    ]
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())


@pytest.mark.parametrize(
    ("name", "mega_params", "giga_macs"),
    [("hardnet85", 36.7, 9.07), ("hardnet68", 17.6, 4.25), ("hardnet39ds", 3.5, 0.43)],
)
def test_classifiers_count_as_their_authors_say(
    name: str, mega_params: float, giga_macs: float
) -> None:
    report = archbench.cost(name)
    assert (round(report.params / 1e6, 1), round(report.macs / 1e9, 2)) == (mega_params, giga_macs)


def test_a_network_without_a_bridge_says_which_have_one() -> None:
    with pytest.raises(UsageError, match="only hardnet68, hardnet85"):
        archbench.cost("hardnet39", bridge=True)


def everywhere(network: nn.Module, images: Tensor, *, in_place: bool) -> list[Tensor]:
    """What a network gives at all its stages."""
    network = deepcopy(network)
    network.taps = tuple(stage.name for stage in network.stages)
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = in_place
    with torch.inference_mode():
        maps: list[Tensor] = network(images)
    return maps


@pytest.mark.parametrize(
    ("name", "options"), [("hardnet39", {}), ("hardnet39ds", {}), ("hardnet68", {"bridge": True})]
)
def test_a_real_pass_is_finite_and_overwrites_nothing(name: str, options: dict[str, bool]) -> None:
    torch.manual_seed(0)
    network = archbench.build(name, size=64, classes=0, **options)
    images = torch.randn(2, 3, 64, 64)
    ours, plain = (everywhere(network, images, in_place=in_place) for in_place in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert all(m.isfinite().all() and m.std() > 0 for m in ours)


def test_fvcore_counts_it_alike() -> None:
    network = archbench.build("hardnet39ds", size=64)
    assert check_against_fvcore(network, archbench.cost("hardnet39ds", size=64), (3, 64, 64)).agrees
