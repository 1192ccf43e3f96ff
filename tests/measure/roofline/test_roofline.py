"""Bounds in closed form, peaks from probes, and the roofline of whole jobs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from make_believe import Card
from torch import nn

import archbench
from archbench import cache
from archbench.api import Call
from archbench.cli.main import run
from archbench.measure.machine import host
from archbench.measure.machine.devices import open_device
from archbench.measure.roofline import probes
from archbench.measure.roofline.bounds import Bound, Peaks, Probe, Roofline, bounds, describe
from archbench.measure.roofline.probes import SIZES, Sizes, measure_peaks, peaks_of
from archbench.records import Store
from archbench.settings import QUICK

FAST = replace(QUICK, device="cpu", roofline=True)
TINY = Sizes(buffers_mib=(4,), channels=(8,), maps=(14,), sides=(64,), budget_s=5)
PEAKS = Peaks(
    (
        Probe("gemm", "compute", 2e9, 1.5e9, 5),
        Probe("convolution", "compute", 1.8e9, 1.7e9, 5),
        Probe("copy", "memory", 1e9, 0.9e9, 5),
    ),
    ("gemm 8192: too slow",),
    flags=(),
    time_utc="2025-01-02T03:04:05+00:00",
)
ROOFLINE = Roofline(flops_per_s=2e9, bytes_per_s=1e9, element_bytes=4)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def keep(peaks: Peaks) -> None:
    """Have jobs on the CPU find these peaks, so that none need be measured."""
    cache.write("roofline", probes._key(open_device(FAST), FAST, SIZES), asdict(peaks))


def call(*, macs: int, elements: int, images: int = 1) -> Call:
    return Call(
        path="",
        op="conv2d",
        kernel=(1, 1),
        stride=(1, 1),
        groups=1,
        in_shape=(1,),
        out_shape=(1,),
        params=0,
        macs=macs,
        mac_eq1=elements,
        mac_bound=None,
        cio=None,
        images=images,
        elements=elements,
    )


@pytest.mark.parametrize(
    ("made", "bound"),
    [
        (call(macs=5_000_000, elements=1), Bound(5e-3, "compute")),
        (call(macs=1, elements=5_000_000), Bound(20e-3, "memory")),
        (call(macs=4_000_000, elements=1_000_000), Bound(4e-3, "compute")),
        (call(macs=5_000_000, elements=1, images=3), Bound(15e-3, "compute")),
    ],
)
def test_a_layer_takes_the_longer_of_its_operations_and_its_bytes(made: Call, bound: Bound) -> None:
    assert ROOFLINE.bound(made) == bound


def test_half_the_bytes_an_element_halve_the_memory_s_bound() -> None:
    assert replace(ROOFLINE, element_bytes=2).bound(call(macs=1, elements=5_000_000)) == Bound(
        10e-3, "memory"
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_scales_operations_and_activations_but_not_weights(batch: int) -> None:
    report = archbench.count(nn.Conv2d(6, 8, 3, padding=1, bias=False), (batch, 6, 10, 10))
    weights = 9 * 6 * 8
    for roofline, seconds in (
        (replace(ROOFLINE, flops_per_s=1e-9), 2 * batch * 100 * weights / 1e-9),
        (replace(ROOFLINE, flops_per_s=1e30), 4 * (batch * 100 * (6 + 8) + weights) / 1e9),
    ):
        assert roofline.bound_layers(report.calls) == pytest.approx(seconds)


def test_for_one_image_a_convolution_s_bytes_are_its_memory_access_cost() -> None:
    report = archbench.cost("resnet50")
    convolutions = [each for each in report.calls if each.mac_eq1 is not None]
    assert len(convolutions) == 53
    assert [each.elements for each in convolutions] == [each.mac_eq1 for each in convolutions]
    (linear,) = (each for each in report.calls if each.op == "linear")
    assert linear.elements == 2048 + 2048 * 1000 + 1000


def test_the_second_bound_adds_what_other_operators_move() -> None:
    """Of a convolution (its bias too), a normalisation with four vectors and an activation in
    place.
    """
    network = nn.Sequential(
        nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten()
    )
    report = archbench.count(network, (2, 6, 10, 10))
    layers = ROOFLINE.bound_layers(report.calls)
    others = 4 * (8 + (2 * 1600 + 4 * 8) + 2 * 1600)
    assert ROOFLINE.bound_all(report) == pytest.approx(layers + others / 1e9)
    half = replace(ROOFLINE, element_bytes=2)
    assert half.bound_all(report) == pytest.approx(
        half.bound_layers(report.calls) + others / 2 / 1e9
    )


def test_the_share_is_shown_as_it_is_also_above_1() -> None:
    report = archbench.cost("resnet18")
    conditions = {"roofline": describe(PEAKS, FAST, cached=False)}
    found = bounds(report, conditions, FAST, latency_ms=1.0)
    roofline = Roofline.from_conditions(conditions)
    assert roofline == ROOFLINE
    assert found["roofline_bound_ms"].value == pytest.approx(
        1e3 * roofline.bound_layers(report.calls)
    )
    assert found["roofline_bound_all_ms"].value == pytest.approx(1e3 * roofline.bound_all(report))
    assert found["roofline_attainable"].value == found["roofline_bound_ms"].value > 1


@pytest.mark.parametrize("fused", [{"fold_bn": True}, {"engine": "compile"}])
def test_fused_operators_leave_the_second_bound_null(fused: dict[str, Any]) -> None:
    conditions = {"roofline": describe(PEAKS, FAST, cached=False)}
    found = bounds(archbench.cost("resnet18"), conditions, replace(FAST, **fused), latency_ms=1.0)
    assert found["roofline_bound_all_ms"].reason == "fused"
    assert found["roofline_bound_ms"].value


def test_half_precision_halves_an_element() -> None:
    assert describe(PEAKS, replace(FAST, precision="bf16"), cached=False)["element_bytes"] == 2


def test_a_peak_is_the_best_of_all_probes_of_its_roof() -> None:
    found = describe(PEAKS, FAST, cached=True)
    assert (found["flops_per_s"], found["flops_probe"], found["flops_per_s_median"]) == (
        2e9,
        "gemm",
        1.7e9,
    )
    assert (found["bytes_per_s"], found["bytes_probe"], found["bytes_per_s_median"]) == (
        1e9,
        "copy",
        0.9e9,
    )
    assert [probe["name"] for probe in found["probes"]] == ["gemm", "convolution", "copy"]
    assert found["skipped"] == ["gemm 8192: too slow"]


def test_probes_of_a_cpu_give_positive_rates() -> None:
    peaks = measure_peaks(open_device(FAST), TINY)
    assert [probe.name for probe in peaks.probes] == [
        "3x3 convolution of 8 channels at 14x14",
        "matrix product of 64x64",
        "copy of 4 MiB",
        "triad of 4 MiB",
    ]
    assert peaks.skipped == ()
    for probe in peaks.probes:
        assert 1e6 < probe.median <= probe.best < 1e13
        assert probe.samples >= 2


def test_what_would_take_too_long_is_left_out_and_said_so() -> None:
    peaks = measure_peaks(open_device(FAST), replace(TINY, sides=(64, 2**20), budget_s=20))
    assert len(peaks.probes) == 4
    (why,) = peaks.skipped
    assert why.startswith("matrix product of 1048576x1048576: ")
    spent = measure_peaks(open_device(FAST), replace(TINY, budget_s=0))
    assert [probe.roof for probe in spent.probes] == ["compute", "memory"]
    assert spent.skipped == (
        "matrix product of 64x64: no time left",
        "triad of 4 MiB: no time left",
    )


def test_what_would_not_fit_into_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.host, "available_bytes", lambda: 16 << 20)
    peaks = measure_peaks(open_device(FAST), replace(TINY, buffers_mib=(1, 4)))
    assert peaks.skipped == (
        "copy of 4 MiB: 8 MiB of 16 MiB free",
        "triad of 4 MiB: 8 MiB of 16 MiB free",
    )


def test_peaks_are_measured_once_for_a_device_and_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "is_contended", lambda _: False)
    device = open_device(FAST)
    first, kept = peaks_of(device, FAST, TINY)
    assert not kept
    assert peaks_of(device, FAST, TINY) == (first, True)
    monkeypatch.setattr(probes, "measure_peaks", lambda *_: PEAKS)
    assert peaks_of(device, replace(FAST, precision="bf16"), TINY) == (PEAKS, False)


def test_peaks_of_a_disturbed_machine_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_contended", lambda _: True)
    device = open_device(FAST)
    for _ in range(2):
        peaks, kept = peaks_of(device, FAST, TINY)
        assert peaks.flags == ("cpu_contended",)
        assert not kept


def profiled(*more: str) -> list[str]:
    return [
        "profile",
        "resnet18",
        "--size",
        "64",
        "--quick",
        "--budget",
        "1",
        "--device",
        "cpu",
        *more,
    ]


def test_a_job_has_its_peaks_its_bounds_and_those_of_its_layers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(PEAKS)
    assert run(profiled("--layers", "--batch", "2", "--json")) == 0
    data = json.loads(capsys.readouterr().out)
    (record,) = Store("results").read()
    assert list(record.phases)[-1] == "roofline"
    found = record.conditions["roofline"]
    assert (found["flops_per_s"], found["bytes_per_s"], found["cached"], len(found["probes"])) == (
        2e9,
        1e9,
        True,
        3,
    )
    report = archbench.cost("resnet18", size=64, batch=2)
    assert record.value("roofline_bound_ms") == pytest.approx(
        1e3 * ROOFLINE.bound_layers(report.calls)
    )
    assert record.value("roofline_attainable") == pytest.approx(
        record.value("roofline_bound_ms") / record.value("latency_ms")
    )
    assert sum(layer["bound_ms"] for layer in data["layers"]) == pytest.approx(
        record.value("roofline_bound_ms")
    )
    assert {layer["bound_by"] for layer in data["layers"]} == {"compute", "memory"}


@pytest.mark.slow
def test_layers_stand_beside_their_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    keep(PEAKS)
    assert run(profiled("--layers")) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    (row,) = (line.split() for line in out.splitlines() if line.startswith("last "))
    assert row == ["last", "linear", "1000", "0.5", "2.054", "memory"]
    rows = [line.split() for line in out.splitlines() if line.endswith(("compute", "memory"))]
    (bound,) = (
        line.split()[3] for line in out.splitlines() if line.startswith("roofline bound, layers")
    )
    assert sum(float(cells[-2]) for cells in rows) == pytest.approx(float(bound), abs=0.02)
    assert "at best 2.0 GFLOP/s (gemm) and 1.0 GB/s (copy), kept from 2025-01-02" in " ".join(
        out.split()
    )
    assert "A share can exceed 100 %" in " ".join(out.split())


def test_a_roofline_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "resnet18", "--roofline", "--no-measure"]) == 2
    assert "--roofline or --no-measure" in capsys.readouterr().err


@pytest.mark.slow
def test_the_probes_of_a_job_take_no_longer_than_they_say() -> None:
    assert run(profiled("--roofline")) == 0
    (record,) = Store("results").read()
    assert record.phases["roofline"] < 2 * SIZES.budget_s
    assert not record.conditions["roofline"]["cached"]


@pytest.mark.parametrize("name", ["power_limit_w", "application_clock_mhz", "ecc", "l2_bytes"])
def test_peaks_are_kept_for_a_card_as_it_was_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    device = open_device(FAST)
    found = device.fingerprint()
    kept = probes._key(device, FAST, SIZES)
    monkeypatch.setattr(device, "fingerprint", lambda: found | {name: 1})
    assert probes._key(device, FAST, SIZES) != kept


def test_peaks_are_those_of_the_cores_that_they_were_measured_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A past bug: pinned to others, as many of them, a job took the peaks of the former."""
    device = open_device(FAST)
    keys = []
    for cores in ({0, 1}, {2, 3}, {3, 2}):
        monkeypatch.setattr(host, "affinity", lambda cores=cores: cores)
        keys.append(probes._key(device, FAST, SIZES))
    assert keys[0] != keys[1] == keys[2]


@pytest.mark.parametrize(
    ("l2_mib", "least_mib"), [(4, 64), (32, 64), (50, 256), (126, 256), (600, 1200)]
)
def test_the_memory_of_a_card_is_probed_beyond_four_times_its_l2(
    monkeypatch: pytest.MonkeyPatch, l2_mib: int, least_mib: int
) -> None:
    device = Card(l2_bytes=l2_mib << 20).open(monkeypatch)
    sizes = probes._beyond_cache(device, probes.SIZES)
    assert min(sizes) == least_mib
    assert 2 * min(sizes) >= 4 * l2_mib
    works = list(probes._buffers(device, probes.SIZES, 80 << 30))
    assert min(work.needs_bytes for work in works) >= 4 * l2_mib << 20
    assert device.fingerprint()["l2_bytes"] == l2_mib << 20


def test_the_memory_of_a_cpu_is_probed_as_before() -> None:
    assert tuple(probes._beyond_cache(open_device(FAST), SIZES)) == SIZES.buffers_mib
