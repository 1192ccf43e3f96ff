"""Records as rows, as CSV, as a data frame and as the tables for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from archbench.records import Metric, Record
from archbench.report.data.configurations import configurations
from archbench.report.data.rows import COLUMNS, frame, rows, rows_with_published, write_csv
from archbench.report.tables.compare import Layout, tables
from archbench.settings import Settings

Make = Callable[..., Record]


def as_csv(records: list[Record]) -> str:
    file = io.StringIO()
    write_csv(rows(records), list(COLUMNS), file)
    return file.getvalue()


def test_a_row_holds_what_was_asked_counted_measured_and_published(record: Make) -> None:
    (row,) = rows([record(energy_j=2.5, flags=("ci_not_met",))])
    expected = {
        "status": "ok",
        "reason": None,
        "backbone": "vovnet39",
        "detector": "refinedet",
        "input": "320x320",
        "classes": 80,
        "options": None,
        "batch": 1,
        "mode": "infer",
        "device": "Example GPU",
        "threads": 4,
        "precision": "fp32",
        "memory_format": "contiguous",
        "params": 56283844,
        "mac_bound": 51234567.5,
        "boxes": 6375,
        "latency_ms": 20.0,
        "latency_ms_ci95_lo": 19.0,
        "latency_ms_ci95_hi": 22.0,
        "fps": 50.0,
        "gmacs_per_s": 1631.31008,
        "postprocess_ms": None,
        "energy_per_image_j": 2.5,
        "mem_device_delta_bytes": 2_000_000_000,
        "flags": "ci_not_met",
        "published_source": "vovnet/table4",
        "published_label": "VoVNet-39",
        "published_dataset": "coco-test-dev",
        "published_params": 56_280_000,
        "published_macs": 32_600_000_000,
        "published_fps": 25.0,
        "published_latency_ms": None,
        "published_energy_eq2_per_image_j": 4.8,
        "published_gmacs_per_s": 815.0,
        "published_ap": 33.5,
        "published_map50": None,
        "published_mem_device_delta_bytes": 2_199_000_000,
    }
    assert {name: row[name] for name in expected} == expected


def test_a_record_without_the_paper_s_own_parameters_has_them_by_their_kinds(record: Make) -> None:
    """As records of a version have that did not know the paper's rule."""
    kinds = {"conv_weights": 3_135_726, "norm_buffers": 11_220}
    old = record(
        "peleenet",
        "prn416",
        counted={"params": 3_147_530, "paper_params": None, "param_kinds": kinds},
    )
    figure = configurations([old])[0].estimate("paper_params")
    assert figure
    assert rows([old])[0]["paper_params"] == figure.value == 3_158_750
    known = record(
        "peleenet", "prn416", counted={"params": 1, "paper_params": 7, "param_kinds": kinds}
    )
    assert rows([known])[0]["paper_params"] == 7


def test_the_columns_do_not_depend_on_the_records(record: Make, failed: Record) -> None:
    empty = replace(record(), counted=None, measured={}, environment={}, settings=None)
    for row in rows([record(), failed, empty, record("osa-5x43", None)]):
        assert list(row) == list(COLUMNS)
    assert as_csv([]).splitlines() == [",".join(COLUMNS)]


def test_columns_are_the_project_s_words() -> None:
    assert all(name == name.lower() and " " not in name for name in COLUMNS)
    assert {
        "mac_eq1",
        "macs",
        "paper_flops",
        "cio_pool",
        "energy_eq2_per_image_j",
        "published_energy_eq2_per_image_j",
    } <= COLUMNS.keys()
    assert {
        "published_cpu_fps",
        "published_cpu_latency_ms",
        "published_cio_pool",
        "published_flops",
    } <= COLUMNS.keys()


def test_what_is_missing_is_empty_and_never_0(record: Make) -> None:
    made = record(latency_ms=None)
    (row,) = rows([made])
    assert row["latency_ms"] is row["energy_per_image_j"] is row["flags"] is None
    (cells,) = csv.DictReader(io.StringIO(as_csv([made])))
    assert {
        cells[name] for name in ("latency_ms", "fps", "flags", "options", "published_map50")
    } == {""}


