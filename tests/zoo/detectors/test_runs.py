"""The detectors of the comparison tables on real numbers, small: forward, postprocessing, the
synthetic scene, a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import archbench
from archbench.zoo.contracts import Detections, Detector
from archbench.zoo.detectors import m2det

CLASSES = 120
"""So many that random weights score below the thresholds, mostly: what is above them is suppressed
box by box.
"""
SMALL = {
    "cornernet": ("resnet18", (64, 96)),
    "centernet": ("resnet18", (64, 96)),
    "ttfnet": ("resnet18", (64, 96)),
    "thundernet": ("snet49", (96, 128)),
    "lrf": ("snet49", (272, 264)),
    "rfbnet": ("snet49", (272, 264)),
    "m2det": ("snet49", (272, 264)),
    "pfpnet-r": ("snet49", (128, 64)),
    "pfpnet-s": ("snet49", (128, 96)),
    "dafs": ("snet49", (128, 64)),
}
"""A light backbone for each, and an oblong input that leaves the last map a cell."""
ALIKE = {"rfbnet", "pfpnet-s"}
"""Built as lrf and pfpnet-r are, which show the same in the default tests."""
every_detector = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(autouse=True)
def _few_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of M2Det's eight modules show as much, in a quarter of the time."""
    monkeypatch.setattr(m2det, "TUMS", 2)


@cache
def network(name: str) -> Detector:
    backbone, size = SMALL[name]
    torch.manual_seed(0)
    built = archbench.build(backbone, name, size=size, classes=CLASSES)
    assert isinstance(built, Detector)
    return built


@cache
def both(name: str) -> tuple[Tensor, Any]:
    """Two images and what the network gives for them."""
    width, height = SMALL[name][1]
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return images, network(name)(images)


def tensors(raw: Any) -> Iterator[Tensor]:
    if isinstance(raw, Tensor):
        yield raw
    else:
        for each in raw:
            yield from tensors(each)


def check(found: Detections, size: tuple[int, int]) -> None:
    """Boxes inside the image, with an area, best first; labels of the classes."""
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= size[0]) & (y1 >= 0) & (y1 < y2) & (y2 <= size[1])).all()
    assert ((found.scores > 0) & (found.scores <= 1)).all()
    assert (found.scores.diff() <= 0).all()
    assert ((found.labels >= 0) & (found.labels < CLASSES)).all()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in SMALL],
)
def test_images_of_a_batch_do_not_see_each_other(name: str) -> None:
    images, raw = both(name)
    with torch.inference_mode():
        alone = [network(name)(image[None]) for image in images]
    for together, *single in zip(tensors(raw), *map(tensors, alone), strict=True):
        assert together.isfinite().all()
        torch.testing.assert_close(together, torch.cat(single), rtol=1e-3, atol=1e-3)


@every_detector
def test_what_it_gives_becomes_detections(name: str) -> None:
    _, raw = both(name)
    with torch.inference_mode():
        found = network(name).postprocess(raw)
    assert len(found) == 2
    for one in found:
        check(one, network(name).size)


@every_detector
def test_the_synthetic_scene_is_found_again(name: str) -> None:
    """Its objects score from 0.27 to 0.9; each image has its own."""
    detector, (_, raw) = network(name), both(name)
    with torch.inference_mode():
        made, holds = detector.synthesize(raw, torch.Generator().manual_seed(0))
        found = detector.postprocess(made)
    assert [(t.shape, t.dtype) for t in tensors(made)] == [(t.shape, t.dtype) for t in tensors(raw)]
    assert holds["distribution"] == "scene-v1"
    assert 0 < int(holds["above_threshold"]) <= int(holds["candidates"])
    for one in found:
        check(one, detector.size)
        assert 0.25 < one.scores[0] <= 0.9001
        assert len(one) >= 3
    assert not torch.equal(found[0].scores[:3], found[1].scores[:3])


@every_detector
def test_a_picture_is_prepared_and_brought_back(name: str) -> None:
    picture = torch.randint(
        256, (3, 60, 107), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    detector = network(name)
    prepared = detector.prepare(picture)
    assert prepared.image.shape == (3, detector.size[1], detector.size[0])
    whole = Detections(
        torch.tensor([[0.0, 0.0, *map(float, detector.size)]]), torch.ones(1), torch.zeros(1).long()
    )
    torch.testing.assert_close(
        whole.on_picture(prepared).boxes, torch.tensor([[0.0, 0.0, 107.0, 60.0]])
    )
