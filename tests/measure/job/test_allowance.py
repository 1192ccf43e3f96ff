"""The time that a quick job may take after its first call, and what is left out when it is over."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import cycle
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from make_believe import Card, calls_of

from archbench.measure.job.allowance import Allowance
from archbench.measure.job.bench import Bench
from archbench.measure.job.memory import memory
from archbench.measure.job.passes import PARTS
from archbench.measure.job.phases import measure_busy, measure_graph, measure_passes
from archbench.measure.job.timing import Calls, sample, warm_up
from archbench.measure.machine.device import DEVICE_MEMORY, Device
from archbench.measure.power.energy import EQ2, TOTAL, UNDER_LOAD, EnergyJob
from archbench.records import Metric
from archbench.settings import DEFAULT, QUICK, Settings


@pytest.fixture
def bench() -> Bench:
    return Bench(torch.nn.Identity(), Device(Settings(threads=1)), cycle([torch.zeros(1)]))


def over() -> Allowance:
    """An allowance of which nothing is left."""
    allowance = Allowance(0.0)
    allowance.begin()
    return allowance


def test_nothing_is_used_up_before_it_began() -> None:
    now = 5.0
    allowance = Allowance(30.0, lambda: now)
    now = 50.0
    assert (allowance.left(), allowance.news()) == (30.0, {})
    allowance.begin()
    now = 60.0
    assert (allowance.left(), allowance.left(1 / 2), allowance.left(1 / 3)) == (20.0, 5.0, 0.0)
    assert allowance.news() == {"left_s": 20.0}


def test_without_an_end_everything_is_left() -> None:
    allowance = Allowance()
    allowance.begin()
    assert (allowance.left(), allowance.left(1 / 3), allowance.news()) == (inf, inf, {})


def test_a_quick_job_has_30_s_and_three_times_a_longer_budget() -> None:
    assert (DEFAULT.allowance_s, QUICK.allowance_s) == (None, 30.0)
    assert replace(QUICK, budget_s=60.0).allowance_s == 180.0


def test_a_warm_up_without_time_is_one_call(bench: Bench) -> None:
    calls: list[int] = []
    bench.network.register_forward_hook(lambda *_: calls.append(1))
    assert warm_up(bench, lambda: False, 0.0)
    assert len(calls) == 1


def test_without_time_one_sample_is_taken(bench: Bench) -> None:
    bench.network.register_forward_hook(lambda *_: time.sleep(0.01))
    taken = sample(bench, QUICK, interrupted=lambda: False, tell=lambda **_: None, most_s=0.0)
    assert (len(taken.started), taken.stop_reason) == (1, "budget")


def test_passes_and_memory_without_time_are_null_for_the_budget(bench: Bench) -> None:
    latency = Metric.of("latency_ms", 1000.0, "host clock", "model")
    found: dict[str, Metric] = {}
    report: Any = SimpleNamespace(allowance=over(), measured=found.update)
    measure_passes(bench, QUICK, report, Calls(latency, 1, {}))
    found |= memory(bench, over(), latency)
    reasons = {name: metric.reason for name, metric in found.items() if name != "copy_ms"}
    names = {"throughput_img_s", "mem_host_peak_bytes"}
    assert reasons == {
        **dict.fromkeys(names, "budget"),
        **dict.fromkeys(DEVICE_MEMORY, "cpu_device"),
        **dict.fromkeys(PARTS, "no_parts"),
    }


def test_what_takes_more_calls_than_there_is_time_for_is_null(monkeypatch) -> None:
    card = Card()
    bench = Bench(torch.nn.Identity(), card.open(monkeypatch), cycle([torch.zeros(1)]))
    allowance = Allowance(20.0)
    allowance.begin()
    found: dict[str, Metric] = {}
    report: Any = SimpleNamespace(allowance=allowance, measured=found.update)
    card.calls.clear()
    measure_graph(bench, QUICK, lambda: False, report, calls_of(1000.0))
    assert found["graph_latency_ms"].reason == "budget"
    measure_busy(bench, calls_of(11_000.0), report)
    assert found["gpu_busy_ms"].reason == "budget"
    assert card.calls == []


class Untouched:
    """A meter that must not be read."""

    traits = SimpleNamespace(label="none", lacks={}, settle_s=1.5, least_window_s=2.0)
    why_not, message, probed, sensors = None, "", True, {}


@pytest.mark.parametrize("most_s", [0.0, 6.5])
def test_energy_whose_window_does_not_fit_is_null_for_the_budget(most_s: float) -> None:
    meter: Any = Untouched()
    energy = EnergyJob(meter, interrupted=lambda: False)
    energy.measure(SimpleNamespace(call_s=0.1, protocol="model"), 5.0, most_s)  # type: ignore[arg-type]
    assert {energy.metrics[name].reason for name in [*UNDER_LOAD, EQ2, TOTAL]} == {"budget"}
