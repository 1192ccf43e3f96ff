"""Meters by name: each is found and opened, and only what is opened is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archbench.measure.power.meter import Meter
from archbench.measure.power.meters import INSTRUMENTS, OF_DEVICE, meter_of, open_meter
from archbench.measure.power.rapl import RaplInstrument


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_meter_is_opened_by_its_name(name: str) -> None:
    meter: Meter = open_meter(name)
    assert meter.traits.label == {"nvml": "NVML", "rapl": "RAPL packages"}[name]


def test_every_kind_of_device_has_its_meter() -> None:
    assert set(OF_DEVICE.values()) == INSTRUMENTS.keys()


def test_a_meter_that_cannot_measure_says_why(tmp_path: Path) -> None:
    meter = meter_of(RaplInstrument(tmp_path))
    assert (meter.why_not, meter.traits.label) == ("rapl_absent", "RAPL packages")


def test_what_is_not_opened_is_not_loaded() -> None:
    code = (
        "import sys; from archbench.measure.power.meters import open_meter; open_meter('rapl');"
        "print([name for name in sys.modules if 'nvml' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
