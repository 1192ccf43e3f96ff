"""Huang et al.'s grid: which pairs there are, and how many configurations."""

from __future__ import annotations

from collections import Counter

import pytest

import archbench.api
from archbench.papers.grid import cells, grid
from archbench.spec import Spec
from archbench.zoo import catalogue

EXTRACTORS = {
    "vgg16",
    "mobilenet",
    "inception-v2",
    "inception-v3",
    "resnet101-slim",
    "inception-resnet-v2",
}


def test_every_extractor_has_its_place_under_every_meta_architecture() -> None:
    for detector in ("faster-rcnn", "rfcn", "ssd-huang"):
        assert {cell.backbone for cell in cells() if cell.detector == detector} == EXTRACTORS


def test_what_the_paper_lacks_says_so_and_has_no_configuration() -> None:
    lacking = {
        (cell.detector, cell.backbone)
        for cell in cells()
        if cell.lacking and "300x300" in cell.inputs
    }
    assert lacking == {("rfcn", "vgg16"), ("rfcn", "inception-v3"), ("ssd-huang", "inception-v3")}
    assert not any(cell.points() for cell in cells() if cell.lacking)


def test_five_counts_of_proposals_are_the_paper_s_147_configurations() -> None:
    specs = grid()
    assert len(specs) == len(set(specs)) == 175
    swept = Counter(
        dict(spec.options).get("proposals", 300) for spec in specs if spec.detector != "ssd-huang"
    )
    assert swept == dict.fromkeys((10, 20, 50, 100, 200, 300), 28)
    assert len([spec for spec in specs if dict(spec.options).get("proposals") != 20]) == 147


def test_strides_sizes_and_classes_are_the_paper_s() -> None:
    specs = grid()
    dilated = {
        (spec.backbone, spec.detector)
        for spec in specs
        if dict(spec.options).get("output_stride") == 8
    }
    assert dilated == {
        (name, head)
        for name in ("resnet101-slim", "inception-resnet-v2")
        for head in ("faster-rcnn", "rfcn")
    }
    assert {
        spec.backbone for spec in specs if spec.detector == "ssd-huang" and spec.width == 600
    } == {"inception-v2", "resnet101-slim"}
    assert {(spec.size, spec.classes, spec.batch) for spec in specs} == {
        ("300x300", 90, 1),
        ("600x600", 90, 1),
    }
    assert catalogue.resolve("vgg16", "faster-rcnn", size=300, proposals=50).spec in specs


@pytest.mark.parametrize(
    "spec", [spec for spec in grid() if "proposals" not in dict(spec.options)], ids=str
)
def test_every_pair_counts(spec: Spec) -> None:
    """At 300 proposals; the others are functions of them
    (tests/zoo/detectors/test_two_stage.py).
    """
    report = archbench.api.cost_spec(spec)
    assert report.uncounted == ()
    assert report.macs > 1e9


@pytest.mark.slow
def test_the_whole_grid_counts() -> None:
    assert all(archbench.api.cost_spec(spec).macs > 1e9 for spec in grid())
