"""A backbone with layers behind its pool, and with two stages of its last stride."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from ghost import HEAD, LAST

import archbench
from archbench.zoo import catalogue
from archbench.zoo.contracts import Detector

CELLS = 38 * 38
"""Of the map at stride 16 for images of 600 pixels."""


@pytest.fixture(autouse=True)
def ghost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Know the plug-in for the time of a test."""
    monkeypatch.setenv(catalogue.PLUGIN_FILES, "")
    catalogue.use_plugin(Path(__file__).parent / "ghost.py")
    yield
    monkeypatch.undo()
    catalogue.forget()


def test_the_head_belongs_to_the_classifier_alone() -> None:
    trunk = archbench.cost("ghostnet-small", classes=0)
    classifier = archbench.cost("ghostnet-small", classes=10)
    behind = [(LAST, HEAD), (HEAD, 10)]
    assert classifier.params - trunk.params == sum(c_in * c_out + c_out for c_in, c_out in behind)
    assert classifier.macs - trunk.macs == sum(c_in * c_out for c_in, c_out in behind)
    detector = archbench.build("ghostnet-small", "ssd", size=300, device="meta")
    assert not any(parameter.shape[0] == HEAD for parameter in detector.parameters())


@pytest.mark.parametrize("form", ["linear", "conv"])
def test_the_last_layer_reads_what_the_head_gives(form: str) -> None:
    classifier = archbench.build("ghostnet-small", classes=10, classifier=form)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        pooled = classifier.backbone(images)[0].mean((2, 3), keepdim=True)
        hidden = classifier.head(pooled).flatten(1)
        expected = hidden @ classifier.last.weight.flatten(1).T + classifier.last.bias
        torch.testing.assert_close(classifier(images), expected)


@pytest.mark.parametrize("detector", ["faster-rcnn", "rfcn"])
def test_regions_are_proposed_before_the_last_halving(detector: str) -> None:
    """A past bug: of two stages at stride 32 the first was read, with 4,332 boxes."""
    assert archbench.cost("ghostnet-small", detector, size=600).boxes == 12 * CELLS
    network = archbench.build("ghostnet-small", detector, size=96)
    assert isinstance(network, Detector)
    with torch.inference_mode():
        (detections,) = network.postprocess(network(torch.randn(1, 3, 96, 96)))
    assert detections.boxes.shape[1] == 4


@pytest.mark.parametrize(
    ("backbone", "options"), [("snet49", {}), ("darknet-reference", {"tail": "tiny"})]
)
def test_so_they_are_on_the_zoos_networks_of_two_last_stages(
    backbone: str, options: dict[str, str]
) -> None:
    assert archbench.cost(backbone, "faster-rcnn", size=600, **options).boxes == 12 * CELLS
