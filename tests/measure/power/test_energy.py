"""Integrals and counters in closed form, and whole energy measurements through NVIDIA's binding and
the stub.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archbench.measure.power.energy import eq2_joules
from archbench.measure.power.integral import (
    Counted,
    Power,
    Window,
    above_rest,
    believe,
    count,
    gaps,
    integrate,
    refresh_of,
)
from archbench.measure.power.load import Load, pauses_for
from archbench.measure.power.meter import NullMeter, SampledMeter, Sensor, Trace, Traits
from archbench.measure.power.meters import meter_of
from archbench.measure.power.rapl import RaplInstrument
from archbench.measure.power.traces import integral_of, power_in
from archbench.measure.power.validity import conditions_of, flags_of, sharing
from archbench.records import Record, Store

TEN = Window(1.0, 11.0)


def sampled(power, step=0.05, start=0.0, end=12.0):
    times = np.arange(start, end, step)
    return times, np.array([power(t) for t in times], dtype=float)


class TestIntegral:
    def test_constant_and_ramp_are_exact(self):
        assert integrate(*sampled(lambda _: 100.0), TEN) == pytest.approx(1000, rel=1e-12)
        assert integrate(*sampled(lambda t: 60 + 24 * t, step=0.37), TEN) == pytest.approx(
            60 * 10 + 12 * (121 - 1), rel=1e-12
        )

    def test_a_sine_is_within_the_trapezoids_bound(self):
        step, omega, amplitude = 0.05, 2 * np.pi / 1.7, 80.0
        found = integrate(*sampled(lambda t: 150 + amplitude * np.sin(omega * t), step), TEN)
        exact = 1500 - amplitude / omega * (np.cos(11 * omega) - np.cos(omega))
        assert abs(found - exact) <= step**2 * 10 * amplitude * omega**2 / 12
        assert found != pytest.approx(exact, rel=1e-12)

    def test_a_step_is_within_half_a_period_of_it(self):
        found = integrate(*sampled(lambda t: 60.0 if t < 5.02 else 300.0), TEN)
        assert abs(found - (4.02 * 60 + 5.98 * 300)) <= 240 * 0.05 / 2

    def test_a_sensor_of_one_second_is_right_once_it_has_settled_and_low_over_the_whole_run(self):
        """A load of 300 W for 5 s on a card of 60 W: the figure is of the second before."""
        sensed = sampled(lambda t: 60 + 240 * min(max(np.floor(10 * (t - 1)) / 10, 0), 1), end=6.5)
        assert integrate(*sensed, Window(2.5, 6)) == pytest.approx(300 * 3.5, rel=1e-9)
        assert integrate(*sensed, Window(1, 6)) == pytest.approx(0.91 * 300 * 5, rel=0.01)

    def test_it_adds_up_and_lies_between_the_extremes(self):
        times, watts = sampled(lambda t: 100 + 30 * np.sin(7 * t))
        parts = [integrate(times, watts, part) for part in TEN.parts(7)]
        assert sum(parts) == pytest.approx(integrate(times, watts, TEN), rel=1e-12)
        assert watts.min() * 10 < sum(parts) < watts.max() * 10

    def test_it_does_not_depend_on_the_origin_and_scales(self):
        times, watts = sampled(lambda t: 100 + 30 * np.sin(7 * t))
        whole = integrate(times, watts, TEN)
        assert integrate(times + 1000, watts, Window(1001, 1011)) == pytest.approx(whole, rel=1e-9)
        assert integrate(times, 3 * watts, TEN) == pytest.approx(3 * whole, rel=1e-12)

    def test_points_on_the_line_between_samples_change_nothing(self):
        times, watts = sampled(lambda t: 100 + 30 * np.sin(7 * t))
        more = np.sort(np.concatenate([times, np.random.default_rng(0).uniform(0, 11.9, 100)]))
        assert integrate(more, np.interp(more, times, watts), TEN) == pytest.approx(
            integrate(times, watts, TEN), rel=1e-12
        )

    @pytest.mark.parametrize("window", [Window(-0.1, 5), Window(5, 12.1), Window(20, 30)])
    def test_what_is_not_covered_at_both_edges_is_none(self, window):
        assert integrate(*sampled(lambda _: 100.0), window) is None

    def test_no_sample_no_integral(self):
        assert integrate(np.array([]), np.array([]), TEN) is None


class TestGaps:
    def test_samples_on_time_have_none(self):
        found = gaps(sampled(lambda _: 1.0)[0], TEN, 0.05)
        assert (found.flagged, found.starved_s) == (False, 0.0)

    def test_200_ms_without_a_sample_are_flagged_and_no_starvation(self):
        times = sampled(lambda _: 1.0, step=0.01)[0]
        found = gaps(times[(times < 4) | (times > 4.2)], TEN, 0.01)
        assert found.flagged
        assert found.longest_s == pytest.approx(0.21, abs=0.011)
        assert found.starved_s == 0

    def test_long_gaps_add_up_as_far_as_they_lie_in_the_window(self):
        times = sampled(lambda _: 1.0)[0]
        found = gaps(
            times[((times < 0.2) | (times > 1.6)) & ((times < 4) | (times > 5))], TEN, 0.05
        )
        assert found.starved_s == pytest.approx(0.65 + 1.05, abs=0.06)


class TestRefresh:
    def test_it_is_the_median_of_the_spacing_of_changes(self):
        times = np.arange(0, 3, 0.002)
        assert refresh_of(times, np.floor(times / 0.1)) == pytest.approx(0.1, abs=0.002)
        with_a_hiccup = np.where(
            times > 1.05, np.floor(times / 0.1) + (times > 1.07), np.floor(times / 0.1)
        )
        assert refresh_of(times, with_a_hiccup) == pytest.approx(0.1, abs=0.002)

    def test_below_five_changes_it_is_unknown(self):
        times = np.arange(0, 3, 0.002)
        assert refresh_of(times, np.floor(times / 0.7)) is None
        assert refresh_of(times, np.zeros(len(times))) is None


def counter(watts=100.0, refresh=0.1, poll=0.05, window=TEN):
    """Readings of a counter as the sampler takes them: every `poll`, and every 4 ms for a while
    after an edge.
    """
    hunts = [np.arange(edge, edge + 0.15, 0.004) for edge in (window.start, window.end)]
    times = np.sort(np.concatenate([np.arange(0, 12, poll), *hunts]))
    return times, np.floor(times / refresh + 1e-9) * refresh * watts


class TestCounter:
    @pytest.mark.parametrize("refresh", [0.02, 0.1, 0.133])
    def test_power_is_the_difference_of_two_changes_over_the_time_between(self, refresh):
        found = count(*counter(refresh=refresh), TEN)
        assert found.reason is None
        assert found.watts == pytest.approx(100, rel=1e-3)
        assert found.seconds == pytest.approx(10, abs=refresh)

    def test_the_first_change_of_known_time_is_taken_so_that_rising_power_is_not_that_of_later(
        self,
    ):
        times, _ = counter()
        energy = np.floor(times / 0.1 + 1e-9) * 0.1
        found = count(times, 100 * energy + 10 * energy**2, TEN)
        assert found.watts == pytest.approx(100 + 10 * 12, rel=0.01)
        coarse = np.arange(0, 12, 0.05)
        late = np.concatenate([coarse, [1.305, 11.205]])
        late.sort()
        assert count(late, np.floor(late / 0.1 + 1e-9) * 10, TEN).watts == pytest.approx(
            100, rel=0.01
        )

    def test_a_counter_that_hardly_moves_is_stuck(self):
        times, joules = counter()
        assert count(times, joules * 0, TEN).reason == "counter_stuck"
        assert count(*counter(refresh=0.9), TEN) == Counted("counter_stuck")
        assert count(*counter(refresh=0.9), TEN).watts is None

    def test_a_counter_that_goes_back_within_the_window_is_reset(self):
        times, joules = counter()
        assert count(times, joules - 500 * (times > 6), TEN).reason == "counter_reset"
        assert count(times, joules - 500 * (times > 0.5), TEN).reason is None

    def test_it_is_the_headline_within_five_percent_of_the_integral(self):
        near, far = Counted("", 1040.0, 10.0), Counted("", 600.0, 10.0)
        assert believe(100.0, "integral", near).watts == 104
        power = believe(100.0, "integral", far)
        assert (power.watts, power.source, power.flags, power.ratio) == (
            100,
            "integral",
            ("counter_power_disagree",),
            0.6,
        )
        alone = believe(100.0, "integral", Counted("counter_stuck"))
        assert (alone.watts, alone.counted, alone.ratio, alone.counter_reason) == (
            100,
            None,
            None,
            "counter_stuck",
        )


class TestAboveRest:
    LOAD = Power(200.0, counted=200.0, integrated=190.0, is_counted=True, integral_source="usage")

    def test_like_is_taken_from_like(self):
        rest = Power(50.0, counted=60.0, integrated=50.0)
        assert above_rest(self.LOAD, rest) == (140, 60, "energy counter")
        assert above_rest(replace(self.LOAD, is_counted=False), rest) == (140, 50, "usage")

    def test_the_other_pair_is_taken_where_one_is_missing(self):
        assert above_rest(self.LOAD, Power(50.0, integrated=50.0)) == (140, 50, "usage")
        assert above_rest(self.LOAD, Power(None)) is None


class TestValidity:
    @staticmethod
    def trace(**states):
        count = len(next(iter(states.values())))
        return Trace(state_times=[1.0 + i for i in range(count)], states=states)

    def test_events_are_shares_of_the_looks(self):
        trace = self.trace(event_reasons=[0x4, 0x4, 0x1, 0, 0, 0, 0, 0, 0, 0])
        assert conditions_of(trace, TEN)["event_reasons"] == {
            "idle": 0.1,
            "software_power_cap": 0.2,
        }
        assert flags_of(trace, TEN) == ["power_capped"]

    @pytest.mark.parametrize("bit", [0x8, 0x20, 0x40, 0x80])
    def test_a_single_look_at_slowed_clocks_is_throttled(self, bit):
        assert flags_of(self.trace(event_reasons=[0] * 9 + [bit]), TEN) == ["throttled"]

    def test_a_power_cap_of_a_tenth_of_the_looks_is_none(self):
        assert flags_of(self.trace(event_reasons=[0x4] + [0x1] * 9), TEN) == []

    def test_clocks_that_move_and_a_card_that_warms_up_are_flagged(self):
        assert flags_of(self.trace(sm_clock_mhz=[1400, 1331] * 5), TEN) == []
        assert flags_of(self.trace(sm_clock_mhz=[1400, 1329] * 5), TEN) == ["clock_drift"]
        assert flags_of(self.trace(temperature_c=[50, 55, 61]), TEN) == ["hot_start"]
        assert flags_of(self.trace(temperature_c=[61, 55, 50]), TEN) == []

    def test_who_else_is_there(self):
        nan = float("nan")
        assert sharing(self.trace(processes=[1, 1, 1]), TEN, 1) is None
        assert sharing(self.trace(processes=[1, 2, 1]), TEN, 1) == "contended"
        assert sharing(self.trace(processes=[nan, nan]), TEN, 1) == "exclusivity_unknown"
        assert sharing(self.trace(processes=[0, 0]), TEN, 1) == "exclusivity_unknown"
        assert sharing(Trace(), TEN, 0) is None


class TestPauses:
    class Meter(NullMeter):
        def __init__(self, averaging_s):
            super().__init__(None, Traits("", 0, 0))
            self.sensors = {"instant": Sensor(0.1, averaging_s)}

    @staticmethod
    def load(call_s):
        return Load(lambda: None, lambda: None, 1, call_s)

    @pytest.mark.parametrize("seconds", [5.0, 10.0, 60.0])
    def test_long_calls_are_put_out_of_step_with_a_sensor_that_looks_away(self, seconds):
        window = Window(100.0, 100.0 + seconds)
        pauses = pauses_for(self.load(0.02), self.Meter(0.025), window)
        assert len(pauses) == 7
        assert all(
            window.start < when < window.end and 0 <= pause <= 0.05 for when, pause in pauses
        )
        assert 0 < sum(pause for _, pause in pauses) <= 0.025 * seconds * (1 + 1e-9)

    def test_neither_short_calls_nor_a_sensor_that_always_looks_need_it(self):
        assert pauses_for(self.load(0.004), self.Meter(0.025), TEN) == []
        assert pauses_for(self.load(0.02), self.Meter(0.1), TEN) == []


def test_eq2_is_power_over_inference_speed():
    assert eq2_joules(np.array([90.0, 110.0]), 50.0) == 2.0


class TestChoice:
    """What is taken of a trace."""

    @staticmethod
    def meter(*sources):
        meter = TestPauses.Meter(0.1)
        meter.sensors = dict.fromkeys(sources, Sensor(0.1, 0.1))
        return meter

    @staticmethod
    def trace(**watts):
        times = np.arange(0, 12, 0.05).tolist()
        repeated = {name: [value] * len(times) for name, value in watts.items()}
        return Trace(times=times, took=[0.0] * len(times), watts=repeated, period_s=0.05)

    def test_the_preferred_source_is_taken_where_it_has_samples(self):
        trace = self.trace(instant=100.0, usage=90.0)
        assert power_in(self.meter("instant", "usage"), trace, TEN).watts == pytest.approx(100)
        trace.watts["instant"] = [float("nan")] * len(trace.times)
        power = power_in(self.meter("instant", "usage"), trace, TEN)
        assert (power.watts, power.source) == (pytest.approx(90), " usage power, integrated")

    def test_invalid_samples_are_dropped_and_not_taken_for_zero(self):
        trace = self.trace(instant=100.0)
        trace.watts["instant"][100] = float("nan")
        assert power_in(self.meter("instant"), trace, TEN).watts == pytest.approx(100)

    def test_reasons_why_there_is_no_integral(self):
        assert integral_of(Trace(), "instant", TEN) == (None, "no_valid_samples")
        trace = self.trace(instant=100.0)
        assert integral_of(trace, "instant", Window(5, 20)) == (None, "window_not_covered")
        trace.watts["instant"][80:110] = [float("nan")] * 30
        assert integral_of(trace, "instant", TEN) == (None, "sampler_starved")


SINE = ",".join(
    f"{t:.2f}:{150 + 60 * np.sin(2 * np.pi * t / 2.5):.6f}" for t in np.arange(-1, 100, 0.05)
)
AS_FINE = {"STUB_CAPABILITY": "7.0"}
"""A card whose power sensor does not average over more than a tick of its counter."""
SCENARIOS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "constant": (
        {"STUB_TRACE": "0:100"},
        {"rests": ["no_context", "context"], "eq2": True, "postprocess_s": 0.01},
    ),
    "counter x 0.96": (
        {"STUB_TRACE": "0:100", "STUB_COUNTER": "100,0.96"},
        {"rests": ["context"], "seconds": 3.0},
    ),
    "a step before Eq. 2": (
        {"STUB_TRACE": "0:60,3.9:60,3.9:300", "STUB_USAGE": "100,1000"},
        {"t0_file": "step", "eq2": True},
    ),
    "ramp": ({"STUB_TRACE": "0:60,120:660", "STUB_INSTANT": "20,20"}, {}),
    "sine": ({"STUB_TRACE": SINE, "STUB_COUNTER": "20,1,none"}, {"seconds": 3.0}),
    "one second sensor": (
        {"STUB_TRACE": "0:60,0:300", "STUB_USAGE": "100,1000", "STUB_COUNTER": "20,1,none"},
        {"t0_file": "t0"},
    ),
    "counter x 0.6": ({"STUB_COUNTER": "20,0.6", **AS_FINE}, {}),
    "finer counter x 0.6": ({"STUB_COUNTER": "20,0.6"}, {}),
    "counter stuck": ({"STUB_COUNTER": "20,1,stuck"}, {}),
    "counter decreasing": ({"STUB_COUNTER": "20,1,decreasing"}, {}),
    "no counter symbol": ({"library": "without_counter"}, {}),
    "zero": ({"STUB_TRACE": "0:0"}, {"eq2": True}),
    "stall of 200 ms": ({"STUB_STALL": "nvmlDeviceGetPowerUsage=200@2.2"}, {}),
    "stall of 900 ms": ({"STUB_STALL": "nvmlDeviceGetPowerUsage=900@2.2", **AS_FINE}, {}),
    "often not supported": (
        {"STUB_FAIL": ",".join(f"nvmlDeviceGetPowerUsage=3@{i}+1" for i in range(20, 400, 20))},
        {},
    ),
    "lost": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=15@60"}, {}),
    "reset required": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=16@60"}, {}),
    "transient": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=10@60+2"}, {}),
    "dead usage": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=999@60", **AS_FINE}, {"eq2": True}),
    "dead usage, finer counter": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=999@60"}, {}),
    "dead usage, instant works": (
        {"STUB_FAIL": "nvmlDeviceGetPowerUsage=999@60", "STUB_INSTANT": "20,20"},
        {"eq2": True},
    ),
    "dead counter": ({"STUB_FAIL": "nvmlDeviceGetTotalEnergyConsumption=21@60"}, {}),
    "contended": ({"STUB_PROCESSES": "2,1"}, {"processes": 1, "eq2": True}),
    "contended, allowed": ({"STUB_PROCESSES": "2,1"}, {"processes": 1, "allow_shared": True}),
    "alone": ({"STUB_PROCESSES": "1,0"}, {"processes": 1}),
    "alone in a namespace": (
        {"STUB_PROCESSES": "1,0"},
        {"processes": 1, "flags": ["exclusivity_unknown"]},
    ),
    "processes unreadable": ({"STUB_FAIL": "nvmlDeviceGetComputeRunningProcesses_v3=4"}, {}),
    "throttled": ({"STUB_EVENTS": "0:32"}, {}),
    "module": (
        {"STUB_USAGE": "none", "STUB_INSTANT": "20,20", "STUB_INSTANT_SCOPE": "1"},
        {"eq2": True},
    ),
    "busy at rest": ({"STUB_UTILISATION": "0:30"}, {"rests": ["context"]}),
    "too short": ({}, {"seconds": 1.0, "eq2": True}),
    "interrupted": ({}, {"seconds": 5.0, "interrupt_s": 3.0, "eq2": True}),
    "unknown sensor": (
        {"STUB_TRACE": SINE, "STUB_DRIVER": "1.0", "STUB_USAGE": "50,50"},
        {"seconds": 2.0},
    ),
    "train": ({}, {}),
}
TOLERANCE = 0.005
SIDE_BY_SIDE = 8


WORKER = """
import json, sys, time
from pathlib import Path
from archbench.measure.job.supervisor import run_job
from archbench.records import Store
from archbench.settings import Settings
from archbench.zoo.catalogue import resolve

