"""The examples are short, and do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archbench
from archbench.zoo.contracts import Detector

EXAMPLES = Path(__file__).parents[1] / "examples"
SHORT = ("tiny_backbone.py", "tiny_detector.py", "end_to_end.py")


@pytest.mark.parametrize("name", SHORT)
def test_a_network_of_one_s_own_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 40


def test_the_backbone_stands_under_detectors() -> None:
    name = f"{EXAMPLES / 'tiny_backbone.py'}:tiny_backbone"
    network = archbench.build(name, "ssd", size=96, width=8)
    assert isinstance(network, Detector)
    with torch.inference_mode():
        (found,) = network.postprocess(network(torch.zeros(1, 3, 96, 96)))
    assert found.boxes.shape[1] == 4
    wide, narrow = (archbench.cost(name, "retinanet", size=96, width=w).macs for w in (32, 16))
    assert wide > narrow > 0


def test_the_detector_is_counted_as_it_is() -> None:
    report = archbench.cost(f"{EXAMPLES / 'tiny_detector.py'}:TinyDetector", size=320, classes=20)
    maps = [160**2 * 3 * 32, 80**2 * 32 * 64, 40**2 * 64 * 128]
    assert report.macs == 9 * sum(maps) + 40**2 * 128 * (4 + 20)
    assert report.uncounted == ()


def test_the_whole_network_gives_final_detections() -> None:
    name = f"{EXAMPLES / 'end_to_end.py'}:EndToEnd"
    network = archbench.build(name, size=64, classes=20, best=5)
    with torch.inference_mode():
        found = network(torch.randn(2, 3, 64, 64))
    assert [tuple(each["boxes"].shape) for each in found] == [(5, 4), (5, 4)]
    assert all(each["labels"].max() < 20 for each in found)
    assert getattr(network, "outputs", "") == "final"
    report = archbench.cost(name, size=320, classes=20)
    detector = archbench.cost(f"{EXAMPLES / 'tiny_detector.py'}:TinyDetector", size=320, classes=20)
    assert report.macs == detector.macs
