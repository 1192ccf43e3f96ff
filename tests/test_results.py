"""The records that are kept in the repository: whole, told of, and of the networks as they count
today.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.api import cost_spec
from archbench.records import Record, Store

RESULTS = Path(__file__).parents[1] / "results"
FOLDERS = sorted(folder for folder in RESULTS.iterdir() if folder.is_dir())
EXACT = ("params", "macs", "mac_eq1", "cio", "cio_pool", "boxes")
POOLED_OTHERWISE = {"ds2net50", "gfm"}
"""Whose records are of a version that took every second pixel without a pool, or pooled a map
twice.
"""


def records(folder: Path) -> list[Record]:
    return list(Store(folder).read())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_record_ended_well_and_has_its_samples(folder: Path) -> None:
    kept = records(folder)
    assert len(kept) == sum(len(file.read_text().splitlines()) for file in folder.glob("*.jsonl"))
    assert {record.status for record in kept} == {"ok"}
    measured = {record.samples for record in kept if record.settings}
    assert measured == {f"samples/{file.name}" for file in folder.glob("samples/*")}


def test_the_page_tells_of_every_folder() -> None:
    told = (RESULTS / "README.md").read_text()
    assert all(f"`{folder.name}`" in told for folder in FOLDERS)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_was_counted_then_is_counted_now(folder: Path) -> None:
    for spec, kept in {record.spec: record for record in records(folder)}.items():
        now = cost_spec(spec).totals()
        words = [
            word
            for word in EXACT
            if word != "cio_pool" or not {spec.backbone, spec.detector} & POOLED_OTHERWISE
        ]
        assert {word: now[word] for word in words} == {
            word: kept.counted[word] for word in words
        }, spec