folder, t0_file = sys.argv[1:]

def begin(news):
    if news["phase"] == "energy" and t0_file:
        Path(t0_file).write_text(str(time.clock_gettime(time.CLOCK_MONOTONIC)))

settings = Settings(
    device="cpu", target=0.5, n_min=3, t_min_s=0.01, budget_s=1, energy_s=2, threads=1
)
spec = resolve("resnet18", size=64).spec
run_job(spec, settings, Store(folder), on_progress=begin, meter="nvml")
"""


def whole_job(environment: dict[str, str], folder: Path, t0_file: str = "") -> tuple[Record, Path]:
    """A job of a real network on the CPU whose power is the stub's."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder), t0_file],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    (record,) = Store(folder).read()
    return record, folder


WHOLE_JOBS = {
    "power": {"STUB_TRACE": "0:120", "STUB_INSTANT": "20,20"},
    "no driver": {"STUB_FAIL": "nvmlInitWithFlags=9"},
}


def packages(folder: Path) -> Path:
    """The counters of two CPU packages, one of which starts again every 100 J."""
    for number, most in enumerate((100_000_000, 2**32)):
        package = folder / f"intel-rapl:{number}"
        package.mkdir()
        for name, content in (
            ("name", f"package-{number}"),
            ("max_energy_range_uj", most),
            ("energy_uj", 0),
        ):
            (package / name).write_text(f"{content}\n")
    return folder


