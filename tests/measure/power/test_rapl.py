"""CPU package energy from a powercap folder like the kernel's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archbench.measure.power.energy import EnergyJob
from archbench.measure.power.meters import meter_of
from archbench.measure.power.rapl import RaplInstrument


def domain(root: Path, folder: str, name: str, microjoules: int = 0, most: int = 2**32) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    return path / "energy_uj"


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that other users may enter, as the kernel's is."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_packages_are_summed_and_memory_stands_apart(root):
    first, second = (
        domain(root, "intel-rapl:0", "package-0"),
        domain(root, "intel-rapl:1", "package-1"),
    )
    memory, core = domain(root, "intel-rapl:0:1", "dram"), domain(root, "intel-rapl:0:0", "core")
    whole, again = (
        domain(root, "intel-rapl:2", "psys"),
        domain(root, "intel-rapl-mmio:0", "package-0"),
    )
    instrument = RaplInstrument(root)
    for path, joules in (
        (first, 3),
        (second, 4),
        (memory, 2),
        (core, 100),
        (whole, 100),
        (again, 100),
    ):
        path.write_text(str(joules * 1_000_000))
    assert instrument.joules() == {"packages": 7.0, "dram": 2.0}
    assert instrument.conditions == {"domains": {"packages": 2, "dram": 1}}


def test_a_counter_that_starts_again_loses_nothing(root):
    path = domain(root, "intel-rapl:0", "package-0", 900_000, most=1_000_000)
    instrument = RaplInstrument(root)
    seen = []
    for microjoules in (950_000, 50_000, 60_000, 59_999):
        path.write_text(str(microjoules))
        seen.append(instrument.joules()["packages"])
    assert seen == pytest.approx([0.05, 0.15, 0.16, 1.159999])


def test_without_counters_they_are_absent(root):
    assert RaplInstrument(root / "nowhere").why_not == "rapl_absent"
    domain(root, "intel-rapl:0", "psys")
    assert RaplInstrument(root).why_not == "rapl_absent"


def test_counters_for_root_only_say_so(root):
    path = domain(root, "intel-rapl:0", "package-0")
    path.chmod(0o400)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    else:
        path.chmod(0)
    try:
        instrument = RaplInstrument(root)
    finally:
        if is_root:
            os.seteuid(0)
    assert instrument.why_not == "rapl_no_permission"
    assert str(path) in instrument.message


def test_a_cpu_job_without_counters_pays_no_seconds_and_tells_the_two_kinds_of_missing_apart(root):
    energy = EnergyJob(meter_of(RaplInstrument(root)), interrupted=lambda: False)
    energy.rest("no_context")
    assert not energy.possible
    reasons = {name: metric.reason for name, metric in energy.metrics.items()}
    gpu_only = (
        "energy_eq2_per_image_j",
        "energy_counter_j",
        "energy_integrated_j",
        "energy_counter_ratio",
    )
    rest = [name for name in reasons if name not in gpu_only]
    assert {"energy_per_image_j", "energy_net_per_image_j", "power_mean_w", "power_idle_w"} <= set(
        rest
    )
    assert reasons == dict.fromkeys(gpu_only, "cpu_device") | dict.fromkeys(rest, "rapl_absent")


def test_a_counter_that_vanishes_leaves_no_energy_and_no_crash(root):
    path = domain(root, "intel-rapl:0", "package-0")
    instrument = RaplInstrument(root)
    path.unlink()
    assert instrument.joules() == {}


def test_too_short_a_window_says_so(root, child):
    domain(root, "intel-rapl:0", "package-0")
    found = child(dict(os.environ), "job", meter="rapl", root=str(root), seconds=4.9)
    assert found["metrics"]["energy_per_image_j"]["reason"] == "window_too_short"
