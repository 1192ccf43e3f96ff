"""Energy of a job."""

from __future__ import annotations

from pathlib import Path

from archbench.measure import rapl
from archbench.measure.meter import Meter, NullMeter, SampledMeter
from archbench.measure.nvml import NvmlCard, NvmlInstrument
from archbench.measure.rapl import RaplInstrument

METERS = {"cuda": "nvml", "cpu": "rapl"}
"""The meter of each kind of device."""


def open_meter(name: str, *, uuid: str | None = None, root: Path = rapl.POWERCAP) -> Meter:
    """Open the meter "nvml" (of the card with this UUID, or the first) or "rapl"; a NullMeter where it cannot measure here."""
    instrument = NvmlInstrument(NvmlCard(uuid)) if name == "nvml" else RaplInstrument(root)
    if instrument.why_not:
        return NullMeter(instrument.why_not, instrument.traits, instrument.message)
    return SampledMeter(instrument)