class Found(Mapping[str, Any]):
    """What each scenario found: they wait most of the time, so all of them run side by side, and a
    test waits for its own.
    """

    def __init__(self, futures: dict[str, Future[Any]]) -> None:
        self._futures = futures

    def __getitem__(self, name: str) -> Any:
        return self._futures[name].result()

    def __iter__(self) -> Iterator[str]:
        return iter(self._futures)

    def __len__(self) -> int:
        return len(self._futures)


@pytest.fixture(scope="module")
def found(nvml_stub, child, tmp_path_factory) -> Iterator[Found]:
    folder = tmp_path_factory.mktemp("found")

    def scenario(variables: dict[str, str], arguments: dict[str, Any]) -> dict[str, Any]:
        begin = {"STUB_T0": str(time.clock_gettime(time.CLOCK_MONOTONIC))}
        if "t0_file" in arguments:
            t0_file = str(folder / arguments["t0_file"])
            begin, arguments = {"STUB_T0_FILE": t0_file}, arguments | {"t0_file": t0_file}
        result = child(nvml_stub(**begin | variables), "job", **arguments)
        return result | {"begin": float(begin.get("STUB_T0", "nan"))}

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        futures = {
            name: pool.submit(whole_job, nvml_stub(**variables), folder / name)
            for name, variables in WHOLE_JOBS.items()
        }
        futures["RAPL"] = pool.submit(
            child, dict(os.environ), "rapl", root=str(packages(folder)), watts=40.0, seconds=5.0
        )
        yield Found(
            futures | {name: pool.submit(scenario, *what) for name, what in SCENARIOS.items()}
        )


