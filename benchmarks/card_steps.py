"""The steps of `card.py`, each run in a process of its own: a line of JSON for each thing that was
looked at, with what was expected, what was seen and whether they agree.

    python benchmarks/card_steps.py STEP RESULTS SECONDS
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from card_looks import card  # noqa: E402
from card_place import Finding, Place, at_most, shown  # noqa: E402

if TYPE_CHECKING:
    from archbench.records import Record

PACKAGES = (
    "torch",
    "typer",
    "rich",
    "msgspec",
    "numpy",
    "pynvml",
    "jinja2",
    "pytest",
    "hypothesis",
)
NEEDED_BY_ALL = 6
"""How many of these every measurement needs."""
REPEATABLE = 0.03
OPERATOR_TESTS = ("tests/zoo/ops/test_regions.py", "tests/zoo/ops/test_proposals.py")
SHOWING_S = 20.0
"""What it takes to end a sweep and to show its tables."""
ARCHBENCH = (sys.executable, "-c", "from archbench.cli.main import main; main()")
SMALL_SUITE = 'title = "a rehearsal"\nbackbone = "resnet18"\nsize = 64\n'


def ended_well(record: Record) -> Finding:
    """Whether a job ended well, and with what flags of its time."""
    latency = record.measured.get("latency_ms")
    seen = f"{record.status}: {record.reason.message}" if record.reason else str(record.status)
    if latency and latency.value is not None:
        seen = f"{seen}, {shown(latency.value)}, {', '.join(latency.flags) or 'no flags'}"
    return f"job of {record.spec}", "ok", seen, record.status == "ok"


def packages(place: Place) -> Iterator[Finding]:
    """What the house needs of others."""
    for number, name in enumerate(PACKAGES):
        try:
            module = importlib.import_module(name)
            seen, holds = f"there, {_release(name, module)}", True
        except ImportError as error:
            seen, holds = str(error), False if number < NEEDED_BY_ALL else None
        yield f"package {name}", "there", seen, holds


def _release(name: str, module: Any) -> str:
    try:
        return str(getattr(module, "__version__", None) or version(name))
    except PackageNotFoundError:
        return "of an unknown version"


def doctor(place: Place) -> Iterator[Finding]:
    """What `archbench doctor` says can be measured here."""
    command = [*ARCHBENCH, "doctor", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    yield "archbench doctor", "ends with 0", f"ended with {done.returncode}", done.returncode == 0
    for ability in json.loads(done.stdout)["abilities"] if done.returncode == 0 else ():
        seen = f"{ability['state']}: {ability['found']}"
        is_of_card = "card" in ability["name"]
        holds = (
            True if ability["state"] != "no" else False if place.has_card and is_of_card else None
        )
        yield ability["name"], "yes, or but", seen, holds


def classifier(place: Place) -> Iterator[Finding]:
    """ResNet-50 in eager mode, with the figure as a graph beside it."""
    yield from _eager(place.measure(place.networks.classifier))


def detector(place: Place) -> Iterator[Finding]:
    """RefineDet320 with VoVNet-39 in the same way."""
    yield from _eager(place.measure(place.networks.detector))


def _eager(record: Record) -> Iterator[Finding]:
    """What figures of an eager job must be to one another."""
    yield ended_well(record)
    value = record.value
    yield at_most("busy, forward", value("gpu_busy_ms"), value("latency_ms"), 1.05)
    yield at_most("as a graph, forward", value("graph_latency_ms"), value("latency_ms"), 1.05)
    sizes = [value(f"mem_{name}_bytes") for name in ("alloc_peak", "reserved_peak", "device_delta")]
    known = [size for size in sizes if size is not None]
    seen = ", ".join(shown(size and size / 1e6, "MB") for size in sizes)
    holds = known == sorted(known) if len(known) == len(sizes) else None
    yield "allocated, reserved, in use on the card", "each no less than the one before", seen, holds


def graphs(place: Place) -> Iterator[Finding]:
    """ResNet-50 replayed as a graph: faster than eager, no peaks of the allocator."""
    if not place.has_card:
        yield "a CUDA graph", "needs a card", "none here", None
        return
    record = place.measure(place.networks.classifier, cuda_graph=True)
    yield ended_well(record)
    peak = record.measured.get("mem_alloc_peak_bytes")
    reason = peak.reason if peak else None
    yield "the allocator's peak under a graph", "graph_pool", str(reason), reason == "graph_pool"
    beside = _earlier(place, record, "graph_latency_ms")
    yield _alike("as a graph, beside eager and by itself", beside, record.value("latency_ms"), 0.1)


def _alike(what: str, one: float | None, other: float | None, share: float) -> Finding:
    """That two figures lie within a share of one another."""
    if one is None or other is None:
        return what, f"within {share:.0%}", f"{shown(one)}, {shown(other)}", None
    apart = abs(one - other) / min(one, other)
    return what, f"within {share:.0%}", f"{shown(one)}, {shown(other)}", apart <= share


def _earlier(place: Place, record: Record, word: str) -> float | None:
    """A figure of the last job before of the same network in eager mode, with the settings else."""
    from archbench.records import Store
    from archbench.settings import same_job

    eager = replace(place.settings, cuda_graph=False)
    before = [
        other
        for other in Store(place.results).read()
        if other.spec == record.spec
        and other.record_id != record.record_id
        and other.settings is not None
        and same_job(other.settings, eager)
        and other.value(word) is not None
    ]
    return before[-1].value(word) if before else None


def operators(place: Place) -> Iterator[Finding]:
    """The operators' tests that are marked for cards."""
    words = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-m", "gpu", *OPERATOR_TESTS]
    environment = os.environ | {"ARCHBENCH_GPU": "1"}
    done = subprocess.run(
        words, cwd=TOP, env=environment, capture_output=True, text=True, check=False
    )
    last = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""])[-1]
    can = place.has_card and all(map(importlib.util.find_spec, ("pytest", "hypothesis")))
    holds = done.returncode == 0 if can else None
    yield "tests of operators on a card", "all pass", last, holds


