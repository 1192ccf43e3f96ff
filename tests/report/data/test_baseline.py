"""Ratios to a baseline: what is a difference, what is refused, what is marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archbench.reasons import Status
from archbench.records import Metric, Record
from archbench.report.data.baseline import (
    against,
    find_baseline,
    ratio,
    ratio_columns,
)
from archbench.report.data.configurations import configurations
from archbench.report.tables.baseline import ratio_tables
from archbench.report.tables.compare import Layout
from archbench.settings import Settings
from archbench.spec import UsageError

Make = Callable[..., Record]


def repeats(record: Make, name: str, *times: float) -> list[Record]:
    return [record(name, latency_ms=time, day=day) for day, time in enumerate(times, start=1)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((19.0, 19.1, 19.2), "less"),  # apart, and by 4.5 %
        ((20.4, 20.5, 20.55), "alike"),  # apart, but by 2.5 % only
        ((20.0, 24.0, 28.0), "alike"),  # by 20 %, but the ranges overlap
        ((30.0, 31.0, 32.0), "more"),
    ],
)
def test_different_is_apart_and_beyond_3_percent(
    record: Make, times: tuple[float, ...], expected: str
) -> None:
    one, base = configurations(
        [*repeats(record, "vovnet39", *times), *repeats(record, "resnet50-v1", 19.9, 20.0, 20.1)]
    )
    found = ratio(one, base, "latency_ms")
    assert found is not None
    assert found.verdict == expected
    assert found.value == pytest.approx(times[1] / 20.0)


def test_a_range_that_reaches_0_has_no_verdict(record: Make) -> None:
    above_idle = {
        name: [
            record(name, measured={"energy_net_per_image_j": Metric(joules, "J")}, day=day)
            for day, joules in enumerate(values, start=1)
        ]
        for name, values in (("vovnet39", (-0.2, 0.1, 0.2)), ("resnet50-v1", (3.0, 3.01, 3.02)))
    }
    one, base = configurations([*above_idle["vovnet39"], *above_idle["resnet50-v1"]])
    for found in (
        ratio(one, base, "energy_net_per_image_j"),
        ratio(base, one, "energy_net_per_image_j"),
    ):
        assert found
        assert (found.interval, found.verdict) == (None, "?")


def test_a_count_that_differs_at_all_differs(record: Make) -> None:
    one, base = configurations([record(), record("resnet50-v1", counted={"macs": 32626201601})])
    found = ratio(one, base, "macs")
    assert found is not None
    assert found.verdict == "less"


def test_a_figure_without_a_range_has_no_verdict(record: Make) -> None:
    one, base = configurations([record(), record("resnet50-v1")])
    found = ratio(one, base, "mem_device_delta_bytes")
    assert found is not None
    assert (found.value, found.interval, found.verdict) == (1.0, None, "?")


@pytest.mark.parametrize("name", ["vovnet39", "VoVNet-39 + RefineDet", "vovnet39+refinedet320"])
def test_a_baseline_is_found_by_its_name(record: Make, name: str) -> None:
    assert find_baseline([record(), record("resnet50-v1")], name).name == "vovnet39 + refinedet320"


def test_the_last_is_the_newest_that_ended_well(record: Make) -> None:
    times = ("2026-01-02", "2026-01-03", "2026-01-01")
    older, newest, oldest = (
        replace(record(name), time_utc=time)
        for name, time in zip(("vovnet39", "resnet50-v1", "vgg16"), times, strict=True)
    )
    failed = replace(record("vovnet57"), status=Status.OOM, time_utc="2026-01-04")
    baseline = find_baseline([oldest, older, newest, failed], "last")
    assert baseline.name == "resnet50-v1 + refinedet320"


def test_the_beginning_of_several_ids_is_refused(record: Make) -> None:
    records = [
        replace(record(name), record_id=record_id)
        for name, record_id in (("vovnet39", "abcdef1"), ("resnet50-v1", "abcdef12"))
    ]
    with pytest.raises(UsageError, match=r"ambiguous --baseline .*: abcdef1, abcdef12"):
        find_baseline(records, "abcdef")
    assert find_baseline(records, "abcdef1").name == "vovnet39 + refinedet320"


def test_a_baseline_is_found_by_its_record(record: Make) -> None:
    records = [record(), record(batch=8), record("resnet50-v1")]
    assert (
        find_baseline(records, records[1].record_id[:8]).name == "vovnet39 + refinedet320, batch 8"
    )


def test_a_record_of_an_earlier_version_is_a_baseline_of_its_own_figures(record: Make) -> None:
    versions = [
        record(latency_ms=time, day=day, environment={"device_name": "GPU", "archbench": version})
        for day, (time, version) in enumerate(((40.0, "0.1"), (30.0, "0.2"), (20.0, "0.3")), 1)
    ]
    oldest, older, newest = versions
    for base, expected in ((oldest, 0.5), (older, 20 / 30), (newest, 1.0)):
        baseline = find_baseline(versions, base.record_id[:8])
        made = against(newest, baseline, ["latency_ms"])
        assert (made["baseline"], made["ratio_latency_ms"]) == (
            base.record_id,
            pytest.approx(expected),
        )


def test_a_name_of_two_networks_is_asked_about(record: Make) -> None:
    records = [
        record(detector="refinedet", size=512),
        record(detector="refinedet", size=320),
        record("resnet50-v1"),
    ]
    with pytest.raises(
        UsageError,
        match=r"ambiguous --baseline .*: vovnet39 \+ refinedet512; vovnet39 \+ refinedet320",
    ):
        find_baseline(records, "vovnet39")
    with pytest.raises(UsageError, match="a network measured here: vovnet39"):
        find_baseline(records, "vgg16")


def test_what_is_not_comparable_is_refused_with_its_keys(record: Make) -> None:
    records = [
        record(),
        record("resnet50-v1", settings=Settings(precision="fp16"), flags=("ci_not_met",)),
    ]
    baseline = find_baseline(records, "vovnet39")
    with pytest.raises(
        UsageError, match=r"nothing is comparable .*precision \(fp16, fp32\); ci_not_met; --force"
    ):
        ratio_tables(records, baseline, Layout())


def test_force_marks_what_is_not_comparable(record: Make) -> None:
    records = [record(), record("resnet50-v1", batch=8)]
    (table,) = ratio_tables(records, find_baseline(records, "vovnet39", is_forced=True), Layout())
    assert [
        "resnet50-v1 + refinedet320,",
        "1.000",
        "1.000",
        "20",
        "1.000!",
        "0.86-1.16 alike",
    ] in table.rows
    assert table.notes[0] == "! forced, batch (8, 1): resnet50-v1 + refinedet320, batch 8"


@pytest.mark.parametrize("word", ["activation_total_bytes", "bytes_all", "train_memory_bytes"])
def test_bytes_that_are_counted_of_a_batch_are_not_compared_with_those_of_another(
    record: Make, word: str
) -> None:
    one, eight = (record(batch=batch, counted={"macs": 9, word: 100 * batch}) for batch in (1, 8))
    made = against(eight, find_baseline([one, eight], one.record_id), [word, "macs"])
    assert (made["not_comparable"], made[f"ratio_{word}"]) == ("batch (8, 1)", None)
    assert made["ratio_macs"] == 1


def test_where_some_are_comparable_the_others_are_named(record: Make) -> None:
    records = [record(), record("resnet50-v1", latency_ms=40.0), record("densenet161", batch=8)]
    (table,) = ratio_tables(records, find_baseline(records, "vovnet39"), Layout())
    assert table.plain() == EXPECTED


EXPECTED = """\
Example GPU, fp32, contiguous