def value(scenario: dict[str, Any], name: str) -> float:
    metric = scenario["metrics"][name]
    assert metric["value"] is not None, metric["reason"]
    return metric["value"]


def reason(scenario: dict[str, Any], name: str = "energy_per_image_j") -> str:
    metric = scenario["metrics"][name]
    assert metric["value"] is None
    return metric["reason"]


def flags(scenario: dict[str, Any]) -> list[str]:
    """Of the energy, but for late samples, which a busy machine brings about anywhere."""
    return [
        flag for flag in scenario["metrics"]["energy_per_image_j"]["flags"] if flag != "sampler_gap"
    ]


def joules(scenario: dict[str, Any]) -> float:
    """The headline energy of the window."""
    return value(scenario, "energy_per_image_j") * scenario["conditions"]["calls"]


def window_of(scenario: dict[str, Any]) -> Window:
    """The window on the time of the stub's trace."""
    start = scenario["conditions"]["window_start_s"] - scenario["begin"]
    return Window(start, start + scenario["conditions"]["window_s"])


class TestThroughTheStub:
    """A job whose calls wait 20 ms, its power the stub's trace."""

    def test_a_constant_trace_gives_its_power_in_every_figure(self, found):
        job = found["constant"]
        assert joules(job) == pytest.approx(200, rel=TOLERANCE)
        for name in ("power_mean_w", "power_idle_w", "power_idle_no_context_w"):
            assert value(job, name) == pytest.approx(
                100, rel=0.005 if name == "power_mean_w" else 0.02
            )
        assert value(job, "energy_counter_j") == pytest.approx(200, rel=TOLERANCE)
        assert value(job, "energy_integrated_j") == pytest.approx(200, rel=1e-6)
        assert value(job, "energy_counter_ratio") == pytest.approx(1, rel=TOLERANCE)
        assert value(job, "energy_net_per_image_j") == pytest.approx(0, abs=0.05)
        assert job["metrics"]["energy_net_per_image_j"]["spread"]["sm_clock_mhz"] == [1400, 1400]
        assert job["metrics"]["energy_per_image_j"]["source"] == "NVML energy counter"
        assert flags(job) == []

    def test_energy_and_images_are_of_the_same_seconds(self, found):
        job = found["constant"]
        rate = value(job, "energy_throughput_img_s")
        assert rate == pytest.approx(job["conditions"]["calls"] / 2.0)
        assert value(job, "energy_per_image_j") * rate == pytest.approx(value(job, "power_mean_w"))
        times, calls = (np.array(job["arrays"][name]) for name in ("load_t_ns", "load_calls"))
        start = (job["conditions"]["window_start_s"] - job["conditions"]["origin_s"]) * 1e9
        assert np.diff(np.interp([start, start + 2e9], times, calls))[0] == pytest.approx(
            job["conditions"]["calls"]
        )

    def test_eq2_is_mean_usage_over_inference_speed(self, found):
        job = found["constant"]
        eq2 = job["metrics"]["energy_eq2_per_image_j"]
        assert eq2["protocol"] == "vovnet"
        assert eq2["value"] == pytest.approx(100 / eq2["spread"]["inference_img_s"], rel=1e-6)
        assert eq2["spread"]["samples"] == pytest.approx(eq2["spread"]["window_s"] / 0.1, rel=0.2)

    def test_eq2_is_taken_once_the_sensor_has_settled_on_its_load(self, found):
        """The sensor averages a second and sees late that 60 W become 300 W as the run begins."""
        eq2 = found["a step before Eq. 2"]["metrics"]["energy_eq2_per_image_j"]
        watts = eq2["value"] * eq2["spread"]["inference_img_s"]
        assert watts == pytest.approx(300, rel=TOLERANCE)
        assert value(found["a step before Eq. 2"], "power_mean_w") == pytest.approx(60, rel=0.01)

    def test_energy_with_postprocessing_is_of_the_seconds_of_both(self, found):
        metric = found["constant"]["metrics"]["energy_total_per_image_j"]
        assert metric["protocol"] == "model+post"
        per_image_s = metric["spread"]["window_s"] / metric["spread"]["images"]
        assert metric["value"] == pytest.approx(100 * per_image_s, rel=TOLERANCE)
        assert per_image_s >= 0.03
        assert reason(found["dead usage"], "energy_total_per_image_j") == "no_postprocess"
        assert reason(found["train"], "energy_total_per_image_j") == "no_inference"

    def test_energy_above_idle_is_of_counters_or_of_integrals_and_not_of_one_of_each(self, found):
        """The counter is 4 % low in load and at rest, where it moves every 100 ms."""
        job = found["counter x 0.96"]
        assert job["metrics"]["energy_per_image_j"]["source"] == "NVML energy counter"
        idle = job["conditions"]["idle_context"]
        assert idle["counter_w"] == pytest.approx(96, rel=0.02)
        assert idle["integrated_w"] == pytest.approx(100, rel=1e-3)
        net = job["metrics"]["energy_net_per_image_j"]
        assert net["source"] == "NVML energy counter, less the same at rest"
        assert net["spread"]["idle_w"] == idle["counter_w"]
        assert net["value"] == pytest.approx(0, abs=0.03)

    def test_a_ramp_gives_its_closed_form(self, found):
        window = window_of(found["ramp"])
        assert joules(found["ramp"]) == pytest.approx(
            (60 + 2.5 * (window.start + window.end)) * window.seconds, rel=TOLERANCE
        )

    def test_a_sine_gives_its_closed_form_within_the_sensors_lag(self, found):
        job, omega = found["sine"], 2 * np.pi / 2.5
        window = window_of(job)
        exact = 150 * window.seconds - 60 / omega * (
            np.cos(omega * window.end) - np.cos(omega * window.start)
        )
        lag = 0.02  # half the refresh and half the averaging, 20 ms each
        assert abs(joules(job) - exact) <= 2 * 60 * lag
        assert job["metrics"]["energy_per_image_j"]["source"] == "NVML usage power, integrated"

    def test_a_sensor_of_one_second_that_saw_the_load_begin_is_right_inside(self, found):
        assert value(found["one second sensor"], "power_mean_w") == pytest.approx(
            300, rel=TOLERANCE
        )

    def test_a_counter_that_disagrees_is_stored_and_not_the_headline(self, found):
        job = found["counter x 0.6"]
        assert "counter_power_disagree" in flags(job)
        assert value(job, "energy_counter_j") == pytest.approx(120, rel=TOLERANCE)
        assert value(job, "energy_integrated_j") == pytest.approx(200, rel=1e-6)
        assert value(job, "energy_counter_ratio") == pytest.approx(0.6, rel=TOLERANCE)
        assert joules(job) == pytest.approx(200, rel=1e-6)

    def test_a_counter_that_is_finer_than_the_sensor_is_the_headline(self, found):
        job = found["finer counter x 0.6"]
        assert "counter_power_disagree" in flags(job)
        assert joules(job) == pytest.approx(120, rel=TOLERANCE)
        job = found["dead usage, finer counter"]
        assert joules(job) == pytest.approx(200, rel=TOLERANCE)
        assert job["metrics"]["energy_per_image_j"]["source"] == "NVML energy counter"
        assert reason(job, "energy_integrated_j") == "nvml_transient"

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("counter stuck", "counter_stuck"),
            ("counter decreasing", "counter_reset"),
            ("no counter symbol", "driver_too_old"),
            ("dead counter", "nvml_transient"),
        ],
    )
    def test_an_invalid_counter_leaves_the_integral(self, found, name, why):
        assert (
            reason(found[name], "energy_counter_j")
            == reason(found[name], "energy_counter_ratio")
            == why
        )
        assert joules(found[name]) == pytest.approx(200, rel=1e-6)

    def test_power_of_zero_is_no_power(self, found):
        job = found["zero"]
        assert (
            reason(job)
            == reason(job, "energy_eq2_per_image_j")
            == reason(job, "energy_integrated_j")
            == "no_valid_samples"
        )
        assert reason(job, "energy_counter_j") == "counter_stuck"

    def test_a_sampler_that_stalls_is_flagged_and_one_that_starves_gives_nothing(self, found):
        assert found["stall of 200 ms"]["metrics"]["energy_per_image_j"]["flags"] == ["sampler_gap"]
        assert joules(found["stall of 200 ms"]) == pytest.approx(200, rel=TOLERANCE)
        assert reason(found["stall of 900 ms"]) == "sampler_starved"

    def test_a_sensor_that_often_fails_is_asked_less_often(self, found):
        job = found["often not supported"]
        assert "poll_rate_reduced" in flags(job)
        assert joules(job) == pytest.approx(200, rel=TOLERANCE)
        codes, watts = (np.array(job["arrays"][f"power_usage_{what}"]) for what in ("code", "w"))
        assert (codes == 3).sum() == np.isnan(watts).sum() > 0
        assert np.median(np.diff(job["arrays"]["power_t_ns"])[-20:]) / 1e9 == pytest.approx(
            0.05, rel=0.2
        )

    @pytest.mark.parametrize(("name", "code"), [("lost", "15"), ("reset required", "16")])
    def test_a_lost_card_ends_the_measurement_and_keeps_the_samples_before(self, found, name, code):
        job = found[name]
        assert "lost" in job["lost"]
        assert {metric["reason"] for metric in job["metrics"].values()} == {"gpu_lost"}
        assert (
            len(job["arrays"]["power_usage_w"]) == 59
        )  # the first of 60 readings chose the sensor
        assert set(job["arrays"]["power_usage_w"]) == {100.0}

    def test_what_passes_is_read_again_and_counted(self, found):
        job = found["transient"]
        assert joules(job) == pytest.approx(200, rel=TOLERANCE)
        assert job["conditions"]["retries"] == 2

    def test_a_source_that_does_not_come_back_is_null_and_another_takes_its_place(self, found):
        job = found["dead usage"]
        assert reason(job) == reason(job, "energy_eq2_per_image_j") == "nvml_transient"
        assert value(job, "energy_counter_j") == pytest.approx(200, rel=TOLERANCE)
        job = found["dead usage, instant works"]
        assert joules(job) == pytest.approx(200, rel=TOLERANCE)
        assert reason(job, "energy_eq2_per_image_j") == "nvml_transient"

    def test_another_process_on_the_card_leaves_no_energy_unless_it_is_allowed(self, found):
        job = found["contended"]
        assert {
            reason(job, name)
            for name in (
                "energy_per_image_j",
                "power_mean_w",
                "energy_eq2_per_image_j",
                "energy_counter_j",
            )
        } == {"contended"}
        assert "contended" in flags(found["contended, allowed"])
        assert joules(found["contended, allowed"]) == pytest.approx(200, rel=TOLERANCE)
        assert flags(found["alone"]) == []
        assert flags(found["alone in a namespace"]) == ["exclusivity_unknown"]

    def test_processes_that_cannot_be_listed_are_not_taken_for_none(self, found):
        assert flags(found["processes unreadable"]) == ["exclusivity_unknown"]

    def test_slowed_clocks_are_flagged(self, found):
        assert flags(found["throttled"]) == ["throttled"]
        assert found["throttled"]["conditions"]["event_reasons"] == {"software_thermal": 1.0}

    def test_power_of_the_module_is_named(self, found):
        assert found["module"]["conditions"]["power_scope"] == "module"
        assert joules(found["module"]) == pytest.approx(200, rel=TOLERANCE)
        assert reason(found["module"], "energy_eq2_per_image_j") == "not_supported"

    def test_a_rest_that_was_none_gives_no_energy_above_it(self, found):
        job = found["busy at rest"]
        assert value(job, "power_idle_w") == pytest.approx(100, rel=0.02)
        assert reason(job, "energy_net_per_image_j") == "idle_not_quiet"

    def test_too_short_a_window_and_an_interruption_say_so(self, found):
        assert (
            reason(found["too short"])
            == reason(found["too short"], "energy_eq2_per_image_j")
            == "window_too_short"
        )
        assert (
            reason(found["interrupted"])
            == reason(found["interrupted"], "energy_counter_j")
            == "interrupted"
        )

    def test_an_unknown_sensor_is_probed_under_load_and_the_window_holds_fifty_of_its_figures(
        self, found
    ):
        job = found["unknown sensor"]
        assert job["conditions"]["sensors"]["usage"]["origin"] == "probe"
        assert job["conditions"]["sensors"]["usage"]["refresh_s"] == pytest.approx(0.05, rel=0.05)
        assert job["conditions"]["counter_refresh_s"] == pytest.approx(0.02, rel=0.1)
        assert job["conditions"]["window_s"] == pytest.approx(2.5, rel=0.05)
        assert np.median(np.diff(job["arrays"]["power_t_ns"])) / 1e9 == pytest.approx(
            0.025, rel=0.1
        )

    def test_training_steps_have_energy_and_no_eq2(self, found):
        assert found["train"]["metrics"]["energy_per_image_j"]["protocol"] == "train"
        assert reason(found["train"], "energy_eq2_per_image_j") == "no_inference"