def test_csv_keeps_whole_numbers_whole(record: Make) -> None:
    (cells,) = csv.DictReader(io.StringIO(as_csv([record()])))
    assert cells["params"] == "56283844"
    assert cells["published_params"] == "56280000"
    assert cells["mem_device_delta_bytes"] == "2000000000"
    assert cells["latency_ms"] == "20.0"


def test_pandas_reads_numbers_as_numbers(record: Make) -> None:
    table = pd.read_csv(io.StringIO(as_csv([record(), record("resnet50-v1")])))
    assert (
        table.dtypes[["params", "boxes", "batch", "published_macs"]].map(str).tolist()
        == ["int64"] * 4
    )
    assert (
        table.dtypes[["latency_ms", "fps", "mac_bound", "published_ap"]].map(str).tolist()
        == ["float64"] * 4
    )


@pytest.mark.parametrize("count", [0, 2])
def test_the_frame_has_the_same_types_whatever_the_records(record: Make, count: int) -> None:
    table = frame([record(), record("resnet50-v1", latency_ms=None)][:count])
    assert len(table) == count
    names = {"string": str, "Int64": int, "float64": float}
    assert {name: names[str(dtype)] for name, dtype in table.dtypes.items()} == COLUMNS


def test_the_frame_holds_the_rows(record: Make) -> None:
    table = frame([record(), record(latency_ms=None)])
    assert table["latency_ms"].tolist()[0] == 20.0
    assert table["latency_ms"].isna().tolist() == [False, True]
    assert table["published_params"].tolist() == [56_280_000, 56_280_000]


def test_a_failed_job_is_a_row_with_its_reason(failed: Record) -> None:
    (row,) = rows([failed])
    assert (row["status"], row["reason"], row["fps"]) == ("oom", "out_of_memory", None)
    assert row["message"].startswith("CUDA out of memory")


def test_json_lists_every_published_figure_and_every_reason(record: Make) -> None:
    (row,) = json.loads(json.dumps(rows_with_published([record(gpu=False)]), allow_nan=False))
    assert row["missing"] == {
        "energy_per_image_j": "cpu_device",
        "mem_device_delta_bytes": "cpu_device",
    }
    assert {figure["source"] for figure in row["published"]} == {"vovnet/table4", "vovnet/table6"}
    assert row["published"][0] == {
        "source": "vovnet/table4",
        "label": "VoVNet-39",
        "dataset": "coco-test-dev",
        "metric": "gmacs",
        "value": 32.6,
        "column": "macs",
        "value_in_our_units": 32_600_000_000,
    }


def test_speed_is_not_quoted_beside_another_batch(record: Make) -> None:
    (row,) = rows([record(batch=8)])
    assert row["published_fps"] is row["published_mem_device_delta_bytes"] is None
    assert row["published_params"] == 56_280_000


def test_the_people_s_table(record: Make, failed: Record) -> None:
    made = [
        record(),
        record("resnet101-v1", latency_ms=1234.5, day=2, flags=("ci_not_met",)),
        failed,
    ]
    (table,) = tables(made)
    assert table.plain() == EXPECTED


EXPECTED = """\
Example GPU, fp32, contiguous

                                                    MAC
network: our figures         params  multiply-  (Eq. 1)  forward
  paper/table: its own          (M)   adds (G)      (M)     (ms)    fps    AP
---------------------------  ------  ---------  -------  -------  -----  ----
vovnet39 + refinedet320       56.28     32.626   122.08     20.0     50  33.5
  vovnet/table4               56.28                                  25
resnet101-v1 + refinedet320   56.28     32.626   122.08   1,234*  0.81*  32.0
  vovnet/table4               82.45                                17.5
vgg16 + refinedet320          56.28     32.626   122.08        -      -  29.4
  oom
  vovnet/table6                                                    38.7

*: flagged as flawed, so its rank is uncertain.
AP: as published, on coco-test-dev only (choose with --dataset).
No room for FLOPs as the paper counts: --columns and --markdown show them.
vgg16 + refinedet320: oom (out_of_memory) in phase latency: CUDA out of memory,
tried to allocate 3 GiB
ci_not_met: resnet101-v1 + refinedet320
A line that names a paper's table quotes the paper's figures, from its own
device. fps: images/s.
VoVNet's Table 4 adds to the multiply-adds one operation for each element of a
batch norm's output; ours beside it does too.
"""


