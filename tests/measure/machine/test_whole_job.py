"""A whole job on a card that is not there: every phase in its order, with what a card tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from make_believe import Card

from archbench.measure.job import phases
from archbench.measure.job.findings import Report
from archbench.measure.job.phases import Asked, run
from archbench.measure.machine import host
from archbench.measure.power.use import Process, Use
from archbench.settings import Settings
from archbench.zoo.catalogue import resolve

BRIEF = Settings(
    device="cuda",
    allow_shared=True,
    n_min=3,
    t_min_s=0.01,
    budget_s=0.2,
    target=0.9,
    roofline=False,
)
ALONE = Use((Process(1, 700 << 20),), (), 0, 1 << 30)
STATE = {
    "sm_clock_mhz": 1400.0,
    "temperature_c": 50.0,
    "memory_temperature_c": 62.0,
    "event_reasons": 0.0,
    "processes": 1.0,
}


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    """A card whose jobs are brief, on one thread of the host."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    card = Card(kernels=((0.0, 1.0),), use=ALONE, states=[STATE], peak=5 << 20)
    device = card.open(monkeypatch, BRIEF)
    device.warmup_s, device.warmup_calls, device.warmup_limit_s = 0.0, 2, 0.0
    monkeypatch.setattr(phases, "open_device", lambda _: device)
    monkeypatch.setattr(host, "sees_all_processes", lambda: False)
    yield card
    torch.set_num_threads(threads)


def test_a_job_on_a_card_goes_through_its_phases_and_says_what_the_card_told(
    card: Card, tmp_path: Path
) -> None:
    report = Report(tmp_path)
    spec = resolve("resnet18", "refinedet", size=64).spec
    run(Asked(spec, BRIEF, cool_to_c=60.0), report, lambda: False)
    found = report.result
    ran = ["preflight", "count", "build", "cold", "warmup", "latency", "throughput"]
    assert list(found.phases) == [*ran, "memory", "busy", "graph"]
    assert found.conditions["start_temperature_c"] == 50
    assert found.conditions["card"]["memory_temperature_c"] == [62, 62]
    assert found.conditions["caches"] == "warm"
    latency = found.measured["latency_ms"]
    assert {"exclusivity_unknown", "launch_bound"} <= set(latency.flags)
    for word in ("gpu_ms", "gpu_busy_ms", "graph_latency_ms", "total_ms", "throughput_img_s"):
        assert found.measured[word].value > 0, word
    assert found.measured["mem_device_delta_bytes"].flags == ("exclusivity_unknown",)
    assert found.measured["mem_process_bytes"].value == 700 << 20
    assert found.measured["energy_total_per_image_j"].value is None
    assert card.calls.index("capture") > card.calls.index("reset_peak_memory_stats")
    json.dumps(json.loads((tmp_path / "result.json").read_text()), allow_nan=False)


def test_a_job_with_emptied_caches_has_its_times_and_says_what_it_has_not(
    card: Card, tmp_path: Path
) -> None:
    report = Report(tmp_path)
    run(
        Asked(resolve("resnet18", size=32).spec, replace(BRIEF, flush_cache=True)),
        report,
        lambda: False,
    )
    measured = report.result.measured
    for word in ("latency_ms", "gpu_ms", "graph_latency_ms"):
        assert measured[word].value > 0, word
    for word in ("gpu_busy_ms", "throughput_img_s"):
        assert measured[word].reason == "warm_caches"
