"""Verdicts on claims, one kind after the other, on figures made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from archbench.papers.claims import ALL, Claim, claims, claims_of
from archbench.records import Metric, Record
from archbench.report.data.claims import Estimates, Verdict, judge
from archbench.report.data.evidence import Evidence
from archbench.report.tables.claims import COLUMNS, rows, tables
from archbench.settings import Settings
from archbench.spec import Spec
from archbench.zoo import catalogue

Make = Callable[..., Record]
A, B, C, D = (
    catalogue.resolve(name, "refinedet320").spec
    for name in ("vovnet39", "resnet50-v1", "densenet161", "densenet201")
)
FASTER = Claim(
    "vovnet",
    "Table 4",
    "A is faster than B",
    "gpu",
    "latency_ms",
    direction="less",
    published=0.8,
    pairs=((A, B),),
)


def verdict(claim: Claim, records: list[Record], **options: Any) -> Verdict:
    return judge(claim, Estimates(Evidence(records), [claim], **options))


def timed(
    record: Make, spec: Spec, latency_ms: float, width: float = 0.01, **changes: Any
) -> Record:
    """A record whose interval is `width` of its median to each side."""
    made = record(latency_ms=latency_ms, spec=spec, **changes)
    spread = {
        "n": 50,
        "median": latency_ms,
        "ci95": [latency_ms * (1 - width), latency_ms * (1 + width)],
    }
    return replace(
        made,
        measured=made.measured
        | {"latency_ms": replace(made.measured["latency_ms"], spread=spread)},
    )


@pytest.mark.parametrize(
    ("left_ms", "direction", "expected"),
    [
        (80.0, "less", "holds"),
        (80.0, "more", "fails"),
        (101.0, "less", "undecided"),
        (101.0, "more", "undecided"),
        (120.0, "more", "holds"),
        (120.0, "less", "fails"),
        (101.0, "equal", "holds"),
        (104.0, "equal", "undecided"),
        (120.0, "equal", "fails"),
    ],
)
def test_a_ratio_holds_where_its_range_excludes_equality(
    record: Make, left_ms: float, direction: Any, expected: str
) -> None:
    found = verdict(
        replace(FASTER, direction=direction), [timed(record, A, left_ms), timed(record, B, 100.0)]
    )
    assert found.outcome == expected
    assert found.ours == pytest.approx(left_ms / 100)
    assert found.interval == pytest.approx((left_ms * 0.99 / 101, left_ms * 1.01 / 99))


def test_several_processes_have_their_range(record: Make) -> None:
    left = [timed(record, A, time, width=0.5) for time in (80.0, 81.0, 82.0)]
    found = verdict(FASTER, [*left, timed(record, B, 100.0)])
    assert (found.ours, found.interval) == (pytest.approx(0.81), pytest.approx((80 / 101, 82 / 99)))


@pytest.mark.parametrize(
    ("ours", "expected"), [(0.9e9, "holds"), (0.98e9, "undecided"), (1.1e9, "fails")]
)
def test_a_figure_without_a_range_is_good_to_3_percent(
    record: Make, ours: float, expected: str
) -> None:
    def with_memory(spec: Spec, value: float) -> Record:
        return record(spec=spec, measured={"mem_device_delta_bytes": Metric(value, "bytes")})

    claim = replace(FASTER, metric="mem_device_delta_bytes")
    assert verdict(claim, [with_memory(A, ours), with_memory(B, 1e9)]).outcome == expected


def test_without_a_gpu_a_gpu_s_claim_is_not_measured(record: Make) -> None:
    found = verdict(FASTER, [timed(record, A, 80.0, gpu=False), timed(record, B, 100.0, gpu=False)])
    assert (found.outcome, found.reason, found.ours) == ("not measured", "needs_cuda_device", None)
    assert found.command == "archbench sweep vovnet/table4"


def test_a_cpu_s_claim_is_of_a_cpu(record: Make) -> None:
    records = [
        timed(record, A, 80.0),
        timed(record, B, 100.0),
        timed(record, A, 900.0, gpu=False),
        timed(record, B, 500.0, gpu=False),
    ]
    found = verdict(replace(FASTER, device="cpu"), records)
    assert (found.ours, found.outcome, found.setup) == (
        pytest.approx(1.8),
        "fails",
        "Example CPU, 2 threads, fp32, contiguous",
    )


def test_figures_are_of_one_place(record: Make) -> None:
    half = {"settings": Settings(precision="fp16")}
    found = verdict(FASTER, [timed(record, A, 80.0), timed(record, B, 50.0, **half)])
    assert (found.outcome, found.known, found.wanted) == ("not measured", 1, 2)


def test_flawed_figures_are_left_out_unless_asked_for(record: Make) -> None:
    records = [timed(record, A, 80.0, flags=("ci_not_met",)), timed(record, B, 100.0)]
    found = verdict(FASTER, records)
    assert (found.outcome, found.reason) == (
        "not measured",
        "flagged ci_not_met (--flagged takes such figures)",
    )
    taken = verdict(FASTER, records, with_flawed=True)
    assert (taken.outcome, taken.flags) == ("holds", ("ci_not_met",))
    (table,) = tables([taken])
    assert table.rows[1][2] == "0.8*"
    assert "* from flagged figures: ci_not_met" in table.notes


def counting(
    figures: Mapping[Spec, float], word: str = "macs"
) -> Callable[[Spec], Mapping[str, Any]]:
    return lambda spec: {word: figures[spec], "params": 10, "param_kinds": {"norm_buffers": 2}}


def test_counts_are_exact_and_need_no_record() -> None:
    claim = replace(FASTER, device="any", metric="macs")
    assert verdict(claim, []).outcome == "not counted"
    found = verdict(claim, [], count=counting({A: 999, B: 1000}))
    assert (found.outcome, found.interval) == ("holds", (0.999, 0.999))
    assert verdict(claim, [], count=counting({A: 1000, B: 1000})).outcome == "fails"


def test_a_record_without_a_count_is_counted_anew(record: Make) -> None:
    claim = replace(FASTER, device="any", metric="activation_total_bytes")
    old = [record(spec=spec, counted={"params": 1}) for spec in (A, B)]
    assert verdict(claim, old).outcome == "not counted"
    assert verdict(claim, old, count=counting({A: 1, B: 2}, "activation_total_bytes")).ours == 0.5


def test_a_paper_s_own_rule_counts() -> None:
    claim = replace(
        FASTER,
        device="any",
        metric="paper_params",
        formula="params + norm_buffers",
        direction="equal",
    )
    assert verdict(claim, [], count=counting({A: 0, B: 0})).outcome == "holds"


COUNTED = replace(FASTER, device="any", metric="macs", published=None)


def outcome(claim: Claim, *values: float) -> tuple[str, float | None]:
    found = verdict(claim, [], count=counting(dict(zip((A, B, C, D), values, strict=True))))
    return found.outcome, found.ours


def test_mean_and_least_of_ratios() -> None:
    pairs = ((A, B), (C, D))
    assert outcome(replace(COUNTED, pairs=pairs, direction="more"), 20, 10, 12, 10) == (
        "holds",
        pytest.approx(1.6),
    )
    assert outcome(
        replace(COUNTED, pairs=pairs, direction="more", kind="least_ratio"), 20, 10, 9, 10
    ) == ("fails", pytest.approx(0.9))


def test_means_of_groups() -> None:
    claim = replace(COUNTED, kind="group_ratio", pairs=(), groups={"left": (A, B), "right": (C, D)})
    assert outcome(claim, 10, 20, 30, 10) == ("holds", pytest.approx(0.75))


def test_an_ordering_is_of_the_nearest_groups() -> None:
    groups = {"one": (A,), "two": (B,), "three": (C, D)}
    claim = replace(COUNTED, kind="ordering", pairs=(), groups=groups, first=("one",))
    assert outcome(claim, 10, 12, 20, 22) == ("holds", pytest.approx(10 / 12))
    assert outcome(replace(claim, direction="more"), 30, 12, 20, 22) == (
        "holds",
        pytest.approx(30 / 21),
    )
    assert outcome(replace(claim, direction="more", first=("one", "two")), 30, 12, 20, 22) == (
        "fails",
        pytest.approx(12 / 21),
    )


def test_an_ordering_of_spreads_and_of_ratios() -> None:
    spread = replace(
        COUNTED,
        kind="ordering",
        pairs=(),
        groups={"one": (A, B), "two": (C, D)},
        first=("one",),
        direction="more",
    )
    assert outcome(replace(spread, statistic="spread"), 10, 30, 10, 15) == ("holds", 4.0)
    paired = replace(
        spread, groups={}, paired={"one": ((A, B),), "two": ((C, D),)}, statistic="ratio"
    )
    assert outcome(paired, 30, 10, 20, 10) == ("holds", pytest.approx(1.5))


def test_an_ordering_lacks_a_verdict_where_it_lacks_a_group(record: Make) -> None:
    claim = replace(
        FASTER,
        kind="ordering",
        pairs=(),
        groups={"one": (A,), "two": (B,), "three": (C,)},
        first=("one",),
    )
    assert (
        verdict(claim, [timed(record, A, 10.0), timed(record, B, 20.0)]).outcome == "not measured"
    )


def test_a_share_and_a_part_below() -> None:
    part = replace(
        COUNTED,
        kind="part_below",
        pairs=(),
        groups={ALL: (A, B, C, D)},
        limit=15.0,
        reference=0.5,
        direction="more",
    )
    assert outcome(part, 10, 11, 12, 20) == ("holds", 0.75)


def test_a_share_of_a_time(record: Make) -> None:
    made = record(spec=A)
    times = {
        "postprocess_ms": Metric(6.0, "ms", spread={"ci95": [5.9, 6.1]}),
        "total_ms": Metric(10.0, "ms", spread={"ci95": [9.9, 10.1]}),
    }
    claim = replace(
        FASTER,
        kind="share",
        pairs=(),
        groups={ALL: (A,)},
        metric="postprocess_ms",
        of="total_ms",
        reference=0.5,
        direction="more",
    )
    found = verdict(claim, [replace(made, measured=times)])
    assert (found.outcome, found.ours, found.interval) == (
        "holds",
        0.6,
        pytest.approx((5.9 / 10.1, 6.1 / 9.9)),
    )


def test_a_correlation_has_the_interval_of_its_resamples(record: Make) -> None:
    specs = [catalogue.resolve("vovnet39", "refinedet", size=64 * n).spec for n in range(2, 12)]
    claim = replace(
        FASTER,
        kind="correlation",
        pairs=(),
        groups={ALL: tuple(specs)},
        metric="macs",
        of="latency_ms",
        reference=0.0,
        direction="more",
    )
    grows = [
        timed(record, spec, 10.0 * n, counted={"macs": n}) for n, spec in enumerate(specs, start=1)
    ]
    found = verdict(claim, grows)
    assert (found.outcome, found.ours) == ("holds", pytest.approx(1.0))
    few = verdict(claim, grows[:3])
    assert (few.outcome, few.known, few.wanted) == ("undecided", 3, 10)


def test_some_of_many_pairs_are_told_of(record: Make) -> None:
    claim = replace(FASTER, pairs=((A, B), (C, D)))
    found = verdict(claim, [timed(record, A, 80.0), timed(record, B, 100.0)])
    assert (found.outcome, found.known, found.wanted) == ("holds", 2, 4)
    (table,) = tables([found])
    assert table.rows[1][4] == "holds 2/4"


def test_what_cannot_be_tested_says_why() -> None:
    found = verdict(Claim("huang", "here", "it takes 100 ms", why="a time of its own card"), [])
    assert (found.outcome, found.command) == ("not testable", "")
    assert any("a time of its own card" in note for note in tables([found])[0].notes)


def test_a_claim_of_no_suite_names_each_command() -> None:
    claim = replace(FASTER, pairs=((A, catalogue.resolve("vgg16", None).spec),))
    command = verdict(claim, []).command
    assert command.startswith(
        "archbench profile vovnet39 --detector refinedet --size 320x320 --classes 80; archbench "
        "profile vgg16"
    )


def test_rows_have_every_column() -> None:
    (row,) = rows(
        [verdict(replace(FASTER, device="any", metric="macs"), [], count=counting({A: 9, B: 10}))]
    )
    assert list(row) == list(COLUMNS)
    expected = {
        "ours": 0.9,
        "ours_over_published": pytest.approx(1.125),
        "outcome": "holds",
        "figures": 2,
        "of": 2,
        "published": 0.8,
    }
    assert {key: row[key] for key in expected} == expected


def test_the_people_s_table(record: Make) -> None:
    chosen = claims_of("vovnet/section3.2") + claims_of("vovnet/table3")
    figures = Estimates(
        Evidence([]),
        chosen,
        count=lambda spec: {
            "mac_eq1": 2.5e6 if "osa" in spec.backbone else 3.7e6,
            "macs": 5e9,
            "params": 5e6,
        },
    )
    (table,) = tables([judge(claim, figures) for claim in chosen])
    assert table.plain() == EXPECTED


EXPECTED = """\
vovnet: 1 holds, 2 fail, 2 not measured

claim                                         paper   ours  range
--------------------------------------------  -----  -----  -----  ------------
Section 3.2
  one-shot aggregation (5 x 43) cuts          0.676  0.676         holds
    DenseNet-40's MAC

Table 3
  1x1 bottlenecks cut VoVNet-27-slim's FLOPs  0.821      1         fails
  1x1 bottlenecks cut its parameters          0.814      1         fails
  ... but lengthen the GPU time                1.29      -         not measured
  ... and raise the memory footprint           1.08      -         not measured

not measured, needs a CUDA device: archbench sweep vovnet/table3 (2)
holds: our whole range is on the paper's side of equality (or of the stated
number); fails: on the other side; undecided: on both. Ranges: 95 % confidence
intervals of the medians, or the medians of several processes; counts are exact.
"""


def test_tables_fit_80_columns(record: Make) -> None:
    records = [
        timed(record, spec, 12.3 + n)
        for n, spec in enumerate(dict.fromkeys(spec for claim in claims() for spec in claim.specs))
    ]
    figures = Estimates(Evidence(records), claims())
    for table in tables([judge(claim, figures) for claim in claims()]):
        assert max(map(len, table.plain().splitlines())) <= 80
