"""The totals of every network of the catalogue, as they were frozen in `data/totals.csv`.

A figure that moves for a good reason is listed in MOVED with it; the file stays as it is.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from archbench.api import cost_spec
from archbench.papers.suites import suite

with (Path(__file__).parent / "data" / "totals.csv").open(newline="", encoding="utf-8") as file:
    FROZEN = {row.pop("network"): row for row in csv.DictReader(file)}
SPECS = {str(spec): spec for spec in suite("all").specs}

DAFS = "vgg16 + dafs, 512x512, 80 classes"
BUFFERS = "its tables are buffers: fewer operators move bytes"
MOVED: dict[tuple[str, str], tuple[str, str]] = {
    (DAFS, "bytes_all"): ("1614575152", BUFFERS),
    (DAFS, "activation_total_bytes"): ("400561664", BUFFERS),
}
"""By network and word: the value since then, and the reason."""


def as_texts(totals: dict[str, Any]) -> dict[str, str]:
    """Write totals as the file has them: kinds of parameters as words of their own, operators
    without a rule as their number.
    """
    flat = totals | {f"param_kinds.{kind}": n for kind, n in totals["param_kinds"].items()}
    flat["uncounted"] = len(totals["uncounted"])
    return {word: "" if value is None else str(value) for word, value in flat.items()}


def test_every_frozen_network_is_still_in_the_catalogue() -> None:
    assert len(FROZEN) == 382
    assert FROZEN.keys() <= SPECS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("network", FROZEN)
def test_totals(network: str) -> None:
    expected = FROZEN[network] | {
        word: value for (name, word), (value, _) in MOVED.items() if name == network
    }
    totals = as_texts(cost_spec(SPECS[network]).totals())
    assert {word: totals[word] for word in expected} == expected


def test_what_moved_has_a_reason_and_did_move() -> None:
    assert all(reason for _, reason in MOVED.values())
    assert [key for key, (value, _) in MOVED.items() if FROZEN[key[0]][key[1]] == value] == []