def test_energy_of_a_cpu_job_is_that_of_its_packages(found):
    metrics = found["RAPL"]["metrics"]
    energy = metrics["energy_per_image_j"]
    assert (energy["source"], energy["flags"]) == ("RAPL packages", [])
    assert energy["value"] * metrics["energy_throughput_img_s"]["value"] == pytest.approx(
        80, rel=0.03
    )
    assert metrics["power_idle_w"]["value"] == pytest.approx(80, rel=0.05)
    assert (
        metrics["energy_eq2_per_image_j"]["reason"]
        == metrics["energy_counter_ratio"]["reason"]
        == "cpu_device"
    )


def check_the_rest(record: Record) -> None:
    """Time and memory are there, whatever became of energy."""
    assert record.value("latency_ms") > 0
    assert record.value("throughput_img_s") > 0
    assert record.value("mem_params_bytes") > 0
    assert (
        record.value("mem_host_peak_bytes") is not None
        or record.measured["mem_host_peak_bytes"].reason
    )


def test_a_whole_job_has_its_energy_its_samples_and_its_conditions(found):
    record, folder = found["power"]
    assert (record.status, list(record.phases)[-1]) == ("ok", "energy")
    check_the_rest(record)
    energy, rate = record.measured["energy_per_image_j"], record.value("energy_throughput_img_s")
    if energy.reason == "sampler_starved":
        pytest.skip("this machine was too busy to sample power")
    assert energy.value * rate == pytest.approx(120, rel=TOLERANCE)
    assert record.value("power_idle_w") == pytest.approx(120, rel=TOLERANCE)
    assert record.value("energy_eq2_per_image_j") > 0
    assert record.conditions["energy"]["systematic_pct"] == 5
    with np.load(folder / record.samples) as samples:
        assert {
            "latency_ns",
            "power_t_ns",
            "power_usage_w",
            "power_instant_w",
            "energy_counter_j",
            "state_sm_clock_mhz",
            "load_calls",
        } <= set(samples)
        assert set(samples["power_instant_w"]) == {120.0}


