"""Networks across engines: what is best, what is a tie, what is not compared. Times are made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.report.data.across import across, settings_named
from archbench.report.data.configurations import configurations
from archbench.report.tables.across import COLUMNS, rows, tables
from archbench.settings import Settings
from archbench.spec import UsageError

Make = Callable[..., Record]


def timed(
    record: Make, engine: str, *times_ms: float, width: float = 0.01, **changes: Any
) -> list[Record]:
    """A record for each process in an engine, its interval `width` to each side."""
    network, flags = changes.pop("network", ("resnet50", None)), changes.pop("flags", ())
    made = []
    for time_ms in times_ms:
        interval = (time_ms * (1 - width), time_ms * (1 + width))
        spread = {"n": 50, "median": time_ms, "ci95": interval}
        metric = Metric(time_ms, "ms", "host clock", "model", flags=flags, spread=spread)
        settings = changes.get("settings", Settings(engine=engine))
        rest = {**changes, "settings": settings, "measured": {"latency_ms": metric}}
        made.append(record(*network, gpu=False, **rest))
    return made


def int8(engine: str) -> Settings:
    return Settings(engine=engine, precision="int8")


def standings(*records: list[Record]) -> dict[str, str]:
    (table,) = across(configurations([each for some in records for each in some]), ["engine"])
    (row,) = table.rows
    return dict(row.standings)


def test_the_least_time_is_the_best(record: Make) -> None:
    eager, other = timed(record, "eager", 20.0), timed(record, "openvino", 10.0)
    assert standings(eager, other) == {"openvino": "best"}


def test_within_5_percent_one_process_each_is_a_tie_however_narrow_the_intervals(
    record: Make,
) -> None:
    eager = timed(record, "eager", 10.4, width=0.001)
    other = timed(record, "openvino", 10.0, width=0.001)
    assert standings(eager, other) == {"eager": "tie", "openvino": "tie"}


def test_within_5_percent_the_ranges_of_several_processes_part(record: Make) -> None:
    eager = timed(record, "eager", 10.39, 10.4, 10.41)
    other = timed(record, "openvino", 9.99, 10.0, 10.01)
    assert standings(eager, other) == {"openvino": "best"}
    wide = timed(record, "openvino", 9.8, 10.0, 10.4)
    assert standings(eager, wide) == {"eager": "tie", "openvino": "tie"}


def test_beyond_5_percent_overlapping_intervals_are_a_tie(record: Make) -> None:
    eager = timed(record, "eager", 11.0, width=0.1)
    other = timed(record, "openvino", 10.0, width=0.1)
    assert standings(eager, other) == {"eager": "tie", "openvino": "tie"}


def test_three_that_tie_are_told_and_a_fourth_is_not(record: Make) -> None:
    found = standings(
        timed(record, "eager", 20.0),
        timed(record, "compile", 10.3),
        timed(record, "onnxruntime", 10.0),
        timed(record, "openvino", 10.2),
    )
    assert found == dict.fromkeys(["compile", "onnxruntime", "openvino"], "tie")


def test_an_engine_that_computes_something_else_is_never_the_best(record: Make) -> None:
    eager, sound = timed(record, "eager", 20.0), timed(record, "onnxruntime", 15.0)
    other = timed(record, "openvino", 1.0, flags=(Flag.ENGINE_DIFFERS,))
    assert standings(eager, sound, other) == {"onnxruntime": "best"}
    assert standings(eager, other) == {}


def test_precisions_and_devices_stand_in_tables_of_their_own(record: Make) -> None:
    records = [
        *timed(record, "eager", 20.0),
        *timed(record, "openvino", 10.0),
        *timed(record, "openvino", 5.0, settings=int8("openvino")),
        *timed(record, "onnxruntime", 6.0, settings=int8("onnxruntime")),
        *timed(record, "openvino", 1.0, environment={"device": "cpu", "device_name": "Other"}),
    ]
    found = across(configurations(records), ["engine"])
    assert [list(table.columns) for table in found] == [
        ["eager", "openvino"],
        ["onnxruntime", "openvino"],
    ]
    (together,) = across(configurations(records), ["engine", "precision"])
    assert list(together.columns) == [
        "eager fp32",
        "onnxruntime int8",
        "openvino fp32",
        "openvino int8",
    ]
    assert together.rows[0].standings == {"openvino int8": "best"}


def test_versions_of_an_engine_are_columns_of_their_own(record: Make) -> None:
    environment = {"device": "cpu", "device_name": "Example CPU", "threads": 2}
    records = timed(record, "eager", 20.0, environment=environment)
    for version, time_ms in (("2025.4.1", 12.0), ("2026.1.0", 10.0), ("2026.1.7", 10.0)):
        versions = {"engine_versions": {"openvino": version}}
        records += timed(record, "openvino", time_ms, environment={**environment, **versions})
    (table,) = across(configurations(records), ["engine"])
    assert list(table.columns) == ["eager", "openvino 2025.4", "openvino 2026.1"]


def test_what_an_engine_cannot_hold_stands_in_its_column(record: Make) -> None:
    failed = record(
        "resnet50",
        None,
        latency_ms=None,
        status=Status.ERROR,
        reason=Cause(Reason.UNSUPPORTED, "prepare", "no Foo"),
        settings=Settings(engine="openvino"),
        environment={},
    )
    records = [*timed(record, "eager", 20.0), *timed(record, "onnxruntime", 10.0), failed]
    (table,) = across(configurations(records), ["engine"])
    assert list(table.columns) == ["eager", "onnxruntime", "openvino"]
    (drawn,) = tables([table])
    assert drawn.rows == [["resnet50, 224x224", "20.00", "best 10.00", "unsupported"]]


def test_means_of_ratios_are_of_networks_that_both_have(record: Make) -> None:
    other = ("resnet18", None)
    records = [
        *timed(record, "eager", 20.0),
        *timed(record, "eager", 8.0, network=other),
        *timed(record, "onnxruntime", 10.0),
        *timed(record, "onnxruntime", 1.0, network=other),
        *timed(record, "openvino", 5.0),
    ]
    (table,) = across(configurations(records), ["engine"])
    assert table.mean_ratio("onnxruntime") == (pytest.approx(0.25), 2)
    assert table.mean_ratio("openvino") == (0.25, 1)
    (drawn,) = tables([table])
    assert "onnxruntime 0.25 (of 2), openvino 0.25 (of 1)" in drawn.notes[0]
    plain = rows([table])
    assert [row["ratio"] for row in plain if row["across"] == "openvino"] == [0.25]
    assert all(tuple(row) == COLUMNS for row in plain)


def test_many_figures_with_one_flaw_are_counted_and_a_few_are_named(record: Make) -> None:
    names = ("resnet18", "resnet50", "resnet101", "vovnet39", "vgg16")

    def note(flawed: int) -> str:
        records = [
            made
            for number, name in enumerate(names)
            for engine in ("eager", "openvino")
            for flags in [(Flag.CI_NOT_MET,) if number < flawed else ()]
            for made in timed(record, engine, 10.0, network=(name, None), flags=flags)
        ]
        (drawn,) = tables(across(configurations(records), ["engine"]), width=None)
        (found,) = (note for note in drawn.notes if note.startswith("*"))
        return found

    name = "resnet18, 224x224"
    assert note(1) == f"* ci_not_met: {name} in eager; {name} in openvino"
    assert note(4) == "* ci_not_met: 8 of 10"
    assert note(5) == "* ci_not_met: all"


def test_a_switch_that_is_off_is_a_column_with_a_name_and_comes_first(record: Make) -> None:
    on = Settings(fold_bn=True)
    records = [*timed(record, "eager", 10.0, settings=on), *timed(record, "eager", 20.0)]
    (table,) = across(configurations(records), ["fold_bn"])
    assert list(table.columns) == ["no batch norms folded", "batch norms folded"]
    (drawn,) = tables([table])
    assert drawn.notes[0].startswith("Relative to no batch norms folded, ")
    (both,) = across(configurations(records), ["engine", "fold_bn"])
    assert list(both.columns) == ["eager", "eager batch norms folded"]


def test_precisions_stand_in_their_order_full_precision_first(record: Make) -> None:
    records = [
        made
        for precision in ("int8", "bf16", "fp32", "fp16")
        for engine in ("openvino", "eager")
        for made in timed(
            record, engine, 10.0, settings=Settings(engine=engine, precision=precision)
        )
    ]
    (table, _) = across(configurations(records), ["precision"])
    assert (table.reference, list(table.columns)) == ("fp32", ["fp32", "fp16", "bf16", "int8"])


def test_energy_of_another_card_is_not_compared_and_the_table_says_so(record: Make) -> None:
    records = [
        record(
            energy_j=joules,
            day=day,
            settings=Settings(engine=engine),
            environment={"device_name": "GPU", "uuid": uuid},
        )
        for engine, joules, day, uuid in (
            ("eager", 2.0, 1, "GPU-1"),
            ("compile", 1.0, 2, "GPU-2"),
            ("tensorrt", 1.5, 2, "GPU-2"),
        )
    ]
    (table,) = across(configurations(records), ["engine"], "energy_per_image_j")
    assert dict(table.rows[0].standings) == {"compile": "best"}
    (drawn,) = tables([table])
    assert drawn.rows[0][1:] == ["-", "best 1.000", "1.500"]
    assert "Of another card, not compared: vovnet39 + refinedet320 in eager." in drawn.notes


def test_networks_stand_in_the_order_of_their_best_figures(record: Make) -> None:
    """A past bug: of rates, in the order of their worst."""
    records = [
        *timed(record, "eager", 100.0, network=("vovnet39", None)),
        *timed(record, "onnxruntime", 10.0, network=("vovnet39", None)),
        *timed(record, "eager", 50.0, network=("resnet50", None)),
        *timed(record, "onnxruntime", 33.0, network=("resnet50", None)),
    ]
    for word in ("latency_ms", "fps"):
        (table,) = across(configurations(records), ["engine"], word)
        assert [row.spec.backbone for row in table.rows] == ["vovnet39", "resnet50"]


def test_one_engine_alone_is_no_table(record: Make) -> None:
    assert across(configurations(timed(record, "eager", 20.0)), ["engine"]) == []


def test_settings_are_those_that_define_what_is_measured() -> None:
    assert settings_named("engine, precision") == ["engine", "precision"]
    for wrong in ("engin", "threads", ""):
        with pytest.raises(UsageError, match="invalid --across"):
            settings_named(wrong)
