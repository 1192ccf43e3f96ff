"""Networks of torchvision, whole: classifiers, detectors, and networks that segment. Classifiers
stand under detectors too.

No weights are loaded, nor are those of a detector's backbone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.contracts import DARKNET, Preparation
from archbench.zoo.sources.library import drawn, facts, importable, load
from archbench.zoo.sources.torchvision.maps import tapped

__all__ = ["facts", "importable", "listing", "make"]

CLASSIFIER, DETECTOR, SEGMENTER = "classifier", "detector", "segmenter"
SEGMENTER_INPUT = "520x520"
PLAIN = "vit_"
"""What the names of plain transformers begin with."""


def make(entry: Entry, arguments: dict[str, Any]) -> nn.Module:
    """Make a network, or a backbone where `taps` are among the arguments; `size` is the input's
    width and height, to which a detector's own transform is set, and `classes` counts those besides
    the background.

    Other arguments are torchvision's own; without `rpn_nms_thresh` a second stage sees as many
    proposals as it lets through, whatever the weights. Raises UsageError for what it does not make.
    """
    options = drawn(arguments)
    size, taps, classes = (options.pop(key, None) for key in ("size", "taps", "classes"))
    kind = _kinds()[entry.builder]
    if classes is not None:
        options["num_classes"] = classes + (kind != CLASSIFIER)
    if taps is not None:
        _check_maps(entry.builder, kind)
    try:
        network = _create(entry.builder, kind, options)
        if taps is not None:
            return tapped(network, size, taps, entry.size)
    except UsageError:
        raise
    except Exception as error:  # Builders raise anything for options that they do not take.
        raise UsageError(first_line(error) or f"it raises {type(error).__name__}") from error
    if kind != DETECTOR:
        return network
    if "rpn_nms_thresh" not in options:
        _fix_proposals(network)
    return Pictures(network, size)


def _check_maps(name: str, kind: str) -> None:
    """Raise UsageError for what gives a detector no maps."""
    if kind != CLASSIFIER:
        raise UsageError(
            f"it is a {kind}, which runs as a whole: only classifiers can be backbones"
        )
    if name.startswith(PLAIN):
        raise UsageError(
            "it is a plain transformer with maps of a single stride: use timm's with a pyramid"
        )


def listing() -> dict[str, dict[str, dict[str, str]]]:
    """Say what torchvision offers: the kind and the input of each network."""
    networks = {
        name: {"input": _input(name, kind), "kind": _offered(name, kind)}
        for name, kind in _kinds().items()
    }
    return {"networks": networks, "variants": {}}


class Pictures(nn.Module):
    """A detector that takes a list of pictures and gives their final detections.

    Its own transform is set to bring pictures to `size` (width, height), so that those of that size
    stay as they are.
    """

    outputs = "final"
    preparation: Preparation = DARKNET

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        transform: Any = network.transform
        if transform.fixed_size is not None:
            transform.fixed_size = size
        else:
            transform.min_size, transform.max_size = (min(size),), max(size)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Give boxes, labels and scores in each of the images [B, 3, H, W], and masks or keypoints
        where it finds any.
        """
        found: list[dict[str, Tensor]] = self.network(list(images))
        return found


def _create(name: str, kind: str, options: Mapping[str, Any]) -> nn.Module:
    own = {} if kind == CLASSIFIER else {"weights_backbone": None}
    return load("torchvision").models.get_model(name, weights=None, **own, **options)


def _fix_proposals(network: nn.Module) -> None:
    """Let no proposal suppress another and drop none that is small, so that their number does not
    depend on the weights.
    """
    rpn: Any = getattr(network, "rpn", None)
    if rpn is not None:
        rpn.nms_thresh, rpn.min_size = 1.0, 0.0


def _kinds() -> dict[str, str]:
    """The networks that are offered, and what each does."""
    models = load("torchvision").models
    parts = {CLASSIFIER: models, DETECTOR: models.detection, SEGMENTER: models.segmentation}
    return {name: kind for kind, part in parts.items() for name in models.list_models(module=part)}


def _offered(name: str, kind: str) -> str:
    """What a network can be: a classifier is a backbone as well, but for plain transformers, which
    give no maps.
    """
    gives_maps = kind == CLASSIFIER and not name.startswith(PLAIN)
    return f"backbone, {kind}" if gives_maps else kind


def _input(name: str, kind: str) -> str:
    """The input that a network is published with."""
    if kind == SEGMENTER:
        return SEGMENTER_INPUT
    if kind == CLASSIFIER:
        weights = load("torchvision").models.get_model_weights(name).DEFAULT
        (side,) = weights.transforms().crop_size
        return f"{side}x{side}"
    with torch.device("meta"):
        transform: Any = _create(name, kind, {}).transform
    # Of several shorter sides the last is that of tests.
    width, height = transform.fixed_size or tuple(transform.min_size[-1:]) * 2
    return f"{width}x{height}"
