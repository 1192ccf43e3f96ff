"""Jobs whose power is the stub's, and what tests ask of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from archbench.measure.power.integral import (
    Window,
)
from archbench.records import Record, Store

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
    "mute": (
        {
            "STUB_FAIL": "nvmlDeviceGetComputeRunningProcesses_v3=999,"
            "nvmlDeviceGetUtilizationRates=999,nvmlDeviceGetPerformanceState=999"
        },
        {"seconds": 3.0},
    ),
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


def check_the_rest(record: Record) -> None:
    """Time and memory are there, whatever became of energy."""
    assert record.value("latency_ms") > 0
    assert record.value("throughput_img_s") > 0
    assert record.value("mem_params_bytes") > 0
    assert (
        record.value("mem_host_peak_bytes") is not None
        or record.measured["mem_host_peak_bytes"].reason
    )
