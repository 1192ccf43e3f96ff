"""The meters there are, each loaded when it is first opened. Torch-free."""

from __future__ import annotations

import pkgutil

from archbench.measure.power.meter import Instrument, Meter, NullMeter, SampledMeter, Traits
from archbench.reasons import Reason

INSTRUMENTS = {
    "nvml": "archbench.measure.power.nvml_meter:open_instrument",
    "rapl": "archbench.measure.power.rapl:open_instrument",
}
"""What opens an instrument for a device's UUID, by the name of the meter."""
OF_DEVICE = {"cuda": "nvml", "cpu": "rapl"}
"""The meter of each kind of device."""


NONE = "none"
"""The meter of a job whose energy is not asked for."""


def open_meter(name: str, *, uuid: str | None = None) -> Meter:
    """Open a meter by name; a NullMeter where it cannot measure here, or none is asked for."""
    if name == NONE:
        return NullMeter(Reason.NOT_ASKED_FOR, Traits(NONE, settle_s=0.0, least_window_s=0.0))
    return meter_of(pkgutil.resolve_name(INSTRUMENTS[name])(uuid))


def meter_of(instrument: Instrument) -> Meter:
    """Give what reads an instrument; a NullMeter where nothing can be read."""
    if instrument.why_not:
        return NullMeter(instrument.why_not, instrument.traits, instrument.message)
    return SampledMeter(instrument)
