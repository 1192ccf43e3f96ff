"""The eight minutes on a card (benchmarks/card.py), as far as they go without one."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from make_believe import Card

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.settings import QUICK
from archbench.zoo.catalogue import resolve

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a file of benchmarks by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    loaded: list[str] = []

    def get(name: str) -> ModuleType:
        loaded.append(name)
        return importlib.import_module(name)

    yield get
    for name in loaded:
        sys.modules.pop(name, None)


STEP = """
import json, signal, sys, time
from pathlib import Path
name, results, seconds = sys.argv[1:]
def say(holds):
    said = {"what": "a thing", "expected": "one", "seen": "two", "holds": holds}
    print(json.dumps(said), flush=True)
say(True)
if name == "fails":
    sys.exit(3)
if name == "hangs":
    def keep(*_):
        (Path(results) / "kept").write_text("what was measured")
        sys.exit(0)
    signal.signal(signal.SIGINT, keep)
    time.sleep(60)
print("a line for people")
"""


@pytest.fixture
def runner(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The runner, with steps that do what their name says."""
    module: ModuleType = load("card")
    steps = tmp_path / "steps.py"
    steps.write_text(STEP)
    monkeypatch.setattr(module, "STEPS", steps)
    monkeypatch.setattr(module, "TOP", tmp_path)
    return module


def test_each_step_ends_by_its_limit_and_keeps_what_it_has(runner, tmp_path, capsys) -> None:
    steps = [runner.Step(name, 1.0, "what it is") for name in ("passes", "hangs", "fails")]
    start = time.monotonic()
    found = runner.go_through(steps, 60.0, tmp_path)
    assert time.monotonic() - start < 40
    assert [(one["step"], one["holds"]) for one in found] == [
        ("passes", True),
        ("hangs", True),
        ("fails", True),
        ("fails", False),
    ]
    assert (tmp_path / "kept").exists()
    printed = capsys.readouterr().out
    for words in ("expected: one", "seen:     two", "a line for people", "cut short after 1 s"):
        assert words in printed
    kept = (tmp_path / runner.FINDINGS).read_text().splitlines()
    assert [json.loads(line) for line in kept] == found
    assert Store(tmp_path).read() == []


def test_what_the_limit_of_all_leaves_no_time_for_is_named(runner, tmp_path, capsys) -> None:
    steps = [runner.Step("passes", 60.0, "what it is")]
    assert runner.go_through(steps, runner.GRACE_S + 1, tmp_path) == []
    assert "passes: no time left" in capsys.readouterr().out


def test_the_calls_take_three_and_five_minutes_at_most(load) -> None:
    rounds = load("card").ROUNDS
    assert {name: limit_s for name, (_, limit_s) in rounds.items()} == {
        "checks": 180,
        "tables": 300,
    }
    named = [step.name for steps, _ in rounds.values() for step in steps]
    assert named == list(load("card_steps").STEPS)


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_the_clocks_of_a_card_are_set_beside_one_another(load, monkeypatch, tmp_path) -> None:
    card = Card(kernels=((0.0, 1.0),))
    device = card.open(monkeypatch)
    place = load("card_place").Place(tmp_path, 60.0)
    small = replace(place.networks, side=32)
    monkeypatch.setattr(type(place), "networks", small)
    found = list(load("card_looks")._clocks("resnet18", device, place))
    assert [what for what, *_ in found] == [
        "resnet18: between events, by the host",
        "resnet18: busy, between events",
        "resnet18: what bounds a call",
    ]
    assert [holds for *_, holds in found] == [True, True, True]
    assert found[2][2].endswith("launching")


class Measured:
    """Stands for the place: every job gives the record that is planned for it."""

    has_card = True

    def __init__(self, place: Any, record: Record) -> None:
        self.results, self.networks, self.settings = place.results, place.networks, QUICK
        self._record, self.asked = record, []

    def measure(self, network: object, **changes: Any) -> Record:
        self.asked.append((network, changes))
        store = Store(self.results)
        return store.append(replace(self._record, settings=replace(QUICK, **changes)))


