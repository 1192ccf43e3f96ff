"""How torchvision's builders are called: the classes and the input that a network is told of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources import torchvision as source

KINDS = {"sorts": "classifier", "finds": "detector", "paints": "segmenter"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last builder was called with."""
    found: dict[str, Any] = {}

    def create(name: str, kind: str, options: dict[str, Any]) -> nn.Module:
        found.clear()
        found.update(options)
        network: Any = nn.Identity()
        network.transform = SimpleNamespace(fixed_size=None, min_size=(800,), max_size=1333)
        network.rpn = SimpleNamespace(nms_thresh=0.7, min_size=1e-3)
        return network  # type: ignore[no-any-return]

    monkeypatch.setattr(source, "_kinds", lambda: KINDS)
    monkeypatch.setattr(source, "_create", create)
    return found


def make(name: str, **arguments: Any) -> Any:
    entry = Entry(f"torchvision:{name}", "backbone", "torchvision", builder=name)
    return source.make(entry, arguments)


@pytest.mark.parametrize(("name", "count"), [("sorts", 20), ("finds", 21), ("paints", 21)])
def test_the_background_is_a_class_of_what_has_one(
    asked: dict[str, Any], name: str, count: int
) -> None:
    make(name, size=(640, 480), classes=20)
    assert asked == {"num_classes": count}
    make(name, size=(640, 480))
    assert asked == {}


@pytest.mark.usefixtures("asked")
def test_a_detector_s_own_transform_takes_the_input() -> None:
    made = make("finds", size=(640, 480))
    transform = made.network.transform
    assert (transform.min_size, transform.max_size, made.outputs) == ((480,), 640, "final")
    assert (made.network.rpn.nms_thresh, made.network.rpn.min_size) == (1.0, 0.0)
    kept = make("finds", size=(640, 480), rpn_nms_thresh=0.5)
    assert kept.network.rpn.nms_thresh == 0.7