def repeat(place: Place) -> Iterator[Finding]:
    """ResNet-50 once more, in another process."""
    record = place.measure(place.networks.classifier)
    yield ended_well(record)
    first = _earlier(place, record, "latency_ms")
    found = _alike("two processes", first, record.value("latency_ms"), REPEATABLE)
    yield found if place.has_card else (*found[:3], None)


def compiled(place: Place) -> Iterator[Finding]:
    """tf32 under torch.compile, whose switches no getter may reject."""
    if not place.has_card:
        yield "tf32 under torch.compile", "needs a card", "none here", None
        return
    yield ended_well(place.measure(place.networks.classifier, precision="tf32", engine="compile"))


def regions(place: Place) -> Iterator[Finding]:
    """A two-stage detector in a mode of the compiler that replays graphs."""
    if not place.has_card:
        yield "graphs of the compiler with regions", "needs a card", "none here", None
        return
    yield ended_well(place.measure(place.networks.regions, engine="compile:reduce-overhead"))


def roofline(place: Place) -> Iterator[Finding]:
    """The peaks of the device, on a card in bf16."""
    if not place.has_card:
        yield "peaks in bf16", "needs a card", "none here", None
        return
    record = place.measure(place.networks.classifier, precision="bf16", roofline=True)
    yield ended_well(record)
    peaks = record.conditions.get("roofline")
    seen = (
        f"{peaks['flops_per_s'] / 1e12:.3g} TFLOP/s, {peaks['bytes_per_s'] / 1e12:.3g} TB/s "
        f"({peaks['flops_probe']}; {peaks['bytes_probe']})"
        if peaks
        else "none"
    )
    yield "peaks", "near the data sheet's", seen, bool(peaks)
    share = record.value("roofline_attainable")
    holds = None if share is None else 0 < share <= 1
    yield "the layers' bound over the time", "0 to 1", shown(share, ""), holds


def tables(place: Place) -> Iterator[Finding]:
    """As much of VoVNet's Tables 2 and 4 as the time leaves, with energy; what it has is shown."""
    suites = ["vovnet/table2", "vovnet/table4"]
    if not place.has_card:
        small = place.results / "rehearsal.toml"
        small.write_text(SMALL_SUITE, encoding="utf-8")
        suites = [str(small), "--device", "cpu", "--threads", "1", "--budget", "0.5"]
    _sweep(suites, place)
    records = _swept(place)
    done = sum(record.status == "ok" for record in records)
    yield "networks measured", "as many as the time leaves", str(done), done > 0
    for record in records:
        ratio = record.value("energy_counter_ratio")
        holds = None if ratio is None else abs(ratio - 1) <= 0.05
        what = f"{record.spec}: counter over integral"
        yield what, "within 5 % of 1", shown(ratio, ""), holds
    if place.has_card:
        for suite in suites:
            _show("reproduce", suite, "--results", str(place.results))
        _show("claims", "--results", str(place.results))


def _sweep(suites: list[str], place: Place) -> None:
    """Run the sweep until most of the time is over, then have it end in good order."""
    command = [*ARCHBENCH, "sweep", *suites, "--quick", "--resume"]
    command += ["--repeats", "1", "--results", str(place.results)]
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL)
    try:
        process.wait(max(1.0, place.seconds - SHOWING_S))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()


def _swept(place: Place) -> list[Record]:
    """The records of sweeps, whose jobs have a run; of a network the last."""
    from archbench.records import Store

    return list(
        {record.spec: record for record in Store(place.results).read() if record.run_id}.values()
    )


def _show(*words: str) -> None:
    """Print what a command of archbench says."""
    command = [*ARCHBENCH, *words]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    print(done.stdout or done.stderr, flush=True)


STEPS = {
    "packages": packages,
    "card": card,
    "doctor": doctor,
    "classifier": classifier,
    "detector": detector,
    "graphs": graphs,
    "operators": operators,
    "repeat": repeat,
    "compiled": compiled,
    "regions": regions,
    "roofline": roofline,
    "tables": tables,
}


def main(name: str, results: str, seconds: str) -> None:
    """Run a step and print its findings as they come."""
    place = Place(Path(results), float(seconds))
    for what, expected, seen, holds in STEPS[name](place):
        finding = {"what": what, "expected": expected, "seen": seen, "holds": holds}
        print(json.dumps(finding), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
