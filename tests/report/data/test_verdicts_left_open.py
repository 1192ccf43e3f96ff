"""Figures that must not decide a claim: ranges that reach 0, energies of two cards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archbench.papers.claims import ALL, Claim
from archbench.records import Metric, Record
from archbench.report.data.claims import Estimates, judge
from archbench.report.data.evidence import Evidence
from archbench.zoo import catalogue

Make = Callable[..., Record]
A, B = (catalogue.resolve(name, "refinedet320").spec for name in ("vovnet39", "resnet50-v1"))
LESS = Claim(
    "vovnet",
    "Table 4",
    "A takes less than B",
    "gpu",
    "latency_ms",
    direction="less",
    published=0.8,
    pairs=((A, B),),
)


def test_energy_of_two_cards_judges_nothing(record: Make) -> None:
    claim = replace(LESS, metric="energy_per_image_j")
    records = [
        record(
            spec=spec, energy_j=joules, day=day, environment={"device_name": "GPU", "uuid": uuid}
        )
        for spec, joules, day, uuid in ((A, 1.0, 1, "GPU-1"), (B, 2.0, 2, "GPU-2"))
    ]
    estimates = Estimates(Evidence(records), [claim])
    assert (judge(claim, estimates).outcome, judge(claim, estimates).known) == ("not measured", 1)
    assert estimates.unmeasured(claim) == [A]
    assert estimates.unmeasured(LESS) == []


@pytest.mark.parametrize("kind", ["mean_ratio", "least_ratio", "group_ratio", "ordering", "share"])
@pytest.mark.parametrize("direction", ["more", "less"])
def test_a_range_that_reaches_0_decides_nothing(record: Make, kind: Any, direction: Any) -> None:
    groups = {"left": (A,), "right": (B,)}
    claim = replace(
        LESS,
        metric="energy_net_per_image_j",
        of="energy_net_per_image_j",
        kind=kind,
        direction=direction,
        groups={ALL: (A, B)} if kind == "share" else groups,
        first=("left",),
    )
    records = [
        record(spec=spec, measured={claim.metric: Metric(joules, "J")}, day=day)
        for spec, values in ((A, (4.0, 4.1, 4.2)), (B, (-1.0, 2.0, 2.1)))
        for day, joules in enumerate(values, start=1)
    ]
    found = judge(claim, Estimates(Evidence(records), [claim]))
    assert (found.outcome, found.interval) == ("undecided", None)
    assert found.ours
