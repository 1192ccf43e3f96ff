"""Whole jobs whose power is the stub's."""

from __future__ import annotations

import numpy as np
import pytest
from energy_scenarios import (
    TOLERANCE,
    check_the_rest,
    whole_job,
)


@pytest.mark.slow
@pytest.mark.parametrize("trace", ["ramp", "one second sensor"])
def test_a_whole_job_gives_the_closed_form(nvml_stub, tmp_path, trace):
    variables = {
        "ramp": {"STUB_TRACE": "0:60,120:300", "STUB_INSTANT": "20,20"},
        "one second sensor": {
            "STUB_TRACE": "0:60,0:300",
            "STUB_USAGE": "100,1000",
            "STUB_COUNTER": "20,1,none",
        },
    }[trace]
    t0_file = tmp_path / "t0"
    record, _ = whole_job(
        nvml_stub(**variables, STUB_T0_FILE=str(t0_file)), tmp_path / "results", str(t0_file)
    )
    start = record.conditions["energy"]["window_start_s"] - float(t0_file.read_text())
    end = start + record.conditions["energy"]["window_s"]
    exact = 60 + (start + end) if trace == "ramp" else 300
    assert record.value("energy_per_image_j") * record.value(
        "energy_throughput_img_s"
    ) == pytest.approx(exact, rel=TOLERANCE)


@pytest.mark.slow
def test_a_whole_job_whose_card_is_lost_is_an_error_with_the_samples_before(nvml_stub, tmp_path):
    t0_file = tmp_path / "t0"
    record, _ = whole_job(
        nvml_stub(STUB_FAIL="nvmlDeviceGetPowerUsage=15@800"), tmp_path / "results", str(t0_file)
    )
    assert (record.status, record.reason.code, record.reason.phase, record.attempt) == (
        "error",
        "gpu_lost",
        "energy",
        2,
    )
    check_the_rest(record)
    assert record.measured["energy_per_image_j"].reason == "gpu_lost"
    with np.load(tmp_path / "results" / record.samples) as samples:
        kept = [len(samples[name]) for name in samples if name.endswith("power_usage_w")]
    assert sum(kept) == 799


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"STUB_FAIL": "nvmlInitWithFlags=18"}, "driver_library_mismatch"),
        ({"STUB_FAIL": "nvmlInitWithFlags=4"}, "no_permission"),
        ({"STUB_USAGE": "none"}, "not_supported"),
        ({"STUB_MIG": "1"}, "mig"),
        ({"STUB_FAIL": "nvmlInitWithFlags=12"}, "nvml_library_missing"),
        ({"STUB_FAIL": "nvmlInitWithFlags=999"}, "nvml_transient"),
        ({"STUB_PROCESSES": "1,0"}, "contended"),
    ],
)
def test_no_failure_of_energy_touches_time_and_memory(nvml_stub, tmp_path, variables, why):
    record, _ = whole_job(nvml_stub(**variables), tmp_path)
    assert (record.status, record.measured["energy_per_image_j"].reason) == ("ok", why)
    check_the_rest(record)