network, against             params   macs
  vovnet39 + refinedet320         x      x  latency_ms      x  range
---------------------------  ------  -----  ----------  -----  --------------
vovnet39 + refinedet320       1.000  1.000          20      1  baseline
resnet50-v1 + refinedet320    1.000  1.000          40  2.000  1.73-2.32 more
densenet161 + refinedet320,   1.000  1.000          20      -
  batch 8

not comparable, batch (8, 1): densenet161 + refinedet320, batch 8
x: times the baseline. less, more: the ranges (of the processes' medians, or a
single process's 95 % confidence interval) do not overlap and the ratio is
beyond 3 %; otherwise alike.
"""


def test_each_place_has_its_own_baseline(record: Make) -> None:
    records = [
        record(),
        record("resnet50-v1", latency_ms=40.0),
        record(gpu=False, latency_ms=300.0),
        record("resnet50-v1", gpu=False),
    ]
    first, second = ratio_tables(records, find_baseline(records, "vovnet39"), Layout())
    assert [row[4] for row in first.rows] == ["1", "2.000"]
    assert [row[4] for row in second.rows] == ["0.067", "1"], "the fastest first"


def test_a_record_as_baseline_is_one_place_s(record: Make) -> None:
    records = [record(), record(settings=Settings(precision="fp16"), latency_ms=10.0)]
    baseline = find_baseline(records, records[0].record_id, is_forced=True)
    made = [against(one, baseline, ["latency_ms"]) for one in records]
    assert [row["ratio_latency_ms"] for row in made] == [1.0, 0.5]
    assert [row["not_comparable"] for row in made] == [None, "precision (fp16, fp32)"]
    assert (
        list(made[0])
        == ratio_columns(["latency_ms"])
        == ["baseline", "not_comparable", "ratio_latency_ms"]
    )


def test_text_has_no_ratio(record: Make) -> None:
    with pytest.raises(UsageError, match="invalid --columns backbone"):
        ratio_tables(
            [record()], find_baseline([record()], "vovnet39"), Layout(columns=["backbone"])
        )
