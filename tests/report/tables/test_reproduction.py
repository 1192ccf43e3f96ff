"""A paper's table with ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from archbench.papers.suites import Suite, suite
from archbench.reasons import Flag
from archbench.records import Metric, Record
from archbench.report.data.evidence import Evidence
from archbench.report.data.reproduction import Reproduction, reproduce_suite
from archbench.report.tables import compare
from archbench.report.tables.reproduce import COLUMNS, rows, tables
from archbench.report.tables.table import Table
from archbench.settings import Settings
from archbench.spec import Spec

Make = Callable[..., Record]


def of_suite(
    record: Make, chosen: Suite, times: Mapping[str, float], **changes: Any
) -> list[Record]:
    """A record of some rows, by their labels."""
    specs = {member.label.split(" (")[0]: member.spec for member in chosen.members}
    return [
        record(latency_ms=time, **{"spec": specs[label]} | changes) for label, time in times.items()
    ]


def reproduced(chosen: Suite, records: list[Record], **options: Any) -> Reproduction:
    return reproduce_suite(chosen, Evidence(records), **options)


def column(made: Reproduction, key: str) -> list[float | None]:
    return [line.cells[key].ours for line in made.lines]


def test_counts_come_by_the_paper_s_own_rule(record: Make) -> None:
    table4 = suite("vovnet/table4")
    made = reproduced(table4, of_suite(record, table4, {"VoVNet-39": 20.0}))
    line = next(line for line in made.lines if line.label == "VoVNet-39")
    assert line.cells["gmacs"].column == "paper_flops"
    assert line.cells["gmacs"].ours == pytest.approx(32.6554816)
    assert line.cells["gmacs"].ratio == pytest.approx(32.6554816 / 32.6)


def test_a_formula_is_applied_to_the_record_s_counts(record: Make) -> None:
    prose = suite("dsod/prose")
    counted = {"params": 14_000_000, "macs": 1, "param_kinds": {"norm_buffers": 800_000}}
    made = reproduced(
        prose, of_suite(record, prose, {"DSOD300 dense prediction": 20.0}, counted=counted)
    )
    line = next(line for line in made.lines if line.label == "DSOD300 dense prediction")
    assert line.cells["params_m"].ours == pytest.approx(14.8)


def test_what_no_record_counted_is_counted_when_asked() -> None:
    asked: list[Spec] = []

    def count(spec: Spec) -> Mapping[str, Any]:
        asked.append(spec)
        return {"mac_eq1": 3.6e6}

    chosen = suite("vovnet/section3.2")
    assert column(reproduced(chosen, []), "mac_eq1_m") == [None, None]
    assert column(reproduced(chosen, [], count=count), "mac_eq1_m") == pytest.approx([3.6, 3.6])
    assert [spec.backbone for spec in asked] == ["densenet40", "osa-5x43"]


def test_times_are_of_the_device_with_most_rows(record: Make) -> None:
    table4 = suite("vovnet/table4")
    gpu = of_suite(record, table4, {"VoVNet-39": 20.0})
    cpu = of_suite(record, table4, {"VoVNet-39": 500.0, "ResNet-50": 400.0}, gpu=False)
    made = reproduced(table4, [*gpu, *cpu])
    assert column(made, "fps") == [2.5, None, 2.0, None, None, None]
    assert made.setups == ["Example CPU, 2 threads, fp32, contiguous"]
    assert made.others == {"Example GPU, fp32, contiguous": 1}
    chosen = reproduced(table4, [*gpu, *cpu], device="example gpu")
    assert column(chosen, "fps") == [None, None, 50.0, None, None, None]


def test_another_batch_or_input_is_no_row_of_the_table(record: Make) -> None:
    made = reproduced(suite("vovnet/table4"), [record(batch=8), record(classes=20)])
    assert set(column(made, "fps")) == {None}
    assert column(made, "params_m")[2] == pytest.approx(56.283844)


def test_training_rows_are_of_training_steps_at_their_batch(record: Make) -> None:
    table9 = suite("dsnet/table9")
    made = reproduced(table9, of_suite(record, table9, {"ResNet50": 250.0}))
    cell = made.lines[0].cells["train_step_s"]
    assert (cell.ours, cell.column) == (pytest.approx(0.25), "latency_ms")


def test_rank_agreement_is_rho_over_what_is_comparable(record: Make) -> None:
    table4 = suite("vovnet/table4")
    times = {"ResNet-50": 20.0, "DenseNet-201": 50.0, "VoVNet-39": 21.0, "ResNet-101": 30.0}
    made = reproduced(table4, of_suite(record, table4, times))
    rho, n = made.agreement("fps")
    assert (rho, n) == (pytest.approx(0.8), 4)  # the paper: VoVNet-39 before ResNet-50
    assert reproduced(
        table4, of_suite(record, table4, {"ResNet-50": 20.0, "VoVNet-39": 21.0})
    ).agreement("fps") == (None, 2)


def test_flawed_figures_are_shown_and_ranked_only_when_asked(record: Make) -> None:
    table4 = suite("vovnet/table4")
    records = of_suite(
        record,
        table4,
        {"ResNet-50": 20.0, "VoVNet-39": 18.0, "VoVNet-57": 30.0},
        flags=("ci_not_met",),
    )
    made = reproduced(table4, records)
    assert made.agreement("fps") == (None, 0)
    assert "50.0*" not in tables(made)[0].plain()
    assert "50.00*" in tables(made)[0].plain()
    assert reproduced(table4, records, with_flawed=True).agreement("fps")[1] == 3


def test_approximate_rows_are_marked_and_not_ranked(record: Make) -> None:
    from dataclasses import replace

    chosen = suite("vovnet/table7")
    near = replace(
        chosen, members=(replace(chosen.members[0], approximate="a guess"), *chosen.members[1:])
    )
    records = [
        record(latency_ms=float(10 + i), spec=member.spec)
        for i, member in enumerate(chosen.members)
    ]
    made = reproduced(near, records)
    assert made.agreement("fps")[1] == 3
    text = tables(made)[0].plain()
    assert "ResNet-50 ~" in text
    assert "approximate, not ranked: a guess" in text


def test_the_people_s_table(record: Make) -> None:
    chosen = suite("vovnet/table7")
    first, second, *_ = chosen.members
    records = [
        record(latency_ms=50.0, spec=first.spec),
        record(latency_ms=80.0, spec=second.spec, flags=("ci_not_met",)),
    ]
    compared, quoted = tables(reproduced(chosen, records))
    assert compared.plain() == COMPARED
    assert quoted.plain() == QUOTED


COMPARED = """\
vovnet/table7: backbones under RefineDet512, COCO

                   fps
