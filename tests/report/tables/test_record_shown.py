"""What a record's page says of how it was measured and how it ended, as far as the record tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.report.data.configurations import configurations
from archbench.report.tables.compare import ending, endings
from archbench.report.tables.profile import Paper, layers_table, measured_table, repeats_note
from archbench.report.tables.sweep import outcomes, summary_table

Make = Callable[..., Record]


@pytest.mark.parametrize(
    ("spread", "conditions", "said"),
    [
        (
            {"n": 9, "elapsed_s": 2.0, "stop_reason": "converged"},
            {"inputs": "random", "caches": "warm"},
            "9 samples in 2.0 s, stopped: converged; inputs: random; caches: warm",
        ),
        ({"n": 9, "ci95": [12, 13]}, {"inputs": "random"}, "9 samples; inputs: random"),
        ({"stop_reason": "budget"}, {}, "stopped: budget"),
    ],
)
def test_samples_are_told_as_far_as_they_are_known(
    record: Make, spread: dict[str, Any], conditions: Any, said: str
) -> None:
    made = record(measured={"latency_ms": Metric(12.5, "ms", spread=spread)}, conditions=conditions)
    assert measured_table(made, Paper({}, "")).notes == [said]


@pytest.mark.parametrize(
    ("energy", "said"),
    [({"window_s": 5.0}, "energy of 5.0 s of load: counter"), ({}, "energy: counter")],
)
def test_energy_without_its_window_is_told_too(record: Make, energy: Any, said: str) -> None:
    measured = {"energy_per_image_j": Metric(1.0, "J", "counter")}
    made = record(measured=measured, conditions={"energy": energy})
    assert measured_table(made, Paper({}, "")).notes == [said]


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause(Reason.GPU_LOST, "", "driver fell off"), "error (gpu_lost): driver fell off"),
        (Cause(Reason.OUT_OF_MEMORY, "latency"), "error (out_of_memory) in phase latency"),
        (Cause(Reason.OUT_OF_MEMORY, "latency", "x"), "error (out_of_memory) in phase latency: x"),
    ],
)
def test_an_ending_says_no_more_than_is_known(record: Make, cause: Cause, said: str) -> None:
    made = replace(record(), status=Status.ERROR, reason=cause)
    assert ending(made) == said
    assert endings([made], {made.spec: "it"}) == [f"it: {said}"]


@pytest.mark.parametrize(("slowest", "is_far"), [(102.9, False), (103.05, True)])
def test_repeats_lie_apart_by_one_rule(record: Make, slowest: float, is_far: bool) -> None:
    times = [100.0, slowest]
    records = [record(latency_ms=time, day=day) for day, time in enumerate(times, 1)]
    (one,) = configurations(records)
    (outcome,) = outcomes(records)
    assert ("not_repeatable" in repeats_note(times)) is is_far
    assert outcome.is_repeatable is not is_far
    assert (Flag.NOT_REPEATABLE in one.flags) is is_far


def test_final_detections_are_summed_up_by_their_total(record: Make) -> None:
    """A past bug: their sweeps had no time, and were called repeatable."""
    lacking = Metric.lacking(["latency_ms"], Reason.POST_IN_FORWARD)
    records = [
        record(measured={**lacking, "total_ms": Metric(ms, "ms")}, day=day)
        for day, ms in enumerate((100.0, 150.0, 240.0), 1)
    ]
    (outcome,) = outcomes(records)
    assert outcome.times_ms == [100.0, 150.0, 240.0]
    assert not outcome.is_repeatable
    text = summary_table([outcome], [], title="").plain()
    assert "total time, as the forward pass includes postprocessing: vovnet39" in text
    assert "100.00" in text


def test_a_network_without_layers_has_a_table_without_rows() -> None:
    """A past bug: a traceback."""
    assert "0 calls, per image" in layers_table([]).plain()
