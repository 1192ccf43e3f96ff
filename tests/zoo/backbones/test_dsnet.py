"""DSNet: what the shortcuts read, that a map is normalised once, what they add, and what stays
ResNet's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import archbench
from archbench.zoo import catalogue
from archbench.zoo.backbones.dsnet import (
    DenseStage,
    InnerShortcut,
    Shortcuts,
    ds_wrn,
    dsnet,
    groups_of,
)
from archbench.zoo.backbones.resnet import Shape, bottleneck
from archbench.zoo.contracts import Backbone

DEFAULTS = {"reading": "r2", "shortcut_norm": "gn", "shortcut_weight": True, "shortcut_source": "y"}


def tiny(**options: Any) -> Backbone:
    """A DSNet of four narrow stages for small pictures."""
    return dsnet(**{"blocks": [2, 3, 1, 2], "stem": "cifar", "width": 0.125, **DEFAULTS, **options})


def stage(shortcuts: Shortcuts, blocks: int = 4) -> DenseStage:
    """A stage of narrow blocks with weights of its shortcuts drawn at random, in evaluation
    mode.
    """
    torch.manual_seed(0)
    layers = [bottleneck(Shape(16 if i else 8, 4, 16), stride_on="3x3") for i in range(blocks)]
    made = DenseStage(layers, shortcuts).eval()
    for weights in made.sums:
        for weight in weights.weights:
            nn.init.normal_(weight)
    return made


def by_equation(made: DenseStage, x: Tensor, shortcuts: Shortcuts) -> Tensor:
    """Equation 12 (or 11, whose sources are the branches) word for word, normalising anew for every
    shortcut.
    """

    def link(reader: int, source: int, value: Tensor) -> Tensor:
        groups = {"gn": 8, "ln": 1, "in": 16, "none": 0, "bn": 0}[shortcuts.norm]
        normalised = nn.functional.group_norm(value, groups) if groups else value
        if shortcuts.norm == "bn":
            normalised = value / (1 + 1e-5) ** 0.5
        return made.sums[reader].weights[source] * normalised if shortcuts.weight else normalised

    projected = made.reshapes[0](x)
    branch = made.branches[0](x)
    y = (branch + (projected if shortcuts.reading == "r3" else link(0, 0, projected))).relu()
    given = [branch if shortcuts.source == "x" else y]
    for index, layer in enumerate(made.branches[1:], start=1):
        read = [projected, *given] if shortcuts.reading == "r1" else given
        branch = layer(y)
        y = (branch + sum(link(index, i, value) for i, value in enumerate(read))).relu()
        given.append(branch if shortcuts.source == "x" else y)
    return y


@pytest.mark.parametrize(
    ("reading", "norm", "weight", "source"),
    list(product(("r1", "r2", "r3"), ("gn", "none"), (True, False), "yx")),
)
def test_a_stage_is_the_paper_s_equation(
    reading: Any, norm: Any, weight: bool, source: Any
) -> None:
    shortcuts = Shortcuts(reading, norm, weight, source)
    x = torch.randn(2, 8, 5, 5)
    made = stage(shortcuts)
    torch.testing.assert_close(made(x), by_equation(made, x, shortcuts))


@pytest.mark.parametrize("norm", ["ln", "bn", "in"])
def test_so_it_is_with_other_normalisations(norm: Any) -> None:
    shortcuts = Shortcuts(norm=norm)
    x = torch.randn(2, 8, 5, 5)
    made = stage(shortcuts)
    torch.testing.assert_close(made(x), by_equation(made, x, shortcuts))


def test_the_inner_shortcut_adds_to_what_the_layer_gives_after_its_relu() -> None:
    layer = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU())
    inner = InnerShortcut(layer, 4, 2, Shortcuts())
    nn.init.normal_(inner.sum.weights[0])
    x = torch.randn(2, 4, 5, 5)
    expected = layer(x) + inner.sum.weights[0] * nn.functional.group_norm(x[..., ::2, ::2], 2)
    torch.testing.assert_close(inner(x), expected)


class Calls(TorchDispatchMode):
    """Counts operators by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from loading its compiler."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.names[func._schema.name.removeprefix("aten::").rstrip("_")] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "reading", "norms", "links"),
    [
        ("dsnet50", "r2", 16, 31),
        ("dsnet50", "r1", 16, 43),
        ("dsnet50", "r3", 12, 27),
        ("ds2net50", "r2", 32, 47),
    ],
)
def test_a_map_is_normalised_once_whoever_reads_it(
    name: str, reading: str, norms: int, links: int
) -> None:
    """Section 4.5. A stage of n blocks has n sources (r3: n - 1) and 1 + n (n - 1) / 2 shortcuts,
    DS2Net one a block more.
    """
    network = archbench.build(name, size=32, reading=reading, width=0.125)
    with torch.inference_mode(), Calls() as calls:
        network(torch.randn(1, 3, 32, 32))
    assert calls.names["group_norm"] == norms
    assert calls.names["addcmul"] == links


