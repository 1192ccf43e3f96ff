"""The figures as declared: each row whole, what follows from others, and what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from archbench.counting.report import CostReport
from archbench.quantities import (
    COUNTED,
    DERIVED,
    MEASURED,
    QUANTITIES,
    ROWS,
    completed,
    explaining,
    is_of_one_card,
    profiled,
    time_of,
)
from archbench.quantity import Quantity
from archbench.records import Metric, Record
from archbench.records.reading import read_record
from archbench.zoo import catalogue

RESULTS = Path(__file__).parent.parent / "results"
MACS, MS = 3_000_000_007, 12.345678


def record(
    *,
    mode: Literal["infer", "train"] = "infer",
    counted: dict[str, Any] | None = None,
    **measured: Metric,
) -> Record:
    spec = catalogue.resolve("vovnet39", batch=8, mode=mode).spec
    return Record(spec, None, "ok", counted=counted or {"macs": MACS}, measured=measured)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_whole(row: Quantity) -> None:
    assert row.heading
    assert row.meaning.endswith(".")
    assert bool(row.unit) == row.is_number
    assert not row.is_profiled or row.scale.digits is not None
    assert (
        row.group != "counted"
        or row.rule
        or hasattr(CostReport, row.name)
        or row.name in (CostReport.__dataclass_fields__)
    )


def test_names_and_standing_headings_are_unique() -> None:
    assert len(QUANTITIES) == len(ROWS)
    assert len({row.title for row in ROWS}) == len(ROWS)


def test_a_rule_follows_what_it_reads() -> None:
    names = [row.name for row in ROWS]
    for row, rule in DERIVED:
        others = [source for source in rule.sources if source != "batch"]
        assert set(others) <= QUANTITIES.keys()
        assert all(
            not QUANTITIES[source].rule or names.index(source) < names.index(row.name)
            for source in others
        )


def test_a_time_is_a_measured_one() -> None:
    times = {row.time for row in ROWS if row.time}
    assert times == {"latency_ms", "total_ms"}
    assert time_of("fps_total") == "total_ms"
    assert (time_of("params"), time_of("of no row")) == ("", "")


def test_energy_and_power_are_of_one_card() -> None:
    assert is_of_one_card("energy_per_image_j")
    assert is_of_one_card("power_idle_w")
    assert not any(map(is_of_one_card, ["latency_ms", "mem_device_delta_bytes", "of no row"]))


def test_lists_are_in_the_order_that_is_read() -> None:
    assert explaining() == ("macs_all", "params", "mac_eq1", "cio", "activation_peak_bytes")
    measured = list(profiled("measured"))
    assert measured.index("power_mean_w") < measured.index("energy_per_image_j")
    assert list(MEASURED).index("power_mean_w") > list(MEASURED).index("energy_per_image_j")
    assert list(profiled("counted")) == [name for name, row in COUNTED.items() if row.is_profiled]


def test_what_a_record_lacks_follows_from_what_it_has() -> None:
    found = record(latency_ms=Metric(MS, "ms", "host clock", "model", flags=("throttled",)))
    fps = found.metrics["fps"]
    assert (fps.value, fps.unit, fps.source) == (8e3 / MS, "images/s", "batch / latency_ms")
    assert (fps.protocol, fps.flags) == ("model", ("throttled",))
    assert found.value("gmacs_per_s") == MACS * (8e3 / MS) / 1e9
    assert found.value("flops") == 2 * MACS
    assert "fps_total" not in found.metrics
    assert found.value("paper_flops") is None
    assert found.measured.keys() == {"latency_ms"}, "what is stored stays as it is"


def test_a_stored_figure_wins_over_its_rule() -> None:
    stored = record(
        counted={"macs": MACS, "flops": 5},
        latency_ms=Metric(MS, "ms"),
        fps=Metric(7.0, "images/s"),
        gmacs_per_s=Metric(None, "1e9/s", reason="training"),
    )
    assert (stored.value("flops"), stored.value("fps")) == (5, 7.0)
    assert stored.metrics["gmacs_per_s"].reason == "training"


def test_what_follows_from_a_missing_figure_is_missing_for_its_reason() -> None:
    found = record(total_ms=Metric(None, "ms", reason="no_postprocess"))
    assert found.metrics["fps_total"] == Metric(None, "images/s", reason="no_postprocess")


def test_rates_of_operations_are_of_inference() -> None:
    found = record(mode="train", latency_ms=Metric(MS, "ms", protocol="train"))
    assert found.metrics["fps"].protocol == "train"
    assert "gmacs_per_s" not in found.metrics


def test_a_rule_without_a_result_gives_no_figure() -> None:
    assert "fps" not in record(latency_ms=Metric(0.0, "ms")).metrics


def test_what_is_complete_is_not_copied() -> None:
    counted = {"macs": 1, "flops": 2, "bn_elements": 3, "paper_flops": 4}
    assert completed(counted) is counted


def test_figures_of_a_declared_word_have_its_unit() -> None:
    assert Metric.of("power_idle_w", 3.0).unit == "W"
    assert Metric.lacking(["copy_ms"], "cpu_device") == {
        "copy_ms": Metric(None, "ms", reason="cpu_device")
    }
    with pytest.raises(KeyError):
        Metric.of("of no row", 3.0)


def stored() -> list[dict[str, Any]]:
    lines = [line for path in sorted(RESULTS.glob("*/*.jsonl")) for line in path.open()]
    return [json.loads(line) for line in lines]


def test_all_that_is_stored_is_declared() -> None:
    records = stored()
    assert records
    assert {name for one in records for name in one["counted"] or {}} <= QUANTITIES.keys()
    units = {(name, metric["unit"]) for one in records for name, metric in one["measured"].items()}
    assert units <= {(row.name, row.unit) for row in ROWS}


def test_rules_give_what_was_stored_to_the_last_digit() -> None:
    rules = {row.name for row, _ in DERIVED}
    compared = 0
    for data in stored():
        whole = read_record(data, pytest.fail)
        measured = {name: metric for name, metric in whole.measured.items() if name not in rules}
        counted = {
            name: value for name, value in (whole.counted or {}).items() if name not in rules
        }
        bare = replace(whole, measured=measured, counted=counted)
        for name in rules:
            if name in whole.measured or name in (whole.counted or {}):
                assert bare.value(name) == whole.value(name), (name, whole.record_id)
                compared += 1
    assert compared > 1000


def test_all_multiply_adds_of_an_old_record_are_its_macs_where_nothing_was_left_out() -> None:
    def counted(**others: Any) -> Any:
        return record(counted={"macs": MACS, **others}).value("macs_all")

    assert counted(uncounted=[]) == MACS
    assert counted(uncounted=[["aten::bmm", 2]]) is None
    assert counted() is None
    assert counted(uncounted=[], macs_all=MACS + 1) == MACS + 1


def test_a_small_figure_is_not_shown_as_nothing() -> None:
    row = QUANTITIES["activation_peak_bytes"]
    assert row.show(12_288) == "0.012"
    assert (row.show(0), row.show(39_321_600)) == ("0.0", "39.3")
    assert QUANTITIES["macs"].show(2_500) == "0.0000025"
