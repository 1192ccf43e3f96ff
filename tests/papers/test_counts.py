"""The counts that ship with the package: whole, and those of the counter."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from archbench.api import cost_spec
from archbench.papers import figures
from archbench.papers.counts import shipped_counts
from archbench.spec import Spec
from archbench.zoo import catalogue

PUBLISHED = list(dict.fromkeys(spec for figure in figures() if (spec := figure.spec())))
TOTALS = Path(__file__).parents[1] / "data" / "totals.csv"
REMADE = {"vgg16 + dafs, 512x512, 80 classes"}
"""Of which fewer operators move bytes than the frozen totals tell."""


def test_every_published_network_has_its_counts() -> None:
    assert [str(spec) for spec in PUBLISHED if not shipped_counts(spec)] == []


def test_others_have_none() -> None:
    assert shipped_counts(catalogue.resolve("vovnet39", "refinedet", size=448).spec) is None


def test_they_are_the_frozen_totals() -> None:
    with TOTALS.open(newline="", encoding="utf-8") as file:
        frozen = {row["network"]: row for row in csv.DictReader(file)}
    for spec in PUBLISHED:
        counts, totals = shipped_counts(spec), frozen[str(spec)]
        assert counts
        shared = counts.keys() & totals.keys() - ({"bytes_all"} if str(spec) in REMADE else set())
        assert {word: str(counts[word]) for word in shared} == {
            word: totals[word] for word in shared
        }, spec


def held(spec: Spec) -> None:
    counts = shipped_counts(spec)
    assert counts
    totals = cost_spec(spec).totals()
    assert {word: totals[word] for word in counts} == dict(counts)


def test_two_are_as_the_counter_counts_them() -> None:
    held(catalogue.resolve("snet49", "thundernet320").spec)
    held(catalogue.resolve("mobilenet", "ssd300", classes=20).spec)


@pytest.mark.slow
@pytest.mark.parametrize("spec", PUBLISHED, ids=str)
def test_all_are_as_the_counter_counts_them(spec: Spec) -> None:
    held(spec)
