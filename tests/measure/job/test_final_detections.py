"""Networks whose calls give final detections: their time is the total, and so is all that is
measured of their calls.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from make_believe import calls_of
from torch import nn

from archbench.api import build_spec
from archbench.measure.job.bench import Bench
from archbench.measure.job.findings import Report
from archbench.measure.job.phases import Asked, begin, load_of, run
from archbench.measure.machine.device import Device
from archbench.measure.power.energy import EQ2, EnergyJob
from archbench.measure.roofline.bounds import Peaks, Probe
from archbench.reasons import Flag
from archbench.settings import Settings
from archbench.spec import Spec
from archbench.zoo.catalogue import resolve

BRIEF = Settings(
    device="cpu", threads=1, n_min=3, n_max=3, t_min_s=0.01, budget_s=0.1, energy_s=0.01
)
PEAKS = Peaks(
    (Probe("mm", "compute", 1e9, 1e9, 3), Probe("copy", "memory", 1e9, 1e9, 3)), (), (), ""
)
OWN = Spec("module:Own@123456", None, 8, 8, classes=None)


def final(network: nn.Module) -> nn.Module:
    network.outputs = "final"  # type: ignore[assignment]
    return network


def bench_of(network: nn.Module) -> Bench:
    device = Device(BRIEF)
    device.warmup_s, device.warmup_calls = 0.0, 1
    return Bench(network, device, cycle([torch.zeros(1)]))


def test_every_figure_of_such_a_job_says_that_postprocessing_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A past bug: the roofline of such a network ended the job in an AssertionError."""
    jobs = "archbench.measure.job"
    monkeypatch.setattr(f"{jobs}.workload.build_spec", lambda spec: final(build_spec(spec)))
    monkeypatch.setattr(f"{jobs}.phases.warm_up", lambda *_: True)
    monkeypatch.setattr(f"{jobs}.phases.peaks_of", lambda *_: (PEAKS, True))
    report = Report(tmp_path)
    asked = Asked(resolve("resnet18", size=32).spec, replace(BRIEF, roofline=True))
    run(asked, report, lambda: False)
    found = report.result.measured
    for word in ("total_ms", "throughput_img_s", "mem_host_peak_bytes", "cold_ms"):
        assert found[word].protocol == "model+post" or found[word].reason, word
    assert found["total_ms"].value
    assert found["roofline_bound_ms"].value
    for word in ("latency_ms", "gmacs_per_s", "roofline_attainable"):
        assert found[word].reason == "post_in_forward", word


def test_their_energy_is_that_of_whole_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    load = load_of(bench_of(final(nn.Identity())), calls_of(1.0))
    assert (load.protocol, load.postprocess) == ("model+post", None)
    packages = SimpleNamespace(label="", lacks={EQ2: "cpu_device"}, settle_s=0, least_window_s=5)
    meter: Any = SimpleNamespace(traits=packages, why_not=None, message="", probed=True, sensors={})
    energy = EnergyJob(meter, interrupted=lambda: False)
    ran: list[str] = []
    monkeypatch.setattr(energy, "_window", lambda *_: ran.append("window"))
    monkeypatch.setattr(energy, "_evaluation", lambda *_: ran.append("evaluation"))
    energy.measure(load, 5.0)
    assert ran == ["window", "evaluation"]
    energy.measure(load_of(bench_of(nn.Identity()), calls_of(1.0)), 5.0)
    assert ran == ["window", "evaluation", "window"]
    assert energy.metrics["energy_total_per_image_j"].reason == "no_postprocess"


def test_energy_is_warned_of_by_what_ran_and_who_else_did() -> None:
    flags = (Flag.WARMUP_NOT_STEADY, Flag.HOT_START, Flag.ENGINE_DIFFERS, Flag.CPU_CONTENDED)
    load = load_of(bench_of(nn.Identity()), calls_of(1.0, flags=flags))
    assert load.flags == (Flag.ENGINE_DIFFERS, Flag.CPU_CONTENDED)


@pytest.mark.parametrize(
    ("spec", "given", "is_random", "source"),
    [
        (OWN, {"images": "pictures"}, False, "host clock, first call"),
        (OWN, {}, True, "host clock, first call"),
        (replace(OWN, backbone="own.py:Own"), {"images": "pictures"}, True, "calibrates"),
        (replace(OWN, backbone="own.py:Own"), {"images": "p", "weights": "w"}, False, "first call"),
    ],
)
def test_weights_of_its_own_are_as_good_as_loaded_ones(
    tmp_path: Path, spec: Spec, given: dict[str, str], is_random: bool, source: str
) -> None:
    """A past bug: real detections of an exported program were flagged as random."""
    report = Report(tmp_path)
    asked = Asked(spec, replace(BRIEF, **given))  # type: ignore[arg-type]
    warned = begin(bench_of(final(nn.Identity())), None, asked, report, lambda: False)
    assert (Flag.LOAD_RANDOM in warned) == is_random
    assert source in report.result.measured["cold_ms"].source
    assert ("calibrates" in report.result.measured["cold_ms"].source) == (source == "calibrates")