def test_devices_and_settings_are_not_mixed(record: Make) -> None:
    half = record(settings=Settings(precision="fp16"))
    counted = record(settings=None, environment={}, latency_ms=None)
    made = tables([record(), record(gpu=False, latency_ms=300.0), half, counted])
    assert [table.title for table in made] == [
        "Example GPU, fp32, contiguous",
        "Example CPU, 2 threads, fp32, contiguous",
        "Example GPU, fp16, contiguous",
        "counted, not measured",
    ]
    assert "do not compare times" in made[-1].notes[-1]
    assert not any("do not compare times" in note for table in made[:-1] for note in table.notes)


def test_tables_fit_80_columns(record: Make) -> None:
    made = [
        record("resnet101-v1", latency_ms=12345.678, gpu=False),
        record("resnext101-64x4d", "refinedet", size=(1024, 512), batch=16),
        record("wrn-50-2-bottleneck", None),
        record("densenet-bc-k40-cifar", None, settings=None),
    ]
    for table in tables(made):
        assert max(map(len, table.plain().splitlines())) <= 80


def test_no_heading_says_mac_alone(record: Make) -> None:
    (table,) = tables([record()])
    headings = [column.heading.replace("-\n", "-").replace("\n", " ") for column in table.columns]
    assert headings[1:] == [
        "params (M)",
        "multiply-adds (G)",
        "FLOPs, paper's way (G)",
        "MAC (Eq. 1) (M)",
        "forward (ms)",
        "fps",
        "AP",
    ]


def test_networks_that_differ_are_told_apart(record: Make) -> None:
    (table,) = tables([record(), record(classes=20), record("osa-5x43", None), record(batch=4)])
    names = " ".join(row[0] for row in table.rows)
    for text in ("80 classes", "20 classes", "osa-5x43, 32x32", "batch 4"):
        assert text in names


def test_markdown_leaves_names_whole(record: Make) -> None:
    (table,) = tables([record("resnet101-v1")], Layout(width=None))
    assert (
        "| resnet101-v1 + refinedet320 | 56.28 | 32.626 | 32.655 | 122.08 | 20.0 | 50 | 32.0 |"
        in table.markdown()
    )
    assert "| multiply-adds (G) |" in table.markdown()


def test_no_records_make_no_table() -> None:
    assert tables([]) == []


def test_a_figure_without_a_spread_has_no_interval(record: Make) -> None:
    made = record()
    few = replace(
        made,
        measured=made.measured | {"latency_ms": Metric(20.0, "ms", spread={"n": 3, "ci95": None})},
    )
    (row,) = rows([few])
    assert (row["latency_ms"], row["latency_ms_ci95_lo"]) == (20.0, None)


def test_percentiles_of_single_calls_are_columns(record: Make) -> None:
    made = record()
    tails = {"p90": 21.0, "p95": 23.0, "p99": None}

    def shown(**spread: Any) -> list[float | None]:
        metric = Metric(20.0, "ms", spread={"n": 60, "ci95": None, **spread})
        (row,) = rows([replace(made, measured=made.measured | {"latency_ms": metric})])
        return [row[f"latency_ms_p{percent}"] for percent in (90, 95, 99)]

    assert shown(**tails, calls_per_sample=1) == [21.0, 23.0, None]
    assert shown(**tails, calls_per_sample=4) == [None, None, None]
    assert shown() == [None, None, None]
