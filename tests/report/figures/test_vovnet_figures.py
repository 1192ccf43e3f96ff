"""The points of VoVNet's Figures 3 and 4, from the paper, from records and from both; and the
matrices of Figure 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from synthetic import BLOCKS

from archbench.records import Metric, Record
from archbench.report.figures.contract import Mark, Missing, Plot
from archbench.report.figures.material import Material
from archbench.report.figures.vovnet import aggregation, efficiency
from archbench.settings import Settings
from archbench.zoo import catalogue

Make = Callable[..., Record]

PUBLISHED = {
    "voc": {
        "SSD300 MobileNet": ("MobileNet", 68.0, 37, 42, 2.3),
        "Pelee304 PeleeNet": ("PeleeNet", 70.9, 35, 43, 2.4),
        "DSOD300 DenseNet-67": ("DenseNet", 73.6, 35, 189, 3.7),
        "DSOD300 VoVNet-27-slim": ("VoVNet", 74.8, 71, 400, 0.9),
    },
    "coco": {
        "ResNet-50": ("ResNet", 30.3, 23.2, 591.3, 5.3),
        "DenseNet-201": ("DenseNet", 32.5, 12.0, 296.9, 9.9),
        "VoVNet-39": ("VoVNet", 33.5, 25.0, 815.0, 4.8),
        "ResNet-101": ("ResNet", 32.0, 17.5, 579.2, 7.5),
        "DenseNet-161": ("DenseNet", 33.5, 12.8, 419.7, 10.0),
        "VoVNet-57": ("VoVNet", 33.9, 21.2, 775.5, 5.9),
    },
}
"""By label: family, accuracy, images/s, 1e9 multiply-adds/s, joules per image: Tables 2 and 4."""


def coco(records: list[Record], source: str = "records") -> Plot:
    made = efficiency(Material(records, source))[1]  # type: ignore[arg-type]
    assert isinstance(made, Plot)
    return made


def values(plot: Plot, panel: int) -> dict[str, Mark]:
    return {mark.label: mark for mark in plot.panels[panel].marks}


def said(plot: Plot) -> str:
    return " ".join(plot.remarks)


@pytest.mark.parametrize(("index", "chart"), list(enumerate(PUBLISHED)))
def test_published_points_are_the_paper_s_tables(index: int, chart: str) -> None:
    plot = efficiency(Material(source="paper"))[index]
    assert isinstance(plot, Plot)
    speed, compute, energy, both = (values(plot, panel) for panel in range(4))
    found = {
        label: (mark.colour, mark.y, mark.x, compute[label].x, energy[label].x)
        for label, mark in speed.items()
    }
    assert found == PUBLISHED[chart]
    assert all(
        (both[label].x, both[label].y) == (row[4], row[3])
        for label, row in PUBLISHED[chart].items()
    )
    assert all(mark.origin == "paper" and mark.is_named for mark in plot.marks)


def test_a_measured_point_has_the_published_accuracy_and_our_figures(record: Make) -> None:
    plot = coco([record(energy_j=1.9)])
    assert plot.where == "measured on Example GPU, fp32, contiguous"
    assert [(label, mark.y, mark.origin) for label, mark in values(plot, 0).items()] == [
        ("VoVNet-39", 33.5, "ours")
    ]
    assert values(plot, 2)["VoVNet-39"].x == 1.9
    assert "protocol model" in plot.remarks[0]


def test_intervals_of_rates_follow_from_the_latency_s(record: Make) -> None:
    plot = coco([record()])
    assert values(plot, 0)["VoVNet-39"].x == 50
    assert values(plot, 0)["VoVNet-39"].x_interval == pytest.approx((1000 / 22, 1000 / 19))
    assert values(plot, 1)["VoVNet-39"].x_interval == pytest.approx(
        (32626.2016 / 22, 32626.2016 / 19)
    )


def test_without_an_interval_there_is_no_bar(record: Make) -> None:
    made = record()
    few = replace(
        made,
        measured=made.measured | {"latency_ms": Metric(20.0, "ms", spread={"n": 3, "ci95": None})},
    )
    assert values(coco([few]), 0)["VoVNet-39"].x_interval is None
    assert "Error bars" not in said(coco([few]))


def test_the_repeats_of_a_network_are_one_point_and_what_failed_is_none(
    record: Make, failed: Record
) -> None:
    records = [
        record(latency_ms=10.0, day=3),
        record(latency_ms=20.0, day=1),
        record(latency_ms=8.0, day=2),
        replace(failed, spec=record().spec),
        record(batch=8, day=5),
        record(classes=20, day=6),
        record(latency_ms=None, day=7),
    ]
    plot = coco(records)
    mark = values(plot, 0)["VoVNet-39"]
    assert (mark.x, mark.x_interval) == (100, (50, 125))
    assert "the range of the medians of several processes" in said(plot)


def test_points_are_of_the_one_device_that_has_most(record: Make) -> None:
    on_cpu = [record(name, gpu=False, latency_ms=300.0) for name in ("vovnet39", "resnet50-v1")]
    half = record("densenet161", settings=Settings(precision="fp16"))
    plot = coco([*on_cpu, record(), half])
    assert plot.where == "measured on Example CPU, 2 threads, fp32, contiguous"
    assert values(plot, 0).keys() == {"ResNet-50", "VoVNet-39"}
    assert "No record: DenseNet-201, ResNet-101, DenseNet-161, VoVNet-57." in said(plot)
    others = said(plot).partition("Left out, from other devices or settings: ")[2]
    assert "1 on Example GPU, fp32, contiguous" in others
    assert "1 on Example GPU, fp16, contiguous" in others


def test_of_two_devices_with_as_many_points_the_last_used_is_drawn(record: Make) -> None:
    assert coco([record(gpu=False, day=2), record(day=1)]).where.startswith(
        "measured on Example CPU"
    )


def test_missing_energy_says_why(record: Make) -> None:
    plot = coco([record(energy_j=1.9), record("vovnet57", flags=("ci_not_met",))])
    assert values(plot, 2).keys() == {"VoVNet-39"}
    assert "Without energy: VoVNet-57 (not available on a CPU (cpu_device))." in said(plot)
    assert "Flags: ci_not_met (1 of 2)." in said(plot)


def test_a_panel_without_points_says_why(record: Make) -> None:
    plot = coco([record(gpu=False)])
    assert [panel.empty for panel in plot.panels[2:]] == [
        "energy: not available on a CPU (cpu_device)"
    ] * 2


def test_energy_that_was_never_asked_for_is_missing_too(record: Make) -> None:
    made = record()
    without = replace(
        made,
        measured={
            name: metric for name, metric in made.measured.items() if not name.startswith("energy")
        },
    )
    assert coco([without]).panels[2].empty == "energy: not asked for"


def test_both_sources_stand_in_one_panel_and_each_network_is_named_once(record: Make) -> None:
    plot = coco([record(energy_j=1.9)], "both")
    first = plot.panels[0]
    assert [(mark.origin, mark.is_named) for mark in first.marks if mark.label == "VoVNet-39"] in (
        [("ours", True), ("paper", False)],
        [("paper", False), ("ours", True)],
    )
    assert sum(mark.is_named for mark in first.marks) == 6
    assert first.x.is_log
    assert not first.y.is_log
    assert "Hollow marks: quoted from VoVNet, Table 4" in said(plot)


def test_without_records_the_command_is_named() -> None:
    assert efficiency(Material()) == [
        Missing(
            "efficiency-voc",
            "no measured record of the networks of VoVNet, Table 2; archbench sweep "
            "vovnet/figure3 measures them",
        ),
        Missing(
            "efficiency-coco",
            "no measured record of the networks of VoVNet, Table 4; archbench sweep "
            "vovnet/figure4 measures them",
        ),
    ]


def test_blocks_are_matrices_of_source_by_target() -> None:
    (plot,) = aggregation(
        Material(
            networks=[catalogue.resolve("densenet40").spec], blocks=BLOCKS, checkpoint="example.pth"
        )
    )
    assert isinstance(plot, Plot)
    cells = {(mark.y, mark.x): mark.z for mark in plot.panels[0].marks}
    assert cells["input", "transition"] == 0.125
    assert cells["1", "1"] is None
    assert len(cells) == 9
    assert plot.where == "weights of example.pth"


def test_random_weights_are_refused() -> None:
    (missing,) = aggregation(Material())
    assert isinstance(missing, Missing)
    assert "random ones weigh every layer alike" in missing.why
    assert "--weights FILE" in missing.why
