"""Every network gives what it gave: its wiring, which neither counts nor shapes hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from wiring import LIGHT, Wiring, networks, of_outputs, read, wiring

from archbench.zoo import catalogue

KEPT = read()
TURN, SIZE = 0.05, 0.02
"""How far a statistic may lie from what is kept, a turn and a share of the size: other processors
round otherwise. With the vector instructions of 2008 the largest difference is 0.02.
"""
ROUGH = {"m2det": 0.3}
"""Turns of a detector whose normalisations see one pixel of four images."""
HEAVY = {
    *("dssd", "m2det", "mask-rcnn-fpn", "cornernet", "lrf", "rfbnet", "panet-spp", "pelee"),
    *("pfpnet-r", "pfpnet-s", "dafs", "yolov2", "yolov3-spp", "all-cnn", "b-rgsnet50"),
    *("densenet201-elastic", "fractalnet", "hourglass104", "inception-resnet-v2"),
    *("inception-v3", "se-resnet50", "vgg16", "wrn-28-10"),
}
"""What takes a second or more, where lighter ones show as much."""
FAMILIES = {entry.family: entry.name for entry in reversed(catalogue.entries("backbone"))}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small maps are not worth two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cases() -> list[Any]:
    """Every network that is kept; by default the first of each family and the light detectors."""
    shown = {(name, None) for name in FAMILIES.values()} | {(LIGHT, name) for _, name in KEPT}
    return [
        pytest.param(
            backbone,
            detector,
            id=detector or backbone,
            marks=[]
            if (backbone, detector) in shown and (detector or backbone) not in HEAVY
            else pytest.mark.slow,
        )
        for backbone, detector in KEPT
    ]


@pytest.mark.parametrize(("backbone", "detector"), cases())
def test_outputs_are_what_they_were(backbone: str, detector: str | None) -> None:
    size, kept = KEPT[backbone, detector]
    found = wiring(backbone, detector, size)
    assert found.outputs == kept.outputs
    assert found.size == pytest.approx(kept.size, rel=SIZE)
    turn = ROUGH.get(detector or "", TURN)
    assert found.turns == pytest.approx(kept.turns, abs=turn)


def test_every_network_is_kept() -> None:
    assert list(KEPT) == networks()


def test_a_statistic_turns_where_two_outputs_change_places() -> None:
    first, second = (
        torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(n)).numpy() for n in (0, 1)
    )
    kept, other = of_outputs([first, second]), of_outputs([second, first])
    assert isinstance(kept, Wiring)
    assert max(abs(a - b) for a, b in zip(kept.turns, other.turns, strict=True)) > 10 * TURN
