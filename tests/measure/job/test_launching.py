"""The card's own time and the network as a graph, beside the time of launching."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import pytest
import torch
from make_believe import Card, event

from archbench.measure.job.bench import Bench
from archbench.measure.job.launching import busy, graph, why_no_graph
from archbench.measure.job.phases import first_call
from archbench.measure.machine.device import Device
from archbench.measure.machine.kernels import kernel_intervals, union
from archbench.reasons import Reason
from archbench.records import Metric
from archbench.settings import Settings

ALONE = Settings(device="cuda", allow_shared=True, budget_s=0.5, n_min=3, t_min_s=0.01)
ON_CPU = Settings(device="cpu")


def bench_on(device: Device, network: torch.nn.Module | None = None) -> Bench:
    return Bench(network or torch.nn.Identity(), device, cycle([torch.zeros(1)]))


def test_kernels_that_overlap_count_once_and_gaps_not_at_all() -> None:
    assert union([(10, 20), (0, 5), (15, 30), (16, 18), (40, 41)]) == 5 + 20 + 1
    assert union([]) == 0


def test_only_kernels_are_the_cards_work() -> None:
    seen = [
        event("volta_sgemm", 0, 3),
        event("Memcpy HtoD (Pageable -> Device)", 3, 9),
        event("Memset (Device)", 9, 10),
        event("forward", 0, 10, is_user_annotation=True),
        event("aten::conv2d", 0, 10, device="CPU"),
        event("relu", 12, 13, is_user_annotation=False),
    ]
    assert kernel_intervals(seen) == [(0, 3), (12, 13)]


@pytest.mark.parametrize(("busy_us", "flags"), [(810, ()), (790, ("launch_bound",))])
def test_a_card_at_work_in_less_than_80_percent_of_a_call_is_bound_by_launching(
    monkeypatch: pytest.MonkeyPatch, busy_us: float, flags: tuple[str, ...]
) -> None:
    card = Card(kernels=tuple((1e3 * i, 1e3 * i + busy_us) for i in range(20)))
    bench = bench_on(card.open(monkeypatch))
    card.calls.clear()
    found = busy(bench, Metric.of("latency_ms", 1.0, "host clock", "model"))
    assert found["gpu_busy_ms"].value == pytest.approx(busy_us / 1e3)
    assert "mean of 20 calls" in found["gpu_busy_ms"].source
    assert (found["latency_ms"].flags if flags else ()) == flags
    assert ("latency_ms" in found) == bool(flags)
    assert card.calls == ["profile", "synchronize"] * 2


def test_what_the_profiler_does_not_see_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    latency = Metric.of("latency_ms", 1.0, "host clock", "model")
    found = busy(bench_on(Card().open(monkeypatch)), latency)
    assert {name: metric.reason for name, metric in found.items()} == {
        "gpu_busy_ms": Reason.NO_KERNELS_SEEN
    }
    on_cpu = busy(bench_on(Device(Settings(device="cpu"))), latency)
    assert on_cpu["gpu_busy_ms"].reason == Reason.CPU_DEVICE


def test_a_network_is_timed_as_a_graph_without_its_postprocessing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card()
    bench = bench_on(card.open(monkeypatch))
    bench.load = object()
    found = graph(bench, ALONE, lambda: False)
    assert found.value is not None
    assert found.spread is not None
    assert found.spread["n"] >= 3
    assert card.calls.count("capture") == 1
    assert card.calls.index("capture") < card.calls.index("replay")
    assert bench.replay is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("operation not permitted when stream is capturing", Reason.NOT_CAPTURABLE),
        ("CUDA error: out of memory", Reason.OUT_OF_MEMORY),
        ("CUDA error: invalid argument", Reason.NOT_CAPTURABLE),
    ],
)
def test_a_capture_that_fails_leaves_a_reason(
    monkeypatch: pytest.MonkeyPatch, error: str, reason: Reason
) -> None:
    bench = bench_on(Card(capture_fails=error).open(monkeypatch))
    assert graph(bench, ALONE, lambda: False).reason == reason


def test_why_there_is_no_graph_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_graph(bench_on(Device(Settings(device="cpu"))), interrupted=False) == "cpu_device"
    bench = bench_on(Card().open(monkeypatch))
    assert why_no_graph(bench, interrupted=False) is None
    assert why_no_graph(bench, interrupted=True) == "interrupted"
    bench.replay = bench.network
    assert why_no_graph(bench, interrupted=False) == "one_graph"


def test_the_first_call_of_a_graph_is_its_capture_too(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card()
    settings = replace(ALONE, cuda_graph=True)
    bench = bench_on(card.open(monkeypatch, settings))
    card.calls.clear()
    cold = first_call(bench, settings, is_calibrated=True)
    assert card.calls.index("record") < card.calls.index("capture") < card.calls.index("replay")
    assert cold.source == "host clock, first call after the pass that calibrates the weights"
    given = first_call(bench_on(Device(ON_CPU)), ON_CPU, is_calibrated=False)
    assert given.source == "host clock, first call"


def test_what_gives_final_detections_is_bound_by_launching_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A past bug: the flagged time came back as that of a forward pass alone."""
    network = torch.nn.Identity()
    network.outputs = "final"  # type: ignore[assignment]
    bench = bench_on(Card(kernels=((0, 1),)).open(monkeypatch), network)
    found = busy(bench, Metric.of("total_ms", 1.0, "host clock", "model+post"))
    assert found["total_ms"].flags == ("launch_bound",)
    assert found["gpu_busy_ms"].protocol == "model+post"
    assert "latency_ms" not in found
    assert why_no_graph(bench, interrupted=False) == "post_in_forward"
