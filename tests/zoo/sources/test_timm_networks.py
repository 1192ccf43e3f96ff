"""Networks of timm, by a small stand-in with its interface: whole, and under detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import archbench
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.contracts import Backbone

CHAIN_MACS = sum(
    (64 // 2 ** (i + 1)) ** 2 * 9 * a * b
    for i, (a, b) in enumerate([(3, 4), (4, 8), (8, 16), (16, 32), (32, 64)])
)
"""Those of the stand-in's chain at 64x64."""

pytestmark = pytest.mark.usefixtures("known_standins")


def backbone_of(name: str, detector: str, size: int, **options: Any) -> Backbone:
    built = archbench.build(name, detector, size=size, device="meta", **options)
    (backbone,) = (module for module in built.modules() if isinstance(module, Backbone))
    return backbone


def backbone_macs(report: archbench.CostReport) -> int:
    return sum(call.macs for call in report.calls if "backbone" in call.path)


def test_a_whole_network_is_counted_with_the_classes_given() -> None:
    report = archbench.cost("timm:chain", classes=7)
    assert report.macs == CHAIN_MACS + 64 * 7
    assert archbench.cost("timm:chain").macs == CHAIN_MACS + 64 * 10
    assert archbench.build("timm:chain", width=2)[0][0].out_channels == 2  # type: ignore[index]


def test_a_chain_stands_under_a_detector_and_ends_at_the_last_tap() -> None:
    assert backbone_macs(archbench.cost("timm:chain", "retinanet", size=64)) == CHAIN_MACS
    assert backbone_macs(archbench.cost("timm:pairs", "retinanet", size=64)) == CHAIN_MACS
    backbone = backbone_of("timm:chain", "retinanet", 64)
    assert [(s.name, s.channels, s.stride) for s in backbone.tapped] == [
        ("stages_2", 16, 8),
        ("stages_3", 32, 16),
        ("stages_4", 64, 32),
    ]
    assert backbone.norm == "bn"
    assert backbone.preparation.mean == (0.5, 0.5, 0.5)
    shallow = backbone_of("timm:chain", "dssd", 321)
    assert [stage.name for stage in shallow.stages][-1] == "stages_3"
    assert not hasattr(shallow, "stages_4")


def test_channels_last_are_turned() -> None:
    torch.manual_seed(0)
    turned = archbench.build("timm:last", "retinanet", size=64)
    images = torch.randn(1, 3, 64, 64)
    shapes = [(16, 8, 8), (32, 4, 4), (64, 2, 2)]
    (backbone,) = (module for module in turned.modules() if isinstance(module, Backbone))
    maps = backbone(images)
    assert [tuple(m.shape[1:]) for m in maps] == shapes
    x = images
    for conv in (module for module in backbone.modules() if isinstance(module, torch.nn.Conv2d)):
        x = conv(x)
    assert torch.equal(maps[-1], x)


def test_branches_are_fused_where_that_is_asked_for() -> None:
    fused = archbench.cost("timm:branched", "retinanet", size=64, fused=True)
    assert backbone_macs(fused) == CHAIN_MACS
    assert backbone_macs(archbench.cost("timm:branched", "retinanet", size=64)) > CHAIN_MACS
    spec = catalogue.resolve("timm:branched", "retinanet", size=64, fused=False).spec
    assert spec.options == ()


def test_a_plain_transformer_is_built_for_its_size_on_a_pyramid() -> None:
    with pytest.raises(UsageError, match="no c3; all its maps are at stride 16: --option py"):
        archbench.cost("timm:plain", "retinanet", size=96)
    backbone = backbone_of("timm:plain", "retinanet", 96, pyramid="simple")
    assert [(s.name, s.channels, s.stride) for s in backbone.tapped] == [
        ("c3", 16, 8),
        ("c4", 32, 16),
        ("c5", 32, 32),
    ]
    assert len([name for name, _ in backbone.named_modules() if ".blocks." in name]) == 4
    positions = dict(backbone.named_parameters())["network.features.positions"]
    assert tuple(positions.shape[2:]) == (6, 6)
    maps = backbone(torch.zeros(1, 3, 96, 96, device="meta"))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 12, 12), (32, 6, 6), (32, 3, 3)]


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("timm:unpadded", "retinanet"), {"size": 64}, "map at stride 8 is 7x7 there"),
        (("timm:plain", "retinanet"), {"size": 72, "pyramid": "simple"}, "it takes 96x96"),
        (("timm:bound", "retinanet"), {"size": 96}, r"does not take 96x96 \(.*; it takes 64x64$"),
        (("timm:chain", "retinanet"), {"size": 64, "pyramid": "simple"}, "are at 2, 4, 8, 16, 32"),
        (("timm:chain",), {"pyramid": "simple"}, "needs a detector"),
        (("timm:chain", "retinanet"), {"size": 64, "depth": 3}, "unexpected keyword argument"),
        (("timm:plain", "faster-rcnn"), {"size": 96}, "does not offer this network as a chain"),
        (("timm:pairs", "faster-rcnn"), {"size": 64}, "does not offer this network as a chain"),
        (("timm:chain",), {"size": 64, "classes": 0}, "invalid classes 0"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    arguments: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        archbench.cost(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_a_chain_is_cut_for_two_stages() -> None:
    report = archbench.cost("timm:chain", "faster-rcnn", size=64, proposals=5)
    tail = [call for call in report.calls if "stages_4" in call.path]
    assert [call.in_shape[0] for call in tail] == [5]


def test_a_name_keeps_its_tag_and_is_written_again(tmp_path: Path) -> None:
    spec = catalogue.resolve("timm:chain.a_tag", "retinanet", size=96, width=8).spec
    assert spec.command() == (
        "archbench profile timm:chain.a_tag --detector retinanet --size 96x96 --classes 80 "
        "--option width=8"
    )
