"""What a network is given, and what it finds in the caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from make_believe import A_CALL, Card, calls_of
from torch import Tensor, nn

from archbench.measure.job import phases
from archbench.measure.job.allowance import Allowance
from archbench.measure.job.bench import Bench
from archbench.measure.job.inputs import BUFFERS, Inputs
from archbench.measure.job.launching import busy
from archbench.measure.job.memory import memory
from archbench.measure.job.passes import throughput
from archbench.measure.job.phases import Asked, Report, run
from archbench.measure.job.timing import sample, warm_up
from archbench.measure.machine.device import Device
from archbench.measure.power.load import Load
from archbench.records import Metric
from archbench.settings import Settings
from archbench.zoo.catalogue import resolve

ON_CPU = Settings(device="cpu", threads=1)
SIX = Settings(device="cpu", threads=1, n_min=6, n_max=6, t_min_s=1e-9)


class Noting(nn.Module):
    """Remembers the numbers of the pictures that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.given.append(int(images[0]))
        return images


def test_of_many_pictures_two_lie_on_the_device() -> None:
    placed: list[Tensor] = []

    def place(row: Tensor) -> Tensor:
        placed.append(row.clone())
        return placed[-1]

    inputs = Inputs([torch.tensor([float(number)]) for number in range(100)], place)
    seen = []
    for _ in range(200):
        inputs.refill()
        seen.append(int(next(inputs)))
    assert len(placed) == BUFFERS
    assert sorted(seen) == sorted([*range(100)] * 2)


def test_a_few_inputs_lie_where_they_are_and_take_turns() -> None:
    inputs = Inputs([torch.tensor([1.0]), torch.tensor([2.0])], torch.clone)
    inputs.refill()
    assert [int(next(inputs)) for _ in range(4)] == [1, 2, 1, 2]


PLACES = [torch.clone, partial(Tensor.to, device=torch.device("cpu"))]
"""On a card a placed batch is a copy, on a CPU it may be the batch itself."""


@pytest.mark.parametrize("place", PLACES)
def test_every_picture_has_its_turn_in_what_is_timed(place: Callable[[Tensor], Tensor]) -> None:
    network = Noting()
    inputs = Inputs([torch.tensor([float(number)]) for number in range(3)], place)
    bench = Bench(network, Device(ON_CPU), inputs, refill=inputs.refill)
    sample(bench, SIX, interrupted=lambda: False, tell=lambda **_: None)
    assert set(network.given[-6:]) == {0, 1, 2}


def test_caches_are_emptied_before_each_timed_call_and_outside_of_its_time(monkeypatch) -> None:
    card = Card()
    device = card.open(monkeypatch)
    monkeypatch.setattr(device, "empty_caches", lambda: card.calls.append("emptied"))
    bench = Bench(nn.Identity(), device, cycle([torch.zeros(1)]), cold_caches=True)
    card.calls.clear()
    bench.timed(bench.forward, 1)
    assert card.calls == ["emptied", "synchronize", "record", "record", "synchronize"]
    settings = replace(SIX, device="cuda", flush_cache=True)
    card.calls.clear()
    found = sample(bench, settings, interrupted=lambda: False, tell=lambda **_: None)
    assert found.calls == 1
    assert card.calls.count("emptied") == 6


def test_what_fills_the_caches_is_larger_than_they_are_and_in_no_peak(monkeypatch) -> None:
    card = Card(l2_bytes=1 << 20)
    device = card.open(monkeypatch)
    device.empty_caches()
    assert vars(device)["_filler"].nbytes >= 2 << 20
    memory(Bench(nn.Identity(), device, cycle([torch.zeros(1)])), Allowance(), A_CALL)
    assert "_filler" not in vars(device)


def test_figures_of_calls_one_after_another_are_none_of_cold_caches(monkeypatch) -> None:
    bench = Bench(
        nn.Identity(), Card().open(monkeypatch), cycle([torch.zeros(1)]), cold_caches=True
    )
    latency = Metric.of("latency_ms", 1.0, "host clock", "model")
    found = busy(bench, latency) | throughput(bench, SIX, calls_of(1.0))
    assert {metric.reason for metric in found.values()} == {"warm_caches"}


@pytest.mark.parametrize(
    ("flushes", "caches"), [(True, "emptied before each call"), (False, "warm")]
)
def test_a_job_says_what_its_calls_found_in_the_caches(
    monkeypatch, tmp_path, flushes, caches
) -> None:
    monkeypatch.setattr("archbench.measure.machine.host.last_cache_bytes", lambda: 1 << 20)
    monkeypatch.setattr("archbench.measure.job.phases.warm_up", lambda *_: True)
    report = Report(tmp_path)
    settings = replace(SIX, budget_s=0.1, energy_s=0.01, flush_cache=flushes)
    run(Asked(resolve("resnet18", size=32).spec, settings), report, lambda: False)
    assert report.result.conditions["caches"] == caches
    throughput = report.result.measured["throughput_img_s"]
    assert (throughput.reason == "warm_caches") == flushes
    assert report.result.measured["latency_ms"].value > 0


@pytest.mark.parametrize("place", PLACES)
def test_warming_up_shows_every_picture(place: Callable[[Tensor], Tensor]) -> None:
    network, device = Noting(), Device(ON_CPU)
    device.warmup_s, device.warmup_calls = 0.0, 6
    inputs = Inputs([torch.tensor([float(number)]) for number in range(3)], place)
    warm_up(Bench(network, device, inputs, refill=inputs.refill), lambda: False)
    assert set(network.given) == {0, 1, 2}


def test_the_scene_is_in_no_memory_and_there_again_for_energy(monkeypatch, tmp_path) -> None:
    """A past bug: predictions of 200,000 boxes lay beside a network while its memory was read."""
    scenes = []

    def found_by(bench: Bench, *_: object) -> dict[str, Metric]:
        scenes.append(bench.load)
        return {}

    def measure(load: Load, *_: object) -> None:
        assert load.postprocess
        scenes.append(load.postprocess())

    energy = SimpleNamespace(possible=True, measure=measure, metrics={}, conditions={}, arrays={})
    monkeypatch.setattr("archbench.measure.job.phases.warm_up", lambda *_: True)
    monkeypatch.setattr("archbench.measure.job.phases.memory", found_by)
    began = phases.preflight

    def preflight(*given: Any) -> tuple[Device, Any]:
        return began(*given)[0], SimpleNamespace(**vars(energy), rest=lambda _: None)

    monkeypatch.setattr("archbench.measure.job.phases.preflight", preflight)
    report = Report(tmp_path)
    spec = resolve("resnet18", "refinedet", size=64).spec
    run(Asked(spec, replace(SIX, budget_s=0.1)), report, lambda: False)
    nothing, (detections,) = scenes
    assert nothing is None
    assert len(detections) == report.result.conditions["postprocess_load"]["kept"]
    assert report.result.measured["postprocess_ms"].value > 0
