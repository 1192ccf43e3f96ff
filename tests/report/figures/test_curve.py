"""Curves over batch and input: which lines there are, where their knees are, what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from synthetic import GPU

from archbench.reasons import Flag, Status
from archbench.records import Metric, Record
from archbench.report.figures.contract import Missing, Plot
from archbench.report.figures.curve import curve
from archbench.report.figures.material import Material
from archbench.settings import Settings
from archbench.zoo import catalogue

FIXED_MS = 9.0


def measured(batch: int = 1, size: int = 224, name: str = "resnet50", **changes: Any) -> Record:
    """A call takes 9 ms, and 1 ms per image of 224 x 224."""
    ms = FIXED_MS + batch * (size / 224) ** 2
    record = Record(
        spec=catalogue.resolve(name, batch=batch, size=size).spec,
        settings=Settings(),
        status=Status.OK,
        measured={"latency_ms": Metric(ms, "ms", flags=(Flag.CI_NOT_MET,) * (batch == 2))},
        environment=GPU,
    )
    return replace(record, **changes)


def drawn(records: Sequence[Record]) -> Plot:
    (plot,) = curve(Material(records))
    assert isinstance(plot, Plot), plot
    return plot


BATCHES = [measured(batch) for batch in (64, 1, 32, 128, 2)]


def test_a_line_is_of_one_network_and_in_the_order_of_the_batch() -> None:
    plot = drawn([*BATCHES, measured(1, name="vgg16"), measured(4, name="vgg16")])
    rate, time = plot.panels
    assert rate.title == "(a) throughput, forward, by batch"
    lines = {mark.line: [m.x for m in rate.marks if m.line == mark.line] for mark in rate.marks}
    assert lines == {"resnet50, 224x224": [1, 2, 32, 64, 128], "vgg16, 224x224": [1, 4]}
    assert [mark.y for mark in time.marks][:2] == [10.0, 11.0]
    assert rate.marks[0].y == pytest.approx(100.0)


def test_networks_that_differ_in_classes_alone_are_two_lines() -> None:
    few = [
        measured(batch, spec=catalogue.resolve("resnet50", batch=batch, classes=10).spec)
        for batch in (1, 64)
    ]
    rate = drawn([*BATCHES, *few]).panels[0]
    lines = {mark.line: [m.x for m in rate.marks if m.line == mark.line] for mark in rate.marks}
    assert lines == {
        "resnet50, 224x224, 1000 classes": [1, 2, 32, 64, 128],
        "resnet50, 224x224, 10 classes": [1, 64],
    }
    assert [mark.line for mark in rate.marks if mark.shape == "knee"] == [*lines]


def test_the_knee_is_the_first_with_nine_tenths_of_the_best() -> None:
    """n images in 9 + n ms: of 128 images 0.934, of 64 0.877 (below 0.841), of 32 0.780."""
    knees = [mark.x for mark in drawn(BATCHES).panels[0].marks if mark.shape == "knee"]
    assert knees == [64]
    more = [*BATCHES, measured(1024)]
    assert [m.x for m in drawn(more).panels[0].marks if m.shape == "knee"] == [128]
    two = [
        mark.x for mark in drawn(BATCHES[:1] + BATCHES[1:2]).panels[1].marks if mark.shape == "knee"
    ]
    assert two == [64], "the same point in the panel of times"


def test_of_inputs_the_knee_is_by_pixels_a_second() -> None:
    """Areas of 1, 4, 16 and 64 in 10, 13, 25 and 73 ms: 0.1, 0.31, 0.64 and 0.88 a ms."""
    plot = drawn([measured(size=size) for size in (224, 448, 896, 1792)])
    rate = plot.panels[0]
    assert rate.title == "(a) throughput, forward, by input"
    assert {mark.line for mark in rate.marks} == {"resnet50"}
    assert [mark.x for mark in rate.marks] == [224, 448, 896, 1792]
    assert [mark.x for mark in rate.marks if mark.shape == "knee"] == [1792]


def test_both_make_four_panels() -> None:
    plot = drawn([*BATCHES, measured(size=448)])
    assert [panel.title[:3] for panel in plot.panels] == ["(a)", "(b)", "(c)", "(d)"]
    assert plot.title == "Throughput and time over batch and input"


def test_setups_do_not_mix_and_what_is_left_out_is_said() -> None:
    other = [replace(each, settings=Settings(precision="bf16")) for each in BATCHES[:2]]
    plot = drawn([*BATCHES, *other])
    assert len(plot.panels[0].marks) == len(BATCHES)
    text = " ".join(plot.remarks)
    assert "Left out, from other devices or settings: 2 on Example GPU, bf16" in text
    assert "Flags: ci_not_met (1 of 5)." in text


def test_points_that_differ_in_more_are_no_line() -> None:
    alone = [measured(1), measured(2, 448), measured(4, name="vgg16")]
    (missing,) = curve(Material(alone))
    assert isinstance(missing, Missing)
    assert missing.why.startswith("no network was measured at several batches or inputs; archbench")
