"""M2Det: modules, the forms of the code and of the paper, boxes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archbench
from archbench.shapes import map_sizes
from archbench.zoo.detectors.base.single_stage import SingleStage
from archbench.zoo.detectors.m2det import TUM, Pyramid
from archbench.zoo.ops.boxes import to_centres


def network(size: int = 320, **options: bool) -> SingleStage:
    built = archbench.build("vgg16", "m2det", size=size, device="meta", **options)
    assert isinstance(built, SingleStage)
    return built


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "sides"), [(320, [40, 20, 10, 5, 3, 1]), (512, [64, 32, 16, 8, 4, 2])]
)
def test_six_maps(size: int, sides: list[int]) -> None:
    assert map_sizes(network(size).features, (size, size)) == [(side, side) for side in sides]


def test_parts_have_their_parameters() -> None:
    built = network()
    pyramid = built.features
    assert isinstance(pyramid, Pyramid)
    assert [parameters(tum) for tum in pyramid.tums] == [5_709_824] + [6_889_472] * 7
    assert parameters(pyramid.base) == 1_180_160 + 525_312
    assert (parameters(pyramid.reduce), parameters(pyramid.norm)) == (98_560, 4_096)
    assert sum(parameters(head.offsets) for head in built.heads) == 2_654_352
    assert sum(parameters(head.logits) for head in built.heads) == 53_750_628


def test_what_is_tied_is_one_module() -> None:
    tied, untied = network(sfam=True).features, network(tied=False, sfam=True).features
    for part, uses in (("reduce", 8), ("attention", 6)):
        assert len(getattr(tied, part)) == len(getattr(untied, part)) == uses
        assert len(set(getattr(tied, part))) == 1
        assert parameters(getattr(untied, part)) == uses * parameters(getattr(tied, part))


def test_a_module_s_maps_by_hand() -> None:
    torch.manual_seed(0)
    tum = TUM(32, norm="bn").eval()
    x = torch.randn(1, 32, 40, 40)
    with torch.inference_mode():
        maps = [x]
        for down in tum.down:
            maps.append(down(maps[-1]))
        assert [m.shape[-1] for m in maps] == [40, 20, 10, 5, 3, 1]
        total = tum.top(maps[5])
        expected = [total]
        for level in range(4, -1, -1):
            total = tum.lateral[level](maps[level]) + nn.functional.interpolate(
                total, size=maps[level].shape[-2:]
            )
            expected.insert(0, tum.smooth[level](total))
        for ours, theirs in zip(tum(x), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_each_module_after_the_first_reads_the_largest_map_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("archbench.zoo.detectors.m2det.TUMS", 3)
    torch.manual_seed(0)
    pyramid = archbench.build("snet49", "m2det", size=272, classes=2).features
    with torch.inference_mode():
        images = torch.randn(1, 3, 272, 272)
        base = pyramid.base(*pyramid.backbone(images))
        first = pyramid.tums[0](pyramid.reduce[0](base))
        second = pyramid.tums[1](torch.cat([pyramid.reduce[1](base), first[0]], dim=1))
        third = pyramid.tums[2](torch.cat([pyramid.reduce[2](base), second[0]], dim=1))
        maps = pyramid(images)
        largest = torch.cat([first[0], second[0], third[0]], dim=1)
        torch.testing.assert_close(maps[0], pyramid.norm(largest))
        torch.testing.assert_close(maps[3], torch.cat([first[3], second[3], third[3]], dim=1))


def test_boxes_are_six_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archbench.zoo.detectors.m2det.TUMS", 1)
    boxes = archbench.build("snet49", "m2det", classes=2).priors.boxes
    assert len(boxes) == 12_810
    middle = to_centres(boxes[(20 * 40 + 20) * 6 :][:6])
    torch.testing.assert_close(middle[:, :2], torch.full((6, 2), 20.5 * 8))
    torch.testing.assert_close(
        middle[:, 2:].prod(1).sqrt(), 320 * torch.tensor([0.08, (0.08 * 0.15) ** 0.5, *[0.08] * 4])
    )
    torch.testing.assert_close(
        to_centres(boxes[12_804 - 9 * 6 :][4 * 6 : 4 * 6 + 1, :])[0, :2],
        torch.full((2,), 1.5 * 107),
    )
