"""What the zoo lists, and two files of a zoo that tests write themselves."""

from __future__ import annotations

from archbench.zoo.catalogue import Entry, entries

BACKBONES = entries("backbone")
DETECTORS = entries("detector")


def names(kept: tuple[Entry, ...]) -> list[str]:
    return [entry.name for entry in kept if not entry.published_only]


TRUNK = """
builder = "trunk:trunk"
source = "a test"
input = "32x32"
classes = 10
[options.activation]
values = ["relu", "swish"]
[options.stem]
values = ["conv", "pool"]
[networks.trunk]
[networks.lost]
published_only = "no public layer list"
"""


HEADS = """
source = "a test"
input = "416x416"
classes = 80
[options.activation]
values = ["relu", "swish"]
[on.trunk.sets]
stem = "pool"
[networks.yolov3]
[networks.yolov]
[networks.ssd-300x]
"""
