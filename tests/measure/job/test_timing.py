"""What follows from the samples of a job: medians, their protocol, flags."""

from __future__ import annotations

from itertools import cycle

import pytest
import torch

from archbench.measure.job.bench import Bench
from archbench.measure.job.sampling import Collected
from archbench.measure.job.timing import as_total, is_steady, rates, times, warm_up
from archbench.measure.machine.cuda import CudaDevice
from archbench.measure.machine.device import Device
from archbench.settings import Settings
from archbench.zoo.catalogue import resolve

CLASSIFIER = resolve("resnet18", batch=4).spec
DETECTOR = resolve("vovnet39", "refinedet320").spec


def collected(**columns: float) -> Collected:
    samples = {name: [value] * 20 for name, value in columns.items()}
    return Collected(samples, started=list(range(20)), elapsed_s=1.0, stop_reason="converged")


def test_images_and_operations_a_second_follow_from_the_median():
    timed = times(collected(latency_ms=0.02), CLASSIFIER, [])
    assert timed["fps"].value == pytest.approx(200)
    found = rates(timed, CLASSIFIER, {"macs": 10**9, "macs_all": 2 * 10**9})
    assert (found["gmacs_per_s"].value, found["flops_per_s"].value) == pytest.approx((200, 800e9))
    assert found["fps_total"].reason == "no_postprocess"


def test_both_times_of_a_detector_have_their_protocols():
    timed = times(collected(latency_ms=0.1, postprocess_ms=0.01, total_ms=0.11), DETECTOR, [])
    assert {name: metric.protocol for name, metric in timed.items() if metric.value} == {
        "latency_ms": "model",
        "postprocess_ms": "post",
        "total_ms": "model+post",
        "fps": "model",
    }
    assert rates(timed, DETECTOR, {"macs": 1, "macs_all": 1})["fps_total"].value == pytest.approx(
        1 / 0.11
    )


def test_a_device_without_a_clock_of_its_own_has_no_time_by_it():
    timed = times(collected(latency_ms=0.1), CLASSIFIER, [])
    assert (timed["gpu_ms"].value, timed["gpu_ms"].reason) == (None, "cpu_device")


def test_the_time_between_events_is_told_and_judges_nothing():
    """The first is recorded on an idle card, so that the gaps of launching lie between them."""
    timed = times(collected(latency_ms=1.0, gpu_ms=0.1), CLASSIFIER, [])
    assert timed["latency_ms"].flags == ()
    assert timed["gpu_ms"].value == pytest.approx(100)
    assert timed["gpu_ms"].source == "CUDA events"


def test_a_training_step_is_its_own_protocol():
    timed = times(
        collected(latency_ms=0.5, gpu_ms=0.5), resolve("resnet18", batch=4, mode="train").spec, []
    )
    assert {metric.protocol for metric in timed.values()} == {"train"}
    assert set(timed) == {"latency_ms", "gpu_ms", "fps"}


def test_samples_that_did_not_converge_and_disturbances_are_flags():
    samples = collected(latency_ms=0.5)
    samples.stop_reason = "budget"
    assert times(samples, CLASSIFIER, ["cpu_contended"])["latency_ms"].flags == (
        "cpu_contended",
        "ci_not_met",
    )


class Cold(Device):
    """A device that is warm at once, but for the calls that it asks for."""

    warmup_s = 0.0


def calls_of_warm_up(device: Device, *, stop_after: int | None = None) -> tuple[int, bool]:
    """How often a warm-up calls the network, and whether it became steady."""
    calls: list[int] = []
    network = torch.nn.Identity()
    network.register_forward_hook(lambda *_: calls.append(1))
    bench = Bench(network, device, cycle([torch.zeros(1)]))
    steady = warm_up(bench, lambda: stop_after is not None and len(calls) >= stop_after)
    return len(calls), steady


def test_warm_up_makes_the_calls_that_the_device_asks_for():
    assert (Device.warmup_calls, CudaDevice.warmup_calls) == (5, 20)
    assert calls_of_warm_up(Cold(Settings(threads=1))) == (5, True)


def test_warm_up_that_may_take_no_time_makes_two_calls_all_the_same():
    device = Cold(Settings(threads=1))
    device.warmup_limit_s = 0.0
    assert calls_of_warm_up(device) == (2, True)
    device.steady = True
    assert calls_of_warm_up(device) == (2, False)


def test_warm_up_lasts_as_long_as_the_device_asks_for():
    device = Cold(Settings(threads=1))
    device.warmup_s, device.warmup_calls = 0.05, 1
    assert calls_of_warm_up(device)[0] > 10


def test_an_interruption_ends_the_warm_up():
    assert calls_of_warm_up(Cold(Settings(threads=1)), stop_after=3) == (3, False)


def test_warm_up_is_steady_when_the_last_two_blocks_agree():
    assert not is_steady([0.03] * 15)
    assert is_steady([0.03] * 20)
    assert not is_steady([0.03] * 10 + [0.02] * 10)


def test_what_gives_final_detections_is_timed_as_a_whole():
    timed = as_total(times(collected(latency_ms=0.02), DETECTOR, []))
    assert (timed["total_ms"].value, timed["total_ms"].protocol) == (
        pytest.approx(20),
        "model+post",
    )
    lacking = {name for name, metric in timed.items() if metric.reason == "post_in_forward"}
    assert lacking == {"latency_ms", "gpu_ms", "postprocess_ms", "fps"}
    found = rates(timed, DETECTOR, {"macs": 1, "macs_all": 1})
    assert found["fps_total"].value == pytest.approx(50)
    assert found["gmacs_per_s"].reason == "post_in_forward"
