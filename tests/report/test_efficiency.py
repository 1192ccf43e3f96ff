"""The points of VoVNet's Figures 3 and 4, from the paper and from records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from archbench.records import Metric, Record
from archbench.report.efficiency import CHARTS, Value, measured, published
from archbench.spec import Settings

Make = Callable[..., Record]
VOC, COCO = CHARTS

PUBLISHED = {
    "voc": [
        ("SSD300 MobileNet", "MobileNet", 68.0, 37, 42, 2.3),
        ("Pelee304 PeleeNet", "PeleeNet", 70.9, 35, 43, 2.4),
        ("DSOD300 DenseNet-67", "DenseNet", 73.6, 35, 189, 3.7),
        ("DSOD300 VoVNet-27-slim", "VoVNet", 74.8, 71, 400, 0.9),
    ],
    "coco": [
        ("ResNet-50", "ResNet", 30.3, 23.2, 591.3, 5.3),
        ("DenseNet-201", "DenseNet", 32.5, 12.0, 296.9, 9.9),
        ("VoVNet-39", "VoVNet", 33.5, 25.0, 815.0, 4.8),
        ("ResNet-101", "ResNet", 32.0, 17.5, 579.2, 7.5),
        ("DenseNet-161", "DenseNet", 33.5, 12.8, 419.7, 10.0),
        ("VoVNet-57", "VoVNet", 33.9, 21.2, 775.5, 5.9),
    ],
}
"""Label, family, accuracy, images/s, 1e9 multiply-adds/s, joules an image: Tables 2 and 4."""


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_published_points_are_the_paper_s_tables(chart) -> None:
    points = published(chart).points
    rows = [(p.label, p.family, p.accuracy.value, p.fps.value, p.gmacs_per_s.value, p.energy_j.value) for p in points]
    assert rows == PUBLISHED[chart.name]


def test_a_measured_point_has_the_published_accuracy_and_our_figures(record: Make) -> None:
    selection = measured(COCO, [record(energy_j=1.9)])
    (point,) = selection.points
    assert (point.label, point.family, point.accuracy) == ("VoVNet-39", "VoVNet", Value(33.5))
    assert point.energy_j == Value(1.9)
    assert selection.heading == "measured on Example GPU, fp32, contiguous"
    assert "protocol model" in selection.remarks[0]


def test_intervals_of_rates_follow_from_the_latency_s(record: Make) -> None:
    (point,) = measured(COCO, [record()]).points
    assert point.fps.value == 50
    assert point.fps.interval == pytest.approx((1000 / 22, 1000 / 19))
    assert point.gmacs_per_s.interval == pytest.approx((32626.2016 / 22, 32626.2016 / 19))


def test_without_an_interval_there_is_no_bar(record: Make) -> None:
    made = record()
    few = replace(made, measured=made.measured | {"latency_ms": Metric(20.0, "ms", spread={"n": 3, "ci95": None})})
    (point,) = measured(COCO, [few]).points
    assert point.fps == Value(50.0)


def test_the_ok_records_of_a_network_are_one_point(record: Make, failed: Record) -> None:
    records = [
        record(latency_ms=10.0, day=3), record(latency_ms=20.0, day=1), record(latency_ms=8.0, day=2),
        replace(failed, spec=record().spec), record(batch=8, day=5), record(classes=20, day=6), record(latency_ms=None, day=7),
    ]  # fmt: skip
    (point,) = measured(COCO, records).points
    assert point.fps.value == 100


def test_points_are_of_the_one_device_that_has_most(record: Make) -> None:
    on_cpu = [record(name, gpu=False, latency_ms=300.0) for name in ("vovnet39", "resnet50-v1")]
    half = record("densenet161", settings=Settings(precision="fp16"))
    selection = measured(COCO, [*on_cpu, record(), half])
    assert selection.heading == "measured on Example CPU, 2 threads, fp32, contiguous"
    assert [point.label for point in selection.points] == ["ResNet-50", "VoVNet-39"]
    remarks = " ".join(selection.remarks)
    assert "No record: DenseNet-201, ResNet-101, DenseNet-161, VoVNet-57." in remarks
    assert "Left out, of other devices or settings: 1 on Example GPU, fp32, contiguous; 1 on Example GPU, fp16, contiguous." in remarks


def test_of_two_devices_with_as_many_points_the_last_used_is_drawn(record: Make) -> None:
    selection = measured(COCO, [record(gpu=False, day=2), record(day=1)])
    assert selection.heading.startswith("measured on Example CPU")


def test_missing_energy_says_why(record: Make) -> None:
    selection = measured(COCO, [record(energy_j=1.9), record("vovnet57", flags=("ci_not_met",))])
    assert [point.energy_j.reason for point in selection.points] == ["", "cpu_device"]
    remarks = " ".join(selection.remarks)
    assert "Without energy: VoVNet-57 (no figure of a CPU device (cpu_device))." in remarks
    assert "Flags: ci_not_met (1 of 2)." in remarks


def test_energy_that_was_never_asked_for_is_missing_too(record: Make) -> None:
    made = record()
    without = replace(made, measured={name: metric for name, metric in made.measured.items() if not name.startswith("energy")})
    (point,) = measured(COCO, [without]).points
    assert point.energy_j == Value(None, reason="not_asked_for")


def test_no_record_no_point() -> None:
    assert measured(COCO, []).points == []
    assert measured(VOC, []).points == []
