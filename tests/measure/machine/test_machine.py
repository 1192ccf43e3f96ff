"""What a look at a machine finds of a card: the stub of the driver's library, seen by `archbench
doctor` from outside.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

Doctor = Callable[..., subprocess.CompletedProcess[str]]
CODE = (
    "import sys; from archbench.cli.main import run; code = run(sys.argv[1:]); assert 'torch' not "
    "in sys.modules; sys.exit(code)"
)


@pytest.fixture
def doctor(nvml_stub: Callable[..., dict[str, str]]) -> Doctor:
    """Run the command in a process of its own that finds the stub in place of the driver's library,
    and does not load torch.
    """

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CODE, "doctor", *words]
        return subprocess.run(
            command, capture_output=True, text=True, env=nvml_stub(**variables), timeout=120
        )

    return run


def test_a_card_is_shown_with_its_sensors_as_they_were_watched(doctor: Doctor) -> None:
    done = doctor(
        "--json",
        STUB_TRACE="0:60,1000:1060",
        STUB_INSTANT="50,25",
        STUB_PROCESSES="1,1",
        STUB_EVENTS="0:68",
    )
    assert done.returncode == 0, done.stderr
    (card,) = json.loads(done.stdout)["found"]["cards"]
    assert (card["name"], card["uuid"], card["driver"]) == ("Stub GPU", "GPU-stub", "999.1")
    assert (card["processes"], card["drawing"]) == (1, 1)
    assert card["events"] == ["software_power_cap", "hardware_thermal"]
    power = card["power"]
    assert power["sensors"]["usage"]["seen_refresh_s"] == pytest.approx(0.02, rel=0.3)
    assert power["sensors"]["instant"]["seen_refresh_s"] == pytest.approx(0.05, rel=0.3)
    assert power["counter_seen_refresh_s"] == pytest.approx(0.02, rel=0.3)
    assert "reading the sensors of card 0" in done.stderr


def test_the_page_has_the_card(doctor: Doctor) -> None:
    done = doctor(STUB_TRACE="0:60,1000:1060")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for text in (
        "Stub GPU, compute capability 8.6",
        "GPU-stub",
        "1,400 MHz, 50 C, not limited",
        "energy counter",
        "application clock 1,350 MHz",
        "archbench never sets them",
    ):
        assert text in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        ("nvmlInitWithFlags=18", "driver_library_mismatch"),
        ("nvmlInitWithFlags=15", "gpu_lost"),
        ("nvmlDeviceGetPowerUsage=15@5", "gpu_lost"),
        ("nvmlDeviceGetHandleByIndex_v2=999", "nvml_transient"),
    ],
)
def test_a_driver_that_fails_still_leaves_a_page(doctor: Doctor, fail: str, says: str) -> None:
    done = doctor(STUB_FAIL=fail)
    assert done.returncode == 0, done.stderr
    assert f"({says})" in done.stdout
    assert "time on the CPU" in done.stdout


def test_a_second_card_that_cannot_be_opened_is_said_beside_the_first(doctor: Doctor) -> None:
    done = doctor("--json", STUB_FAIL="nvmlDeviceGetHandleByIndex_v2=999@1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [card["name"] for card in found["found"]["cards"]] == ["Stub GPU"]
    codes = {ability["name"]: ability["code"] for ability in found["abilities"]}
    assert codes["another card"] == "nvml_transient"
