"""Calls back to back, the parts of a call, folded normalisations, repeats."""

from __future__ import annotations

import json
from itertools import cycle

import pytest
import torch
from make_believe import calls_of
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import archbench
from archbench.cli.main import run
from archbench.cli.profile import _typical
from archbench.measure.job.bench import Bench
from archbench.measure.job.passes import copies, parts, throughput
from archbench.measure.job.weights import calibrate, fold_batch_norms, initialise
from archbench.measure.machine.device import Device
from archbench.reasons import Flag, Status
from archbench.records import Metric, Record
from archbench.report.tables.profile import repeats_note
from archbench.settings import DEFAULT, Settings
from archbench.zoo.catalogue import resolve
from archbench.zoo.ops.deform import DeformConv


def bench(
    backbone: str = "resnet18",
    detector: str | None = None,
    *,
    size: int = 64,
    batch: int = 2,
    **options: int,
) -> Bench:
    network = archbench.build(backbone, detector, size=size, **options)
    return Bench(network, Device(Settings(threads=1)), cycle([torch.randn(batch, 3, size, size)]))


def test_images_a_second_are_those_of_all_calls_together() -> None:
    timed = bench()
    calls = []
    timed.network.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        metric = throughput(timed, Settings(budget_s=2), calls_of(10.0, 2))["throughput_img_s"]
    assert metric.spread
    assert metric.spread["calls"] == len(calls) >= 2
    assert 0.2 <= metric.spread["elapsed_s"] < 1.5
    assert metric.value == pytest.approx(2 * len(calls) / metric.spread["elapsed_s"])


def test_what_warns_of_single_calls_warns_of_those_back_to_back() -> None:
    """A past bug: an engine that computed something else had a throughput without a flag."""
    single = calls_of(10.0, 2, flags=(Flag.ENGINE_DIFFERS,))
    with torch.inference_mode():
        found = throughput(bench(), Settings(budget_s=0.1), single)
    assert found["throughput_img_s"].flags == (Flag.ENGINE_DIFFERS,)


@pytest.mark.parametrize(
    ("backbone", "detector", "size"),
    [("resnet18", None, 64), ("resnet18", "ssd-huang", 160), ("mobilenet", "faster-rcnn", 96)],
)
def test_a_call_is_its_backbone_and_all_else(
    backbone: str, detector: str | None, size: int
) -> None:
    options = {"proposals": 5} if detector == "faster-rcnn" else {}
    timed = bench(backbone, detector, size=size, batch=1, **options)
    with torch.inference_mode():
        found = parts(timed, Settings())
        seconds = timed.timed(timed.forward, 3).host_s
    values = [metric.value for metric in found.values()]
    assert list(found) == ["backbone_ms", "heads_ms"]
    assert all(value is not None and value > 0 for value in values)
    assert sum(value or 0 for value in values) == pytest.approx(1e3 * seconds, rel=1.5)
    assert not timed.network._forward_hooks


@pytest.mark.parametrize(("budget_s", "passes"), [(60.0, 7), (1e-6, 3)])
def test_the_parts_are_of_seven_passes_or_of_three_that_take_more_than_a_tenth_of_the_budget(
    budget_s: float, passes: int
) -> None:
    with torch.inference_mode():
        found = parts(bench(), Settings(budget_s=budget_s))
    assert {metric.source for metric in found.values()} == {
        f"host clock, median of {passes} passes of their own"
    }


def test_a_trunk_alone_has_no_parts() -> None:
    network = archbench.build("resnet18", classes=0, size=64)
    timed = Bench(network, Device(Settings(threads=1)), cycle([torch.randn(1, 3, 64, 64)]))
    assert {metric.reason for metric in parts(timed, Settings()).values()} == {"no_parts"}


def test_a_call_that_is_replayed_as_a_whole_has_no_parts() -> None:
    timed = bench()
    assert not timed.is_one_graph
    timed.replay = timed.network
    assert {metric.reason for metric in parts(timed, Settings()).values()} == {"one_graph"}


def test_a_compiled_network_is_a_whole() -> None:
    timed = bench()
    timed.network.compile()
    assert timed.is_one_graph


def test_nothing_is_copied_to_a_cpu() -> None:
    assert copies(bench())["copy_ms"].reason == "cpu_device"


@pytest.mark.parametrize(
    ("backbone", "detector", "folded", "norms"),
    [
        ("resnet18", None, 20, 20),
        ("mobilenet", "ssd-huang", 35, 35),
        ("densenet121", None, 59, 121),
        ("resnet18-gn", None, 0, 0),
    ],
)
def test_folding_changes_no_output(
    backbone: str, detector: str | None, folded: int, norms: int
) -> None:
    network = archbench.build(backbone, detector, size=96)
    initialise(network, seed=0)
    calibrate(network, torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    images = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before = network(images)
        assert fold_batch_norms(network) == (folded, norms)
        after = network(images)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-3, atol=1e-3)


class Active(nn.BatchNorm2d):
    """A normalisation that activates as well, as timm's do."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(maps).relu()


def test_a_deformable_convolution_is_folded() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(DeformConv(4, 8), norm := nn.BatchNorm2d(8)).eval()
    nn.init.normal_(network[0].moves.weight)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    images = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        before = network(images)
        assert fold_batch_norms(network) == (1, 1)
        torch.testing.assert_close(network(images), before, rtol=1e-4, atol=1e-4)


class Doubling(nn.Sequential):
    """A chain that does more than run its parts."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * maps)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 1), Active(4)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
        nn.Sequential(weight_norm(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4)),
        Doubling(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
    ],
    ids=["activates", "without statistics", "parametrised", "another chain"],
)
def test_what_may_compute_more_is_not_folded(network: nn.Sequential) -> None:
    """A past bug: the activations of such normalisations were lost."""
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network.eval()(images)
        assert fold_batch_norms(network) == (0, 1)
        assert torch.equal(network(images), before)


@pytest.mark.slow
def test_repeats_are_records_and_a_sentence(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "profile",
        "resnet18",
        "--size",
        "64",
        "--device",
        "cpu",
        "--quick",
        "--budget",
        "0.3",
        "--repeats",
        "2",
        "--fold-bn",
        "--results",
        str(tmp_path),
    ]
    assert run(command) == 0
    assert "2 processes: forward" in " ".join(capsys.readouterr().out.split())
    lines = [
        json.loads(line)
        for file in tmp_path.glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len({record["record_id"] for record in lines}) == 2
    assert {record["conditions"]["folded_norms"] for record in lines} == {"20 of 20"}
    assert all(
        record["settings"]["fold_bn"] and record["phases"]["throughput"] > 0 for record in lines
    )


def test_medians_that_lie_apart_say_so() -> None:
    assert "not_repeatable" not in repeats_note([10.0, 10.1, 10.2])
    assert repeats_note([10.0, 11.0, 10.5]).endswith("not_repeatable: more than 3 %")
    assert "10.00 to 11.00 ms, 9.5 % apart" in repeats_note([10.0, 11.0, 10.5])


@pytest.mark.parametrize("word", ["latency_ms", "total_ms"])
def test_of_several_processes_the_middle_one_is_shown_or_the_first_that_failed(word: str) -> None:
    spec = resolve("resnet18").spec

    def ended(ms: float, status: Status = Status.OK) -> Record:
        return Record(spec, DEFAULT, status, measured={word: Metric(ms, "ms")})

    records = [ended(ms) for ms in (9.0, 7.0, 8.0)]
    assert _typical(records) is records[2]
    failed = ended(1.0, Status.OOM)
    assert _typical([*records, failed, ended(2.0, Status.ERROR)]) is failed
