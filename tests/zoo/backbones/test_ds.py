"""DSOD's DS/A-B-k-theta: Table 1's maps, what the options change, names that carry their
numbers.
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
from archbench.zoo import catalogue
from archbench.zoo.backbones.ds import DenseLayer

TABLE1 = {
    "stem": 128,
    "pool0": 128,
    "block1": 416,
    "transition1": 416,
    "pool1": 416,
    "block2": 800,
    "transition2": 800,
    "pool2": 800,
    "block3": 1184,
    "transition3": 1184,
    "block4": 1568,
    "transition4": 256,
}

Maps = Callable[[nn.Module, int], dict[str, tuple[int, int]]]


def build(name: str = "ds-64-192-48-1", **options: object) -> nn.Module:
    return archbench.build(name, classes=0, device="meta", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (300, (150, 75, 75, 75, 38, 38, 38, 19, 19, 19, 19, 19)),
        (512, (256, 128, 128, 128, 64, 64, 64, 32, 32, 32, 32, 32)),
    ],
)
def test_the_maps_of_table_1(maps: Maps, side: int, sides: tuple[int, ...]) -> None:
    assert maps(build(), side) == dict(
        zip(TABLE1, zip(TABLE1.values(), sides, strict=True), strict=True)
    )


def test_without_a_stem_block_it_begins_with_half_the_channels_at_the_same_sizes(
    maps: Maps,
) -> None:
    block, conv7 = maps(build(), 300), maps(build(stem="conv7"), 300)
    assert [(conv7[name], block[name][1]) for name in ("stem", "pool0")] == [
        ((64, 150), 150),
        ((64, 75), 75),
    ]
    assert [side for _, side in conv7.values()] == [side for _, side in block.values()]
    assert archbench.cost("ds-64-192-48-1", stem="conv7").calls[0].kernel == (7, 7)


@pytest.mark.parametrize(
    ("name", "options", "widths"),
    [
        ("ds-64-192-48-1", {}, (416, 800, 1184, 256)),
        ("ds-64-192-48-1", {"final_width": "full"}, (416, 800, 1184, 1568)),
        ("ds-64-192-48-1", {"widths": "from-a", "final_width": "full"}, (352, 736, 1120, 1504)),
        ("ds-64-192-48-1", {"stem": "conv7", "final_width": "full"}, (352, 736, 1120, 1504)),
        (
            "ds-64-192-48-1",
            {"stem": "conv7", "widths": "from-a", "final_width": "full"},
            (352, 736, 1120, 1504),
        ),
        ("ds-64-64-16-1", {}, (224, 352, 480, 256)),
        ("ds-32-12-16-0.5", {"final_width": "full"}, (80, 104, 116, 122)),
        ("ds-32-12-16-0.5", {"stem": "conv7", "final_width": "full"}, (64, 96, 112, 120)),
        ("ds-64-192-48-1", {"blocks": 3}, (416, 800, 256)),
        ("ds-64-192-48-1", {"blocks": 3, "final_width": "full"}, (416, 800, 1184)),
    ],
)
def test_widths_of_the_transitions(
    name: str, options: dict[str, object], widths: tuple[int, ...]
) -> None:
    steps = dict(build(name, **options).named_children())
    assert (
        tuple(
            step[-1].out_channels for name, step in steps.items() if name.startswith("transition")
        )
        == widths
    )
    assert [name for name in steps if name.startswith("pool")] == ["pool0", "pool1", "pool2"]


def test_its_stages_are_the_transitions_before_their_pools() -> None:
    assert [(stage.name, stage.channels, stage.level) for stage in build().stages] == [
        ("stem", 128, "c1"),
        ("transition1", 416, "c2"),
        ("transition2", 800, "c3"),
        ("transition4", 256, "c4"),
    ]
    assert [
        (stage.name, stage.channels, stage.stride) for stage in build(blocks=3, stem="conv7").stages
    ] == [
        ("stem", 64, 2),
        ("transition1", 352, 4),
        ("transition2", 736, 8),
        ("transition3", 256, 16),
    ]


def test_a_layer_normalises_first_and_adds_to_what_it_reads() -> None:
    layer = DenseLayer(6, 12, 4).eval()
    x = torch.randn(1, 6, 5, 5)
    y = layer(x.clone())
    assert torch.equal(y[:, :6], x)
    assert y.shape[1] == 6 + 4
    assert [type(part) for part in layer.layer] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d] * 2
    assert [
        (part.in_channels, part.out_channels, part.kernel_size[0]) for part in layer.layer[2::3]
    ] == [(6, 12, 1), (12, 4, 3)]


def test_densenet_67_is_its_name_in_the_vovnet_paper() -> None:
    report = archbench.cost("densenet67")
    assert report.params == archbench.cost("ds-64-64-16-1").params
    assert len(report.calls) == 67
    assert (
        catalogue.resolve("densenet67", classes=0).spec
        == catalogue.resolve("DS/64-64-16-1", classes=0).spec
    )


def test_a_name_carries_its_numbers() -> None:
    network = build("DS-48-24-20-0.75", final_width="full")
    assert [stage.channels for stage in network.stages] == [96, 162, 241, 345]
    assert network.block1[0].layer[2].out_channels == 24


def test_the_paper_s_spelling_is_a_name_whether_a_row_lists_it_or_not() -> None:
    """A past bug: DS/64-64-16-1 was found, DS/64-96-32-1 was not."""
    for numbers in ("64-64-16-1", "64-96-32-1"):
        assert catalogue.find("backbone", f"DS/{numbers}").name == f"ds-{numbers}"


@pytest.mark.parametrize(
    "name",
    [
        "ds-0-64-16-1",
        "ds-64-64-0-1",
        "ds-64-64-16-0",
        "ds-64-64-16-1.5",
        "ds-64-64-16-1.0",
        "ds-64-64-16",
    ],
)
def test_numbers_that_make_no_network_are_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="unknown backbone"):
        catalogue.resolve(name)


def test_a_share_that_leaves_no_channels_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot be built"):
        archbench.cost("ds-2-4-1-0.001")


def test_it_takes_caffes_pixels() -> None:
    image = (
        build()
        .preparation(torch.tensor([123, 117, 104], dtype=torch.uint8).reshape(3, 1, 1), (1, 1))
        .image
    )
    assert image.flatten().tolist() == [0, 0, 0]


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


@pytest.mark.parametrize("options", [{}, {"stem": "conv7", "blocks": 3}], ids=str)
def test_a_real_pass_is_finite_and_overwrites_nothing(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = archbench.build("ds-32-12-16-0.5", size=64, **options)  # type: ignore[arg-type]
    images = torch.randn(2, 3, 64, 64)
    ours, plain = (everywhere(network, images, in_place=in_place) for in_place in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert ours[-1].shape == (2, 256, 4, 4)
    assert all(m.isfinite().all() and m.std() > 0 for m in ours)


def test_fvcore_counts_it_alike() -> None:
    network = archbench.build("ds-32-12-16-0.5", size=64, blocks=3)
    assert check_against_fvcore(
        network, archbench.cost("ds-32-12-16-0.5", size=64, blocks=3), (3, 64, 64)
    ).agrees