def made(**values: float) -> Record:
    """ResNet-50 as it was measured."""
    units = {name: "bytes" if name.startswith("mem") else "ms" for name in values}
    measured = {name: Metric(value, units[name]) for name, value in values.items()}
    measured["latency_ms"] = replace(measured["latency_ms"], flags=(Flag.LAUNCH_BOUND,))
    return Record(resolve("resnet50").spec, QUICK, Status.OK, measured=measured)


GOOD = {
    "latency_ms": 8.0,
    "gpu_busy_ms": 3.0,
    "graph_latency_ms": 3.5,
    "mem_alloc_peak_bytes": 2e8,
    "mem_reserved_peak_bytes": 3e8,
    "mem_device_delta_bytes": 8e8,
    "roofline_attainable": 0.4,
}


@pytest.mark.parametrize(
    ("step", "changes", "held"),
    [
        ("classifier", {}, [True, True, True, True]),
        ("detector", {"gpu_busy_ms": 9.0}, [True, False, True, True]),
        ("classifier", {"mem_reserved_peak_bytes": 1e8}, [True, True, True, False]),
        ("compiled", {}, [True]),
        ("regions", {}, [True]),
        ("repeat", {}, [True, None]),
        ("roofline", {}, [True, False, True]),
    ],
)
def test_a_step_judges_what_its_jobs_gave(load, tmp_path, step, changes, held) -> None:
    place = Measured(load("card_place").Place(tmp_path, 60.0), made(**GOOD | changes))
    assert [holds for *_, holds in load("card_steps").STEPS[step](place)] == held


def test_two_runs_and_a_graph_are_held_against_the_one_before(load, tmp_path) -> None:
    place = load("card_place").Place(tmp_path, 60.0)
    steps = load("card_steps").STEPS
    list(steps["classifier"](Measured(place, made(**GOOD))))
    again = list(steps["repeat"](Measured(place, made(**GOOD | {"latency_ms": 8.5}))))
    assert [holds for *_, holds in again] == [True, False]
    lacking = Metric(None, "bytes", reason=Reason.GRAPH_POOL)
    graph = made(latency_ms=3.6)
    graph = replace(graph, measured=graph.measured | {"mem_alloc_peak_bytes": lacking})
    found = list(steps["graphs"](Measured(place, graph)))
    assert [holds for *_, holds in found] == [True, True, True]


def test_a_job_that_failed_says_why(load, tmp_path) -> None:
    reason = Cause(Reason.OUT_OF_MEMORY, "build", "too little memory")
    failed = Record(resolve("resnet50").spec, QUICK, Status.OOM, reason)
    place = Measured(load("card_place").Place(tmp_path, 60.0), failed)
    (first, *others) = load("card_steps").STEPS["classifier"](place)
    assert first[2:] == ("oom: too little memory", False)
    assert {holds for *_, holds in others} == {None}


def rehearse(environment: dict[str, str], results: Path, *words: str) -> dict[str, list[Any]]:
    """Run the command on the CPU; what each step held."""
    command = [sys.executable, str(BENCHMARKS / "card.py"), "--results", str(results), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=570)
    assert done.returncode == 0, done.stdout + done.stderr
    held: dict[str, list[Any]] = {}
    for line in (results / "findings.ndjson").read_text().splitlines():
        finding = json.loads(line)
        held.setdefault(finding["step"], []).append(finding["holds"])
    return held


@pytest.mark.slow
def test_the_card_is_asked_through_the_stand_in_of_its_driver(nvml_stub, tmp_path) -> None:
    held = rehearse(nvml_stub(), tmp_path, "--steps", "checks", "--only", "card")
    assert held["card"].count(True) >= 6
    assert False not in held["card"]


@pytest.mark.slow
def test_all_steps_run_on_the_cpu_and_leave_records(nvml_stub, tmp_path) -> None:
    held = rehearse(nvml_stub(), tmp_path)
    assert held["packages"].count(True) >= 6
    assert {"card", "doctor", "tables"} <= held.keys()
    assert any(record.status == "ok" and record.run_id for record in Store(tmp_path).read())
