"""The time of a call: the mean of several where one is too short for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle

import pytest
import torch
from make_believe import Card

from archbench.measure.job import timing
from archbench.measure.job.bench import Bench
from archbench.measure.job.sampling import Collected
from archbench.measure.job.timing import sample
from archbench.measure.machine.device import Device
from archbench.settings import Settings

CALL_S = 0.004
BRIEF = Settings(device="cuda", allow_shared=True, n_min=8, n_max=8, t_min_s=1e-9, budget_s=9.0)
Taking = Callable[[float], torch.nn.Module]


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Taking:
    """Make networks whose calls take so long by a clock that nothing else moves."""
    now = 100.0

    def network(seconds: float) -> torch.nn.Module:
        def call(*_: object) -> None:
            nonlocal now
            now += seconds

        made = torch.nn.Identity()
        made.register_forward_hook(call)
        return made

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    return network


def test_the_time_of_several_calls_in_a_row_is_that_of_one(
    monkeypatch: pytest.MonkeyPatch, taking: Taking
) -> None:
    bench = Bench(taking(CALL_S), Card().open(monkeypatch), cycle([torch.zeros(1)]))
    for times in (1, 4):
        timed = bench.timed(bench.forward, times)
        assert timed == pytest.approx((CALL_S, CALL_S))
    on_cpu = Bench(taking(CALL_S), Device(Settings(threads=1)), cycle([torch.zeros(1)]))
    assert on_cpu.timed(on_cpu.forward, 3) == (pytest.approx(CALL_S), None)


@pytest.mark.parametrize(("call_us", "calls"), [(100.5, 1), (60, 2), (13, 8)])
def test_calls_too_short_for_the_clock_are_timed_as_many_in_a_row(
    monkeypatch: pytest.MonkeyPatch, taking: Taking, call_us: float, calls: int
) -> None:
    bench = Bench(taking(call_us / 1e6), Card().open(monkeypatch), cycle([torch.zeros(1)]))
    taken = sample(bench, BRIEF, interrupted=lambda: False, tell=lambda **_: None)
    assert taken.calls == calls
    for column in ("latency_ms", "gpu_ms"):
        assert taken.columns[column] == pytest.approx([call_us / 1e6] * 8)


@pytest.mark.parametrize(("budget_s", "least_s"), [(30.0, 3.0), (6.0, 3.0), (1.0, 0.5)])
def test_a_budget_below_the_least_time_that_is_sampled_can_be_met(
    monkeypatch: pytest.MonkeyPatch, taking: Taking, budget_s: float, least_s: float
) -> None:
    """A past bug: every `--budget` below 3 s was flagged, however narrow its interval."""
    given: list[Settings] = []

    def collect(_: object, settings: Settings, **__: object) -> Collected:
        given.append(settings)
        return Collected({})

    monkeypatch.setattr(timing, "collect", collect)
    bench = Bench(taking(0.01), Card().open(monkeypatch), cycle([torch.zeros(1)]))
    asked = Settings(device="cuda", allow_shared=True, budget_s=budget_s)
    sample(bench, asked, interrupted=lambda: False, tell=lambda **_: None)
    assert [(each.budget_s, each.t_min_s) for each in given] == [(budget_s, least_s)]
