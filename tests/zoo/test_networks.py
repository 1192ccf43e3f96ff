"""The whole zoo: every registered network builds, counts and is what its stages say, on the meta
device.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache

import pytest
import torch

import archbench
from archbench.counting.report import CostReport
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry
from archbench.zoo.contracts import Backbone, Classifier, Detector

BACKBONES = [entry for entry in catalogue.entries("backbone") if not entry.published_only]
DETECTORS = [entry for entry in catalogue.entries("detector") if not entry.published_only]
FAMILIES = list({entry.family: entry for entry in reversed(BACKBONES)}.values())
WITHOUT_BOXES = {"cornernet", "centernet", "ttfnet"}
"""Detectors that find objects as points."""
LARGE = {"elastic", "inception_resnet_v2", "hourglass"}
"""Families of which the smallest takes seconds to run."""
THOUSAND_LAYERS = ("preact-resnet1001",)
EVERY = 6
"""One pair of a detector and a family in so many is built by default, each detector and each family
among them; all if slow.
"""
PAIRS = [
    pytest.param(
        entry,
        detector,
        id=f"{detector.name}-{entry.family}",
        marks=[] if (i + j) % EVERY == 0 else pytest.mark.slow,
    )
    for i, detector in enumerate(DETECTORS)
    for j, entry in enumerate(FAMILIES)
]


def by_name(*, slow: Callable[[Entry], bool]) -> pytest.MarkDecorator:
    """A test a backbone, some of them in the slow tier."""
    rows = [
        pytest.param(entry, marks=[pytest.mark.slow] if slow(entry) else [], id=entry.name)
        for entry in BACKBONES
    ]
    return pytest.mark.parametrize("entry", rows)


SHOWN = {
    entry.name
    for family in FAMILIES
    for entry in [one for one in BACKBONES if one.family == family.family and not one.same_as][::3]
}
"""One network in three of each family, its first among them; a name for another network's options
has that one's steps.
"""
ELSEWHERE = {"resnet50-slim", "resnet50-x0.25", "resnext50-x0.25", "resnet50-dense-x0.25"}
"""One name of each kind whose maps have other strides than its network's own."""
by_network = by_name(slow=lambda entry: entry.name in THOUSAND_LAYERS or entry.name not in SHOWN)


def make(
    entry: Entry, taps: tuple[str, ...] | None = None, detector: str | None = None
) -> Backbone:
    """Build a trunk, alone or as under a detector, on the meta device with taps, which a spec does
    not hold.
    """
    classes = None if detector else 0
    network = catalogue.resolve(entry.name, detector, classes=classes)
    options = {key: v for key, v in network.backbone_options.items() if key != "classifier"}
    builder = pkgutil.resolve_name(f"archbench.zoo.backbones.{entry.builder}")
    with torch.device("meta"):
        backbone: Backbone = builder(**entry.arguments, **options, taps=taps)
    return backbone.eval()


@cache
def whole(name: str, detector: str | None = None) -> Backbone:
    """The trunk to its last map."""
    return make(catalogue.find("backbone", name), detector=detector)


def run(
    backbone: Backbone, entry: Entry, *, more: int = 0
) -> tuple[list[tuple[int, ...]], CostReport]:
    """Count a trunk at its network's own input, or `more` pixels each way; give its maps' shapes
    too.

    Several times faster than a bare pass on the meta device.
    """
    width, height = (side + more for side in entry.size)
    shapes: list[tuple[int, ...]] = []
    backbone.register_forward_hook(
        lambda _module, _inputs, maps: shapes.extend(tuple(m.shape[1:]) for m in maps)
    )
    return shapes, archbench.count(backbone, (1, 3, height, width))


@cache
def tapped_everywhere(name: str) -> tuple[Backbone, list[tuple[int, ...]], CostReport]:
    """A trunk tapped at each of its stages, the last first, its maps' shapes and its cost."""
    entry = catalogue.find("backbone", name)
    backbone = make(entry, tuple(stage.name for stage in reversed(whole(name).stages)))
    return backbone, *run(backbone, entry)


@by_network
def test_it_counts_as_it_is_published(entry: Entry) -> None:
    report = archbench.cost(entry.name)
    assert report.uncounted == ()
    assert report.mac_bound > 0


@by_network
def test_a_classifier_costs_more_than_its_trunk(entry: Entry) -> None:
    *_, trunk = tapped_everywhere(entry.name)
    assert archbench.cost(entry.name).macs > trunk.macs or entry.classes == 0


