"""The claims as data: every line is a form that can be evaluated, and means the networks that the
paper means.
"""

from __future__ import annotations

import csv
from importlib import resources
from typing import get_args

import pytest

from archbench.papers.claims import Claim, Direction, Kind, claims, claims_of
from archbench.papers.grid import points
from archbench.spec import UsageError

HUANG = [claim for claim in claims() if claim.paper == "huang"]


def named(words: str) -> Claim:
    (found,) = (claim for claim in claims() if words in claim.text)
    return found


def test_every_line_of_the_file_is_a_claim() -> None:
    text = resources.files("archbench.papers").joinpath("claims.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert [(line["paper"], line["claim"]) for line in lines] == [
        (claim.paper, claim.text) for claim in claims() if claim.paper != "huang"
    ]


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: f"{claim.source}-{claim.text[:40]}")
def test_a_claim_has_networks_or_says_why_not(claim: Claim) -> None:
    assert bool(claim.specs) != bool(claim.why)
    assert claim.kind in get_args(Kind)
    assert claim.direction in get_args(Direction)
    assert claim.metric or claim.why


def test_the_paper_s_ratio_lies_on_the_side_that_it_claims() -> None:
    for claim in claims():
        if claim.published is not None and claim.direction != "equal":
            assert (claim.published > claim.reference) == (claim.direction == "more"), claim.text


def test_a_claim_is_of_the_network_of_its_table() -> None:
    claim = named("RefineDet320: vovnet39 against resnet50, speed")
    ((left, right),) = claim.pairs
    assert (str(left), str(right)) == (
        "vovnet39 + refinedet, 320x320, 80 classes",
        "resnet50-v1 + refinedet, 320x320, 80 classes",
    )
    assert (claim.metric, claim.device, claim.direction, claim.published) == (
        "fps",
        "gpu",
        "more",
        1.078,
    )


def test_training_claims_are_of_steps_at_their_batch() -> None:
    ((left, right),) = named("training memory: densenet264 against resnet50").pairs
    assert {(spec.mode, spec.batch) for spec in (left, right)} == {("train", 32)}


def test_parameters_of_dsod_are_by_its_own_rule() -> None:
    claim = named("dense prediction layers need fewer parameters")
    assert (claim.metric, claim.formula) == ("paper_params", "params + norm_buffers")


def test_pairs_differ_in_what_varies_alone() -> None:
    claim = named("half the resolution")
    assert len(claim.pairs) == 86
    assert all(
        (left.width, right.width) == (300, 600) and left.backbone == right.backbone
        for left, right in claim.pairs
    )
    strides = named("stride 8 in place of 16").pairs
    assert len(strides) == 48
    assert {dict(left.options).get("output_stride") for left, _ in strides} == {8}


def test_an_ordering_names_groups_that_there_are() -> None:
    for claim in HUANG:
        if claim.kind == "ordering":
            assert {*claim.first} < {*(claim.paired or claim.groups)}, claim.text


def test_the_grid_by_the_paper_s_words() -> None:
    assert len(points()) == 175
    assert {(point.size, point.output_stride) for point in points()} == {
        (300, 16),
        (600, 16),
        (300, 8),
        (600, 8),
    }
    assert {point.proposals for point in points() if point.detector == "ssd-huang"} == {0}


def test_claims_of_a_paper_and_of_a_table() -> None:
    assert {claim.paper for claim in claims_of("VoVNet")} == {"vovnet"}
    assert len(claims_of("vovnet/table4")) == 20
    assert len(claims_of(None)) == len(claims())
    with pytest.raises(UsageError, match="choose from vovnet, cspnet, dsnet, dsod, huang"):
        claims_of("resnet")
    with pytest.raises(UsageError, match="choose from vovnet/table2, "):
        claims_of("vovnet/table99")