def test_a_whole_job_without_power_is_ok_and_has_time_and_memory(found):
    record, _ = found["no driver"]
    assert record.status == "ok"
    check_the_rest(record)
    assert {
        record.measured[name].reason
        for name in record.measured
        if "energy" in name or "power" in name
    } == {"driver_not_loaded"}
    assert "energy" not in record.phases


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


class Slow:
    """An instrument of 100 W, one of whose readings takes long."""

    traits, conditions, probed, period_s = Traits("slow", 0, 0), {}, True, 0.02
    sensors = {"usage": Sensor(0.04, 0.04)}  # noqa: RUF012

    def __init__(self):
        self.readings = 0

    def watts(self):
        self.readings += 1
        time.sleep(0.13 if self.readings == 4 else 0)
        return {"usage": (100.0, 0) if self.readings != 6 else (float("nan"), 3)}

    def joules(self):
        return {"counter": 100 * time.perf_counter()}

    def state(self):
        return {}


def test_late_ticks_are_skipped_and_never_made_up_for():
    meter = SampledMeter(Slow())
    begun = time.perf_counter()
    meter.start()
    time.sleep(0.6)
    trace = meter.stop()
    starts = np.array(trace.times) - np.array(trace.took) / 2
    ticks = np.floor((starts - starts[0]) / 0.02 + 1e-3)
    assert 5 < len(ticks) <= (time.perf_counter() - begun) / 0.02 - 5
    assert (np.diff(ticks) > 0).all()
    assert len(meter.samples()) == len(trace.times) - 1
    assert {watts for _, watts in meter.samples()} == {100.0}


def test_right_after_an_edge_the_counter_is_read_closely_until_it_changes():
    meter = SampledMeter(Slow())
    edge = time.perf_counter() + 0.305
    meter.start(period_s=0.1, edges=[edge])
    time.sleep(0.6)
    times, _ = meter.stop().counter("counter")
    assert len(times) > len(meter.trace.times)
    after = times[times >= edge]
    assert after[1] - after[0] < 0.05


def test_a_meter_that_is_not_there_is_null_and_takes_no_samples(tmp_path):
    meter = meter_of(RaplInstrument(tmp_path))
    meter.start()
    assert (meter.why_not, meter.stop(), meter.samples()) == ("rapl_absent", Trace(), [])