@by_network
def test_its_stages_are_true_in_any_order(entry: Entry) -> None:
    """A stride of s: s pixels more of the input give exactly one cell more, whatever is padded or
    rounded.
    """
    backbone, shapes, _ = tapped_everywhere(entry.name)
    width, height = entry.size
    assert backbone.tapped == whole(entry.name).stages[::-1]
    larger, _ = run(make(entry, backbone.taps), entry, more=64)
    for stage, (channels, rows, columns), grown in zip(
        backbone.tapped, shapes, larger, strict=True
    ):
        assert channels == stage.channels
        assert rows <= -(-height // stage.stride)
        assert columns <= -(-width // stage.stride)
        assert grown == (channels, rows + 64 // stage.stride, columns + 64 // stage.stride)
        if "padding" not in entry.options:
            assert (rows, columns) == (-(-height // stage.stride), -(-width // stage.stride))


@by_name(slow=lambda entry: entry.name not in SHOWN | ELSEWHERE)
def test_its_levels_are_those_of_its_stages(entry: Entry) -> None:
    """A past bug: resnet50-x0.25 was listed with the levels of resnet50."""
    with_fc = {"c5"} if entry.name == "vgg16" else set()  # Convolutions for its linear layers.
    assert {stage.level for stage in whole(entry.name).stages} | with_fc == set(entry.levels)


@by_network
def test_a_tap_computes_nothing_past_itself(entry: Entry) -> None:
    first = whole(entry.name).stages[0]
    backbone = make(entry, (first.name,))
    shapes, report = run(backbone, entry)
    steps = list(dict(whole(entry.name).named_children()))
    assert list(dict(backbone.named_children())) == steps[: steps.index(first.name) + 1]
    assert (backbone.stages, shapes[0][0]) == ((first,), first.channels)
    calls = tapped_everywhere(entry.name)[2].calls
    assert report.calls == calls[: len(report.calls)]
    assert len(report.calls) < len(calls)


def test_a_tap_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no c9.*c2 \(stage2, stride 4\)"):
        make(catalogue.find("backbone", "resnet18"), ("c9",))


@by_network
def test_a_detector_fits_every_backbone_that_offers_its_taps(entry: Entry) -> None:
    detector = catalogue.find("detector", "refinedet")
    if set(detector.taps) <= set(entry.levels) & {
        stage.level for stage in whole(entry.name, detector.name).stages
    }:
        report = archbench.cost(entry.name, detector.name)
        area = detector.size[0] * detector.size[1] / (entry.size[0] * entry.size[1])
        assert report.macs > tapped_everywhere(entry.name)[2].macs * area
        assert report.uncounted == ()
    else:
        with pytest.raises(UsageError, match="cannot be built: this backbone has no c"):
            archbench.cost(entry.name, detector.name)


@pytest.mark.parametrize(("entry", "detector"), PAIRS)
def test_every_detector_stands_on_every_family(entry: Entry, detector: Entry) -> None:
    """Where it has the maps that the detector reads: DSOD's own networks end at stride 16, toy ones
    and hourglasses at stride 4.
    """
    taps = {tap for tap in detector.on_family(entry.stands_as).taps if tap[1:].isdigit()}
    if not taps <= set(entry.levels):
        with pytest.raises(
            UsageError, match=r"cannot be built: this backbone has no c[2345]; it offers"
        ):
            archbench.cost(entry.name, detector.name)
        return
    report = archbench.cost(entry.name, detector.name)
    assert report.uncounted == ()
    assert report.boxes is None or report.boxes > 500
    assert (report.boxes is None) is (detector.name in WITHOUT_BOXES)


def test_linear_layers_read_no_whole_map() -> None:
    with pytest.raises(UsageError, match=r"rfcn on vgg16 .*vectors"):
        archbench.cost("vgg16", "rfcn", fc="linear")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=[pytest.mark.slow] if entry.family in LARGE else [])
        for entry in FAMILIES
    ],
    ids=[entry.family for entry in FAMILIES],
)
def test_a_family_runs_for_real(entry: Entry) -> None:
    torch.manual_seed(0)
    side = min(entry.size[0], 96)
    network = archbench.build(entry.name, size=side, classes=0)
    with torch.inference_mode():
        (out,) = network(torch.randn(2, 3, side, side))
    assert out.isfinite().all()
    assert out.std() > 0
    assert out.shape[:2] == (2, network.stages[-1].channels)


def test_what_is_asked_decides_what_is_built() -> None:
    trunk = archbench.build("resnet18", classes=0, device="meta")
    classifier = archbench.build("resnet18", device="meta")
    detector = archbench.build("resnet18", "refinedet", device="meta")
    assert [type(trunk), type(classifier)] == [Backbone, Classifier]
    assert isinstance(detector, Detector)
    assert not any(
        module.training for network in (trunk, classifier, detector) for module in network.modules()
    )


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_a_convolution_as_last_layer_counts_as_one(name: str) -> None:
    linear, conv = archbench.cost(name), archbench.cost(name, classifier="conv")
    channels = archbench.build(name, classes=0, device="meta").stages[-1].channels
    assert (conv.params, conv.macs) == (linear.params, linear.macs)
    assert conv.cio - linear.cio == channels + 1000
    assert conv.mac_eq1 - linear.mac_eq1 == channels + 1000 + channels * 1000


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "resnet50-v1", "resnet50-slim", "resnext50-32x4d"]
)
@pytest.mark.parametrize("stride", [16, 8])
def test_an_output_stride_keeps_the_parameters_and_the_resolution(name: str, stride: int) -> None:
    report = archbench.cost(name, classes=0, output_stride=stride)
    plain, dilated = (
        archbench.build(name, classes=0, device="meta", **given).stages
        for given in ({}, {"output_stride": stride})
    )
    assert [stage.stride for stage in dilated] == [min(stage.stride, stride) for stage in plain]
    *_, trunk = tapped_everywhere(name)
    assert report.params == trunk.params
    assert report.macs > trunk.macs
    assert report.calls[-1].out_shape[-2:] == (224 // stride, 224 // stride)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet50", {"norm": "gn", "width": 0.25}),
        ("resnext50-32x4d", {"width": 0.1}),
        ("resnet50", {"width": 0.001}),
        ("osa-0x43", {}),
        ("osa-5x0", {}),
        ("osa-5x043", {}),
    ],
    ids=str,
)
def test_a_width_that_cannot_be_is_a_usage_error(backbone: str, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        archbench.cost(backbone, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["densenet121", "vovnet39", "vgg16"])
def test_an_input_too_small_for_the_network_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError):
        archbench.cost(name, size=8, classes=0)
