"""The published pairs, which of them build, and the form of those that no paper has."""

from __future__ import annotations

import re

import pytest

from archbench.papers import figures
from archbench.papers.pairs import approximations, default_form, pairs
from archbench.spec import Spec
from archbench.zoo import catalogue


def test_every_row_with_a_detector_is_of_a_pair() -> None:
    listed = {(pair.backbone, pair.detector) for pair in pairs()}
    assert listed == {(figure.backbone, figure.detector) for figure in figures() if figure.detector}
    assert len(listed) == len(pairs())


def test_what_does_not_build_says_why() -> None:
    for pair in pairs():
        assert bool(pair.why) is (pair.status != "builds")
        if pair.status == "builds":
            assert catalogue.resolve(pair.backbone, pair.detector).spec


@pytest.mark.parametrize(
    ("backbone", "detector", "sources", "status"),
    [
        ("vovnet39", "refinedet", ("vovnet/table4", "vovnet/table6", "vovnet/table7"), "builds"),
        ("resnet50-gn", "mask-rcnn-fpn", ("vovnet/table5",), "builds"),
        ("csp-resnext50", "panet-spp", ("cspnet/table4",), "builds"),
        ("csp-peleenet", "efm-sam", ("cspnet/table2", "cspnet/table4"), "approximate"),
        ("", "dsod", ("dsod/prose",), "published"),
    ],
)
def test_some_pairs(backbone: str, detector: str, sources: tuple[str, ...], status: str) -> None:
    (pair,) = [pair for pair in pairs() if (pair.backbone, pair.detector) == (backbone, detector)]
    assert (pair.sources, pair.status) == (sources, status)


@pytest.mark.parametrize(
    ("backbone", "detector", "marked"),
    [
        ("vovnet39", "refinedet", False),
        ("resnet50", "refinedet", False),
        ("resnet18", "refinedet", True),
        ("vgg16", None, False),
        ("mobilenet", "faster-rcnn", False),
        ("resnet101-slim", "rfcn", False),
        ("vgg16", "rfcn", True),
        ("vovnet39", "ssd-huang", True),
    ],
)
def test_a_pair_that_no_paper_has_says_in_which_form_it_is(
    backbone: str, detector: str | None, marked: bool
) -> None:
    form = default_form(catalogue.resolve(backbone, detector).spec)
    assert form == (catalogue.find("detector", detector or "").form if marked else "")


@pytest.mark.parametrize(
    "entry",
    [entry for entry in catalogue.entries("detector") if not entry.published_only],
    ids=lambda entry: entry.name,
)
def test_every_detector_says_its_default_form(entry: catalogue.Entry) -> None:
    assert entry.form
    assert not entry.form.endswith(".")


@pytest.mark.parametrize(
    ("backbone", "detector", "named"),
    [
        ("csp-peleenet", "efm", ["csp-peleenet", "efm"]),
        ("csp-peleenet", None, ["csp-peleenet"]),
        ("peleenet", "prn", []),
        ("peleenet", "cem", ["cem"]),
        ("csp-densenet-reference", "prn", ["csp-densenet-reference"]),
        ("darknet53", "yolov3", []),
    ],
)
def test_what_is_approximate_says_what_it_is_built_to(
    backbone: str, detector: str | None, named: list[str]
) -> None:
    said = approximations(catalogue.resolve(backbone, detector).spec)
    assert [sentence.partition(" is approximate: ")[0] for sentence in said] == named
    assert all(
        re.search(r"fitted to|stand-in", sentence) and sentence.endswith(".") for sentence in said
    )


def test_networks_built_to_the_same_share_a_sentence() -> None:
    specs = [catalogue.resolve("csp-peleenet", detector).spec for detector in ("cem", "efm")]
    said = approximations(*specs)
    assert [sentence.partition(" approximate: ")[0] for sentence in said] == [
        "csp-peleenet is",
        "cem, efm are",
    ]


def test_a_pair_of_two_approximate_networks_says_so_of_both() -> None:
    (pair,) = (
        pair for pair in pairs() if (pair.backbone, pair.detector) == ("csp-peleenet", "gfm")
    )
    assert re.fullmatch(
        r"backbone: fitted to .* Table 1, .*; detector: fitted to .* Table 2, .*", pair.why
    )
    (alone,) = (
        pair for pair in pairs() if (pair.backbone, pair.detector) == ("csp-peleenet", "prn")
    )
    assert alone.why.startswith("fitted to CSPNet's Table 1")


def test_nothing_is_said_of_a_network_that_is_not_there() -> None:
    assert approximations(Spec("of-a-plug-in", "prn", 416, 416, 80)) == []
    assert approximations(Spec("csp-peleenet", "of-a-plug-in", 416, 416, 80)) == []
