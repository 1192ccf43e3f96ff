"""The list of the stable columns."""

from __future__ import annotations

import json

import pytest

from archbench.cli.main import run
from archbench.report.data.columns import described, unit_of
from archbench.report.data.rows import COLUMNS


def test_every_column_is_described_once() -> None:
    assert [column.name for column in described()] == list(COLUMNS)
    assert all(column.what for column in described())


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("latency_ms", "ms"),
        ("latency_ms_ci95_lo", "ms"),
        ("mem_host_peak_bytes", "bytes"),
        ("bytes_all", "bytes"),
        ("power_idle_w", "W"),
        ("energy_per_image_j", "J"),
        ("throughput_img_s", "images/s"),
        ("published_cpu_fps", "images/s"),
        ("macs", "multiply-adds"),
        ("published_flops", "operations"),
        ("published_mask_ap50", "%"),
        ("params", ""),
        ("roofline_attainable", ""),
        ("backbone", ""),
    ],
)
def test_a_column_has_its_stored_unit(column: str, unit: str) -> None:
    assert unit_of(column) == unit


def test_the_page_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "columns"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if line.startswith("latency_ms ")] == [
        ["latency_ms", "ms", "forward"]
    ]


def test_as_json_it_has_types_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "columns", "--json"]) == 0
    found = {column["name"]: column for column in json.loads(capsys.readouterr().out)}
    assert found["cio"] == {
        "name": "cio",
        "unit": "elements",
        "type": "whole number",
        "what": "CIO",
        "group": "counted",
    }
