"""Which families a network is of. Networks of one family are alike, and say little of others.
Torch-free.
"""

from __future__ import annotations

import re

from archbench.spec import ORIGINS, Spec, UsageError, origin_of
from archbench.zoo.catalogue.loading import entries
from archbench.zoo.catalogue.names import find, find_detector


def families(spec: Spec) -> frozenset[str]:
    """Name the family of a network's backbone and, where it has one, that of its detector.

    A library's network is of the family whose name its own begins with: torchvision:resnet50 is
    one of the zoo's resnets. A user's own is a family by itself, as is one that is not known here.
    """
    of_backbone = {f"backbone {_of_backbone(spec.backbone)}"}
    of_detector = {f"detector {_of_detector(spec.detector)}"} if spec.detector else set()
    return frozenset(of_backbone | of_detector)


def _of_backbone(name: str) -> str:
    origin = origin_of(name)
    if origin in ORIGINS:
        return _named_like(re.split("[:/]", name)[-1].lower())
    try:
        return name if origin else find("backbone", name).family
    except UsageError:
        return name


def _of_detector(name: str) -> str:
    try:
        return find_detector(name)[0].family
    except UsageError:
        return name


def _named_like(name: str) -> str:
    """The longest of the zoo's families that a name begins with, else the letters that it begins
    with.
    """
    known = {entry.family for entry in entries("backbone")}
    alike = [family for family in known if name.startswith(family.replace("_", ""))]
    letters = re.match("[a-z]*", name)
    assert letters
    return max(alike, key=len) if alike else letters[0] or name