--------------  ------
ResNet-50
  paper           15.6
  ours           20.00
  ours / paper   1.282

ResNet-101
  paper           12.3
  ours          12.50*
  ours / paper   1.016

VoVNet-39
  paper           16.6
  ours               -

VoVNet-57
  paper           14.9
  ours               -

rank agreement       -
  of rows            1

ours: measured on Example GPU, fp32, contiguous; the paper's on its own card, so
compare ranks, not times.
* ci_not_met: not ranked (--flagged ranks them)
Some rows have no measurements: archbench sweep vovnet/table7 measures them.
"""
QUOTED = """\
quoted from the paper, no figures of ours yet

                 AP,       AP,
            batch 20  batch 32
----------  --------  --------
ResNet-50       35.2
ResNet-101      36.4
VoVNet-39       37.5      38.5
VoVNet-57       38.1      39.2
"""


def test_every_table_fits_80_columns(record: Make) -> None:
    from archbench.papers.suites import suites

    for chosen in suites():
        if any(member.figures for member in chosen.members):
            for table in tables(reproduced(chosen, [record()])):
                assert max(map(len, table.plain().splitlines())) <= 80, chosen.name


def test_rows_have_every_column_and_a_reason_for_what_is_missing(record: Make) -> None:
    made = rows(reproduced(suite("vovnet/table4"), [record(gpu=False)]))
    assert all(list(row) == list(COLUMNS) for row in made)
    by_metric = {row["metric"]: row for row in made if row["label"] == "VoVNet-39"}
    assert by_metric["memory_mb"]["missing"] == "cpu_device"
    assert (by_metric["fps"]["ours"], by_metric["fps"]["ratio"]) == (50.0, 2.0)
    assert (by_metric["ap"]["column"], by_metric["ap"]["ours"], by_metric["ap"]["missing"]) == (
        None,
        None,
        None,
    )
    assert {row["missing"] for row in made if row["label"] == "ResNet-50" and row["column"]} == {
        "not_counted",
        "not_measured",
    }


def test_cpu_figures_are_of_a_cpu(record: Make) -> None:
    prose = suite("dsod/prose")
    label = "DSOD300 dense prediction"
    gpu, cpu = (
        of_suite(record, prose, {label: time}, gpu=on_gpu)
        for time, on_gpu in ((20.0, True), (600.0, False))
    )
    more = of_suite(record, prose, {"DSOD300 plain prediction": 10.0})
    line = next(
        line for line in reproduced(prose, [*gpu, *cpu, *more]).lines if line.label == label
    )
    assert (line.cells["gpu_ms"].ours, line.cells["cpu_ms"].ours) == (20.0, 600.0)


def test_two_settings_are_two_places(record: Make) -> None:
    made = reproduced(
        suite("vovnet/table4"),
        [record(), record(settings=Settings(precision="fp16"), day=2, latency_ms=10.0)],
    )
    assert made.setups == ["Example GPU, fp16, contiguous"]
    assert made.others == {"Example GPU, fp32, contiguous": 1}


def test_a_figure_of_several_processes_says_how_many(record: Make) -> None:
    memory = {"mem_device_delta_bytes": Metric(2.2e9, "bytes")}
    (row,) = [
        row
        for row in rows(
            reproduced(suite("vovnet/table4"), [record(measured=memory), record(measured=memory)])
        )
        if row["label"] == "VoVNet-39" and row["metric"] == "memory_mb"
    ]
    assert (row["ours"], row["processes"]) == (pytest.approx(2200), 2)


def on_a_card(record: Make, spec: Spec, *, busy_ms: float, graph_ms: float | None) -> Record:
    """A network of 20 ms, as it was seen to work on its card."""
    flags = (Flag.LAUNCH_BOUND,) if busy_ms < 16 else ()
    made = record(spec=spec, flags=flags)
    seen = {"gpu_busy_ms": Metric(busy_ms, "ms")}
    seen |= {} if graph_ms is None else {"graph_latency_ms": Metric(graph_ms, "ms")}
    return replace(made, measured=made.measured | seen)


def noted(drawn: list[Table]) -> list[str]:
    return [note for table in drawn for note in table.notes]


def test_tables_say_whether_a_time_is_of_the_card_or_of_launching(record: Make) -> None:
    table4 = suite("vovnet/table4")
    specs = {member.label.split(" (")[0]: member.spec for member in table4.members}
    records = [
        on_a_card(record, specs["VoVNet-39"], busy_ms=18.0, graph_ms=17.0),
        on_a_card(record, specs["DenseNet-201"], busy_ms=9.0, graph_ms=10.5),
        on_a_card(record, specs["ResNet-101"], busy_ms=8.0, graph_ms=None),
    ]
    notes = noted(tables(reproduced(table4, records)))
    launched = next(note for note in notes if note.startswith("Launch-bound, so times are not"))
    assert "DenseNet-201" in launched
    assert "(busy 9.00 ms, as a CUDA graph 10.50 ms)" in launched
    assert "(busy 8.00 ms)" in launched
    own = next(note for note in notes if note.startswith("Not launch-bound"))
    assert ("VoVNet-39" in own, "DenseNet" in own) == (True, False)
    compared = noted(compare.tables(records))
    assert any(note.startswith("Launch-bound") for note in compared)
    assert not any("aunch-bound" in note for note in noted(tables(reproduced(table4, []))))
