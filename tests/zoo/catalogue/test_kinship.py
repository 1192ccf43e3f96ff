"""Families of networks: the zoo's, a library's, a user's own."""

from __future__ import annotations

import pytest

from archbench.spec import Spec
from archbench.zoo.catalogue import families


def of(backbone: str, detector: str | None = None) -> set[str]:
    return set(families(Spec(backbone, detector, 320, 320, 80)))


@pytest.mark.parametrize(
    ("backbone", "family"),
    [
        ("resnet101-v1", "resnet"),
        ("csp-darknet53", "csp"),
        ("torchvision:resnet50", "resnet"),
        ("transformers:microsoft/resnet-50", "resnet"),
        ("timm:mobilenetv3_large_100", "mobilenet"),
        ("timm:darknetaa53.c2ns_in1k", "darknet"),
        ("timm:convnext_tiny", "convnext"),
        ("nets.py:Mine@0a1b2c", "nets.py:Mine@0a1b2c"),
        ("model.onnx", "model.onnx"),
        ("gone-with-its-plug-in", "gone-with-its-plug-in"),
    ],
)
def test_the_family_of_a_backbone(backbone: str, family: str) -> None:
    assert of(backbone) == {f"backbone {family}"}


def test_a_detector_has_a_family_of_its_own() -> None:
    assert of("vgg16", "ssd") == {"backbone vgg", "detector ssd"}
    assert of("vgg16", "gone") == {"backbone vgg", "detector gone"}
