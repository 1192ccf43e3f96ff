"""A card as a device: what is set on it, what is refused, what its memory figures hold."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import cycle

import pytest
import torch
from make_believe import A_CALL, Card, calls_of

import archbench
from archbench.measure.job.allowance import Allowance
from archbench.measure.job.bench import Bench
from archbench.measure.job.findings import Report
from archbench.measure.job.memory import memory
from archbench.measure.job.passes import parts, throughput
from archbench.measure.job.phases import Asked, preflight
from archbench.measure.job.training import TrainingStep
from archbench.measure.machine import cooling, host
from archbench.measure.machine.cuda import allow_tf32
from archbench.measure.power.use import Process, Use
from archbench.measure.roofline import probes
from archbench.records import Metric
from archbench.settings import Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve

ALONE = Settings(device="cuda", allow_shared=True)


@pytest.mark.parametrize(
    ("capability", "refused"),
    [((7, 0), ["tf32", "bf16"]), ((7, 5), ["tf32", "bf16"]), ((8, 0), []), ((12, 0), [])],
)
def test_a_precision_that_a_card_has_not_is_refused_in_one_line(monkeypatch, capability, refused):
    for precision in ("fp32", "tf32", "fp16", "bf16"):
        card = Card(capability=capability)
        if precision not in refused:
            card.open(monkeypatch, replace(ALONE, precision=precision))
            continue
        with pytest.raises(UsageError, match=rf"precision {precision} needs .* 8\.0") as refusal:
            card.open(monkeypatch, replace(ALONE, precision=precision))
        assert str(refusal.value).endswith("(choose from fp32, fp16)")
        assert "\n" not in str(refusal.value)


@pytest.fixture
def fp32_as_it_was():
    matmul, conv = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = conv


@pytest.mark.parametrize("allowed", [True, False])
def test_no_getter_of_torchs_two_ways_rejects_what_was_set_of_tf32(fp32_as_it_was, allowed):
    """torch.compile reads the older way while it makes its keys, so that none may raise."""
    for before in (not allowed, allowed):
        allow_tf32(before)
    assert torch.get_float32_matmul_precision() == ("high" if allowed else "highest")
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed
    newer = (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)
    assert all((precision == "tf32") is allowed for precision in newer)


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False])
def test_torch_compiles_whatever_was_set_of_tf32(fp32_as_it_was, allowed):
    allow_tf32(allowed)
    network = torch.nn.Conv2d(3, 4, 3).eval()
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        expected = network(images)
        torch.testing.assert_close(torch.compile(network, dynamic=False)(images), expected)


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_a_job_sets_tf32_and_reads_back_what_is_in_force(monkeypatch, fp32_as_it_was, precision):
    found = Card().open(monkeypatch, replace(ALONE, precision=precision)).fingerprint()
    expected = "tf32" if precision == "tf32" else "ieee"
    assert found["fp32_precision_matmul"] == found["fp32_precision_conv"] == expected
    assert (found["device"], found["uuid"]) == ("cuda:0", "GPU-stub")


def test_events_come_to_be_before_anything_is_timed(monkeypatch):
    card = Card()
    device = card.open(monkeypatch)
    assert card.calls.count("event made") == 2
    bench = Bench(torch.nn.Identity(), device, cycle([torch.zeros(1)]))
    card.calls.clear()
    for _ in range(3):
        assert bench.timed(bench.forward, 2).device_s > 0
    assert card.calls == 3 * ["synchronize", "record", "record", "synchronize"]


def noting(card: Card) -> torch.nn.Module:
    """A network whose calls stand among those of the card."""
    network = torch.nn.Identity()
    network.register_forward_hook(lambda *_: card.calls.append("call"))
    return network


def test_the_host_waits_for_the_card_at_both_ends_of_what_it_times(monkeypatch):
    """What was given before would be timed with a call, and what a call gives would not."""
    card = Card()
    device = card.open(monkeypatch)
    bench = Bench(noting(card), device, cycle([torch.zeros(1)]))
    for timed, calls in (
        (lambda: bench.timed(bench.forward, 2), ["record", "call", "call", "record"]),
        (lambda: probes._timed(device, bench.forward, 2), ["call", "call"]),
    ):
        card.calls.clear()
        assert timed()
        assert card.calls == ["synchronize", *calls, "synchronize"]


def test_calls_back_to_back_begin_and_end_on_an_idle_card(monkeypatch):
    card = Card()
    bench = Bench(noting(card), card.open(monkeypatch), cycle([torch.zeros(1)]))
    card.calls.clear()
    found = throughput(bench, replace(ALONE, budget_s=1e-9), calls_of(20.0))
    assert card.calls == ["synchronize", "call", "call", "synchronize"]
    assert found["throughput_img_s"].spread["calls"] == 2


def test_the_parts_of_a_call_begin_and_end_on_an_idle_card(monkeypatch):
    card = Card()
    device = card.open(monkeypatch)
    network = archbench.build("resnet18", size=32)
    network.backbone.register_forward_hook(lambda *_: card.calls.append("trunk"))
    card.calls.clear()
    with torch.inference_mode():
        parts(Bench(network, device, cycle([torch.zeros(1, 3, 32, 32)])), replace(ALONE))
    around = ["synchronize", "record", "synchronize", "trunk", "synchronize", "record"]
    assert card.calls[:7] == [*around, "synchronize"]


def test_the_peak_of_memory_is_of_the_calls_after_it_was_reset(monkeypatch):
    card = Card(allocated=100, peak=5000)
    device = card.open(monkeypatch)
    network = noting(card)
    network.register_forward_hook(lambda *_: setattr(card, "peak", max(card.peak, 700)))
    card.calls.clear()
    found = memory(Bench(network, device, cycle([torch.zeros(1)])), Allowance(), A_CALL)
    assert found["mem_alloc_peak_bytes"].value == 700
    assert found["mem_act_peak_bytes"].value == 600
    assert card.calls == ["empty_cache", "reset_peak_memory_stats", "call", "call", "synchronize"]


OWN, OTHER, DISPLAY = (
    Process(pid, size << 20) for pid, size in ((os.getpid(), 500), (7, 90), (9, 30))
)


def delta(patch, before: Use, now: Use, *, sees_all: bool = True) -> Metric:
    """What a job finds that it has on a card, by who used it before and who does now."""
    patch.setattr(host, "sees_all_processes", lambda: sees_all)
    card = Card(use=before)
    device = card.open(patch)
    device.reset_memory()
    card.use = now
    found = device.memory(protocol="model")
    assert found["mem_process_bytes"].value == (500 << 20 if sees_all else None)
    return found["mem_device_delta_bytes"]


def seen(used_mib: int, *computing: Process, drawing: tuple[Process, ...] = ()) -> Use:
    return Use(computing, drawing, 0, used_mib << 20)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (seen(100), seen(600, OWN)),
        (seen(100), seen(690, OWN, OTHER)),
        (seen(190, OTHER), seen(600, OWN)),
        (seen(100), seen(630, OWN, drawing=(DISPLAY,))),
    ],
)
def test_a_neighbours_memory_is_none_of_the_jobs(monkeypatch, before, now):
    found = delta(monkeypatch, before, now)
    assert (found.value, found.flags) == (500 << 20, ())


def test_memory_of_neighbours_that_is_not_told_leaves_no_figure(monkeypatch):
    found = delta(monkeypatch, seen(100), seen(690, OWN, Process(7, None)))
    assert found.reason == "not_told_by_process"


def test_in_a_namespace_of_its_own_a_job_cannot_tell_whether_it_was_alone(monkeypatch):
    found = delta(monkeypatch, seen(100), seen(600, Process(3, None)), sees_all=False)
    assert (found.value, found.flags) == (500 << 20, ("exclusivity_unknown",))
    found = delta(
        monkeypatch, seen(100), seen(690, Process(3, None), Process(4, None)), sees_all=False
    )
    assert found.reason == "not_told_by_process"


def test_a_job_that_does_not_know_itself_among_others_has_no_memory_of_its_own(monkeypatch):
    """A past bug: it was 0 where the driver lists the ids of the host, and the memory of each."""
    hosts = [Process(4_100_000 + i, size << 20) for i, size in enumerate((500, 90))]
    found = delta(monkeypatch, seen(100), seen(690, *hosts), sees_all=False)
    assert found.reason == "not_told_by_process"
    found = delta(
        monkeypatch, seen(130, drawing=(DISPLAY,)), seen(630, drawing=(DISPLAY,)), sees_all=False
    )
    assert (found.value, found.flags) == (500 << 20, ("exclusivity_unknown",))


def test_a_card_beyond_the_last_is_refused_with_those_that_there_are(monkeypatch):
    with pytest.raises(UsageError) as refusal:
        Card().open(monkeypatch, replace(ALONE, device="cuda:1"))
    assert str(refusal.value) == (
        "device cuda:1: there is no such CUDA device here (choose from cuda:0)"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"cuda_graph": True},
        {"engine": "compile:reduce-overhead"},
        {"engine": "compile:max-autotune"},
    ],
)
def test_the_allocator_sees_no_peak_of_what_is_replayed(monkeypatch, changes):
    card = Card()
    device = card.open(monkeypatch, replace(ALONE, **changes))
    device.reset_memory()
    card.peak = 1000
    found = device.memory(protocol="model")
    assert {found[f"mem_{kind}_peak_bytes"].reason for kind in ("alloc", "act")} == {"graph_pool"}
    assert found["mem_reserved_peak_bytes"].value == 2000


@pytest.mark.parametrize("engine", ["onnxruntime", "tensorrt"])
def test_torchs_allocator_does_not_see_what_another_engine_takes(monkeypatch, engine):
    """A past bug: its input and outputs stood there for the memory of the whole network."""
    card = Card()
    device = card.open(monkeypatch, replace(ALONE, engine=engine))
    device.reset_memory()
    card.peak = 1000
    found = device.memory(protocol="model")
    peaks = {found[f"mem_{kind}_peak_bytes"].reason for kind in ("alloc", "act", "reserved")}
    assert peaks == {"own_allocator"}


@pytest.mark.parametrize("engine", ["eager", "compile"])
def test_the_allocators_peaks_stand_where_nothing_is_replayed(monkeypatch, engine):
    card = Card(allocated=400)
    device = card.open(monkeypatch, replace(ALONE, engine=engine))
    device.reset_memory()
    card.peak = 1000
    found = device.memory(protocol="model")
    assert found["mem_alloc_peak_bytes"].value == 1000
    assert found["mem_act_peak_bytes"].value == 600


def test_gradients_of_the_last_step_are_not_below_the_peak_of_activations(monkeypatch):
    card = Card()
    device = card.open(monkeypatch)
    network = archbench.build("resnet18", size=32)
    bench = Bench(network, device, cycle([torch.randn(2, 3, 32, 32)]))
    bench.training = TrainingStep(network, classes=1000, seed=0)
    bench.forward()
    held = []
    monkeypatch.setattr(
        torch.cuda,
        "memory_allocated",
        lambda *_: held.append([p.grad for p in network.parameters() if p.grad is not None]) or 0,
    )
    memory(bench, Allowance(), A_CALL)
    assert held == [[]]
    assert any(p.grad is not None for p in network.parameters())


def test_a_job_cools_its_card_before_it_looks_at_it_at_rest_and_notes_where_it_began(
    monkeypatch, tmp_path
):
    card = Card(states=[{"temperature_c": celsius} for celsius in (70.0, 60.0, 52.0)])
    card.install(monkeypatch)
    monkeypatch.setattr(cooling, "POLL_S", 0.0)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    report = Report(tmp_path)
    spec = resolve("resnet18", size=32).spec
    preflight(Asked(spec, ALONE, cool_to_c=50.0), report, lambda: False)
    assert card.looked == 4
    assert report.result.conditions["start_temperature_c"] == 52
