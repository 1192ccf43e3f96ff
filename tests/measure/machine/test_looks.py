"""What a card tells of itself around and between the samples, and what it warns of."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import cycle
from typing import Any

import pynvml
import pytest
import torch
from make_believe import Card

from archbench.measure.job.bench import Bench
from archbench.measure.job.launching import graph
from archbench.measure.job.phases import contention
from archbench.measure.job.timing import sample
from archbench.measure.machine import host, looks
from archbench.measure.machine.device import Device
from archbench.measure.power.use import Process, Use
from archbench.measure.power.validity import EVENTS
from archbench.records.conditions import Conditions
from archbench.settings import Settings

BRIEF = Settings(
    device="cuda", allow_shared=True, n_min=8, t_min_s=0.01, budget_s=0.2, target=1e-9, n_max=12
)
COOL = {"sm_clock_mhz": 1400.0, "temperature_c": 50.0, "event_reasons": 0.0, "processes": 1.0}
ALONE = Use((Process(os.getpid(), None),), (), 0, 0)


def test_every_reason_of_the_clocks_that_the_binding_knows_has_a_name() -> None:
    known = {
        value
        for name, value in vars(pynvml).items()
        if name.startswith(("nvmlClocksEventReason", "nvmlClocksThrottleReason"))
        and not name.endswith(("All", "None"))
    }
    assert known == set(EVENTS)


def timed(
    patch: pytest.MonkeyPatch, *states: dict[str, float], sees_all: bool = True
) -> tuple[list[str], dict[str, Any]]:
    """Sample on a card that tells one state after another; the last is what it stays like."""
    patch.setattr(looks, "PERIOD_S", 0.0)
    patch.setattr(host, "sees_all_processes", lambda: sees_all)
    patch.setattr(host, "is_contended", lambda _: False)
    card = Card(use=ALONE, states=[COOL | state for state in states])
    bench = Bench(torch.nn.Identity(), card.open(patch), cycle([torch.zeros(1)]))
    collected = sample(bench, BRIEF, interrupted=lambda: False, tell=lambda **_: None)
    assert card.looked == len(collected.started) + 2
    conditions = Conditions(host_before=host.load(), host_after=host.load(), cpu_stolen_share=None)
    return contention(bench, conditions), bench.device.looks.conditions()


def test_a_card_is_looked_at_before_between_and_after_the_samples(monkeypatch) -> None:
    flags, seen = timed(monkeypatch, {}, {"sm_clock_mhz": 1390.0, "memory_temperature_c": 61.0})
    assert flags == []
    assert seen["sm_clock_mhz"] == [1390, 1400]
    assert seen["memory_temperature_c"] == [61, 61]


@pytest.mark.parametrize(
    ("state", "flag"),
    [
        ({"event_reasons": 0x8}, "throttled"),
        ({"event_reasons": 0x20}, "throttled"),
        ({"event_reasons": 0x40}, "throttled"),
        ({"event_reasons": 0x80}, "throttled"),
        ({"event_reasons": 0x4}, "power_capped"),
        ({"event_reasons": 0x200}, "power_capped"),
        ({"sm_clock_mhz": 1200.0}, "clock_drift"),
        ({"temperature_c": 61.0}, "hot_start"),
        ({"processes": 2.0}, "contended"),
    ],
)
def test_what_a_card_tells_while_it_is_timed_is_on_the_times(monkeypatch, state, flag) -> None:
    assert timed(monkeypatch, {}, {}, state)[0] == [flag]


def test_times_of_another_namespace_bear_that_others_are_not_seen(monkeypatch) -> None:
    assert timed(monkeypatch, {}, sees_all=False)[0] == ["exclusivity_unknown"]


def test_times_bear_it_too_where_our_own_context_is_not_seen(monkeypatch) -> None:
    assert timed(monkeypatch, {"processes": 0.0})[0] == ["exclusivity_unknown"]


def test_a_graph_is_looked_at_as_well(monkeypatch) -> None:
    card = Card(use=ALONE, states=[COOL, COOL | {"event_reasons": 0x40}])
    bench = Bench(torch.nn.Identity(), card.open(monkeypatch), cycle([torch.zeros(1)]))
    found = graph(bench, replace(BRIEF, target=0.5, budget_s=2.0), lambda: False)
    assert "throttled" in found.flags


def test_a_cpu_tells_nothing_of_that() -> None:
    device = Device(Settings(device="cpu"))
    device.looks.begin()
    assert (device.looks.conditions(), device.looks.flags()) == ({}, [])


def test_a_jobs_environment_has_what_an_administrator_sets(nvml_stub, child) -> None:
    found = child(nvml_stub(STUB_ECC="1", STUB_MEMORY_TEMPERATURE="0:66"), "card")
    assert found["fingerprint"]["application_clock_mhz"] == 1350
    assert found["fingerprint"]["application_memory_clock_mhz"] == 6900
    assert found["fingerprint"]["ecc"] is True
    assert found["fingerprint"]["power_limit_w"] == 350
    assert found["state"]["memory_temperature_c"] == 66
    without = child(nvml_stub(), "card")
    assert without["fingerprint"]["ecc"] is None
    assert without["memory_temperature_c"] is None
