"""Integrals and counters in closed form, and the times at which meters are read."""

from __future__ import annotations

import time
from dataclasses import replace

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
        assert believe(100.0, "integral", far, is_finer=True).watts == 60
        blurred = replace(far, blurred_s=0.6)
        assert believe(100.0, "integral", blurred, is_finer=True).watts == 100
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

    @pytest.mark.parametrize(
        ("counter_s", "averaging_s", "is_counted"),
        [(0.0999, 0.025, False), (0.05, 0.025, True), (0.1, 1.0, True), (0.6, 1.0, False)],
    )
    def test_a_counter_is_finer_that_moves_twice_while_a_figure_stands(
        self, counter_s, averaging_s, is_counted
    ):
        """A past bug: noise decided between a counter and a sensor that refresh alike."""
        meter, trace = self.meter("instant"), self.trace(instant=100.0)
        meter.sensors = {"instant": Sensor(0.1, averaging_s)}
        meter.conditions = {"counter_refresh_s": counter_s}
        times, joules = counter(watts=60.0)
        trace.count_times, trace.joules = times.tolist(), {"counter": joules.tolist()}
        power = power_in(meter, trace, TEN)
        assert power.flags == ("counter_power_disagree",)
        assert (power.is_counted, power.watts) == (
            is_counted,
            pytest.approx(60 if is_counted else 100, rel=0.01),
        )

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
    assert np.diff(after).min() < 0.05


def test_a_meter_that_is_not_there_is_null_and_takes_no_samples(tmp_path):
    meter = meter_of(RaplInstrument(tmp_path))
    meter.start()
    assert (meter.why_not, meter.stop(), meter.samples()) == ("rapl_absent", Trace(), [])