def test_the_inner_shortcut_takes_every_second_pixel_by_a_pool() -> None:
    """Three strided blocks; a pool reads the map of the 1x1 before and writes a quarter of it."""
    report, resnet = (archbench.cost(name) for name in ("ds2net50", "resnet50"))
    pools = sum(
        channels * (side**2 + (side // 2) ** 2)
        for channels, side in ((128, 56), (256, 28), (512, 14))
    )
    assert report.cio == resnet.cio
    assert report.cio_pool == resnet.cio_pool + pools == 23_760_384


@pytest.mark.parametrize(
    ("name", "reading", "added"),
    [
        ("dsnet50", "r2", 29_184),
        ("dsnet50", "r1", 40_448),
        ("dsnet50", "r3", 25_344),
        ("ds2net50", "r2", 32_960),
    ],
)
def test_the_default_reading_adds_less_than_the_paper_says(
    name: str, reading: str, added: int
) -> None:
    """Section 4.2: less than 0.15 % of the original parameters, which the literal reading (r1)
    exceeds.
    """
    original = archbench.cost("resnet50").params
    assert archbench.cost(name, reading=reading).params - original == added
    assert (added / original < 0.0015) == (reading != "r1")


@pytest.mark.parametrize(
    "options",
    [{}, {"stride_on": "1x1"}, {"stride_on": "3x3-last"}, {"output_stride": 8}, {"stem": "cifar"}],
    ids=str,
)
def test_all_else_is_resnet_s(options: dict[str, Any]) -> None:
    """Multiply-adds, MAC and CIO; a shortcut has weights and no scale, shift or bias."""
    of_resnet, of_dsnet = (
        archbench.cost(name, size=64, **options) for name in ("resnet26", "ds2net26")
    )
    for word in ("macs", "mac_eq1", "cio", "bn_elements"):
        assert getattr(of_resnet, word) == getattr(of_dsnet, word)
    network = archbench.build("ds2net26", size=64, device="meta", **options)
    weights = [parameter for name, parameter in network.named_parameters() if "weights" in name]
    assert of_dsnet.params - of_resnet.params == sum(weight.numel() for weight in weights)
    assert {(weight.shape[0], *weight.shape[2:]) for weight in weights} == {(1, 1, 1)}
    norms = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
    assert norms
    assert not any(norm.affine for norm in norms)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(2048, 32), (64, 32), (32, 16), (16, 8), (6, 3), (12, 6), (7, 1), (1, 1)],
)
def test_no_group_is_a_single_channel(channels: int, groups: int) -> None:
    assert groups_of(channels) == groups


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inner": True},
        {"inner": True, "reading": "r1", "shortcut_norm": "bn", "stride_on": "1x1"},
        {
            "inner": True,
            "reading": "r3",
            "shortcut_source": "x",
            "stride_on": "3x3-last",
            "shortcut_norm": "in",
        },
        {"shortcut_norm": "none", "shortcut_weight": False},
        {"groups": 4, "middle": 128, "inner": True, "shortcut_norm": "ln"},
    ],
    ids=str,
)
def test_a_step_of_training_reaches_everything(
    options: dict[str, Any], trains: Callable[[Backbone, int], None]
) -> None:
    trains(tiny(**options), 32)


def test_so_it_does_without_a_relu_after_a_sum(trains: Callable[[Backbone, int], None]) -> None:
    trains(ds_wrn(blocks=3, widths=[8, 16, 32], **DEFAULTS), 16)  # type: ignore[arg-type]


def test_a_res2net_s_shortcut_goes_around_all_scales() -> None:
    widths = [52 * 2 << s for s in range(4)]
    report = archbench.cost("ds2res2net50")
    original = archbench.cost("res2net50")
    assert report.params - original.params == 29_184 + sum(
        n * width for n, width in zip((3, 4, 6, 3), widths, strict=True)
    )
    assert (report.macs, report.cio) == (original.macs, original.cio)


@pytest.mark.parametrize(
    "detector", ["faster-rcnn", "faster-rcnn-fpn", "rfcn", "refinedet", "ssd", "retinanet", "dssd"]
)
def test_detectors_take_it_as_a_resnet(detector: str) -> None:
    """Table 8; a second stage on region crops has the shortcuts of its stage."""
    of_resnet, of_dsnet = (archbench.cost(name, detector) for name in ("resnet26", "ds2net26"))
    added = archbench.cost("ds2net26").params - archbench.cost("resnet26").params
    assert of_dsnet.params - of_resnet.params == added
    assert (of_dsnet.macs, of_dsnet.cio, of_dsnet.boxes) == (
        of_resnet.macs,
        of_resnet.cio,
        of_resnet.boxes,
    )


def test_the_ablations_are_names_of_options() -> None:
    """Table 1."""
    cifar = {"stem": "cifar", "width": 0.25}
    for name, options in {
        "dsnet50-a-x0.25": {"shortcut_source": "x"},
        "dsnet50-nonorm-x0.25": {"shortcut_norm": "none"},
        "dsnet50-noweight-x0.25": {"shortcut_weight": False},
        "resnet50-dense-x0.25": {"shortcut_norm": "none", "shortcut_weight": False},
    }.items():
        assert (
            catalogue.resolve("dsnet50", size=32, classes=100, **cifar, **options).spec
            == catalogue.resolve(name).spec
        )  # type: ignore[arg-type]
