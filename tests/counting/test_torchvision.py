"""torchvision's networks: the parameters and operations that their own weights declare."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision_operators import torchvision_or_skip

import archbench

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FRAMES = 16
ENTRIES = 139
"""Entries of weights of its classifiers, quantised and of video as well."""


@pytest.fixture(scope="module")
def models() -> Any:
    return torchvision_or_skip().models


def family(models: Any, name: str) -> str:
    """The file of a network: its builder's."""
    return models.get_model_builder(name).__module__.split(".")[2]


def built(models: Any, name: str, weights: Any) -> nn.Module:
    """Build a network as an entry of its weights has it, without allocating it."""
    options: dict[str, Any] = {}
    if weights.meta["categories"]:
        options["num_classes"] = len(weights.meta["categories"])
    if family(models, name) == "vision_transformer":
        options["image_size"] = weights.transforms.keywords["crop_size"]
    if "googlenet" in name or "inception" in name:
        options["aux_logits"] = "inception" in name
    with torch.device("meta"):
        return models.get_model(name, weights=None, **options)


@pytest.fixture
def widths_on_the_cpu(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """RegNet computes its widths with tensors, which the meta device cannot."""
    params = models.regnet.BlockParams
    compute = params.from_init_params.__func__

    def on_cpu(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):
            return compute(*args, **kwargs)

    monkeypatch.setattr(params, "from_init_params", classmethod(on_cpu))


@pytest.mark.usefixtures("widths_on_the_cpu")
def test_classifiers_have_the_parameters_and_operations_of_their_weights(models: Any) -> None:
    wrong, entries = {}, 0
    for name in models.list_models():
        if family(models, name) in ("detection", "optical_flow", "segmentation"):
            continue
        for weights in models.get_model_weights(name):
            side = weights.transforms.keywords["crop_size"]
            height, width = (side, side) if isinstance(side, int) else side
            frames = (FRAMES,) if family(models, name) == "video" else ()
            report = archbench.count(built(models, name, weights), (1, 3, *frames, height, width))
            ours = (report.params, round(report.macs_all / 1e9, 3), report.uncounted)
            theirs = (weights.meta["num_params"], weights.meta["_ops"], ())
            entries += 1
            if ours != theirs:
                wrong[str(weights)] = ours, theirs
    assert wrong == {}
    assert entries >= ENTRIES


SMALL = {"min_size": 96, "max_size": 96}
# Its builder, and options that make it small: SSD's input is fixed.
DETECTORS: list[tuple[str, dict[str, int]]] = [
    ("fasterrcnn_resnet50_fpn", SMALL),
    ("fasterrcnn_resnet50_fpn_v2", SMALL),
    ("fasterrcnn_mobilenet_v3_large_fpn", SMALL),
    ("fasterrcnn_mobilenet_v3_large_320_fpn", SMALL),
    ("maskrcnn_resnet50_fpn", SMALL),
    ("keypointrcnn_resnet50_fpn", SMALL),
    ("retinanet_resnet50_fpn", SMALL),
    ("fcos_resnet50_fpn", SMALL),
    ("ssdlite320_mobilenet_v3_large", {}),
]


@pytest.mark.parametrize(("name", "options"), DETECTORS, ids=lambda value: str(value)[:40])
def test_detectors_count_on_real_tensors_and_are_usable_afterwards(
    models: Any, name: str, options: dict[str, int]
) -> None:
    torch.manual_seed(0)
    detector = models.get_model(name, weights=None, weights_backbone=None, **options).eval()
    images = [torch.rand(3, 96, 96), torch.rand(3, 96, 80)]
    with torch.no_grad():
        before = detector(images)
    report = archbench.count(detector, (images,), device="auto")
    assert report.uncounted == ()
    assert report.params == sum(parameter.numel() for parameter in detector.parameters())
    assert report.macs_convolution > 0
    with torch.no_grad():
        after = detector(images)
    for one, other in zip(before, after, strict=True):
        assert all(torch.equal(one[word], other[word]) for word in one)


def test_a_detector_trains_after_a_count(models: Any) -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    detector = models.get_model(name, weights=None, weights_backbone=None, **SMALL)
    images = [torch.rand(3, 96, 96)] * 2
    archbench.count(detector, (images,), device="auto")
    target = {"boxes": torch.tensor([[8.0, 8.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
    losses = detector(images, [target] * 2)
    assert all(value.isfinite() and value.requires_grad for value in losses.values())
