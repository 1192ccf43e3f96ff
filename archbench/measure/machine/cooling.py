"""A pause in which a device cools, so that a job of a sweep does not heat the next. Torch-free."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

NEAR_C = 3.0
"""Degrees above the temperature at which the first job began."""
MOST_S = 30.0
POLL_S = 0.5


def temperature_of(state: Mapping[str, float]) -> float | None:
    """A device's temperature, degrees Celsius; None where it does not tell."""
    celsius = state.get("temperature_c", math.nan)
    return None if math.isnan(celsius) else celsius


def cool_down(
    state: Callable[[], Mapping[str, float]],
    target_c: float | None,
    *,
    over: Callable[[], bool],
    most_s: float = MOST_S,
) -> None:
    """Wait until the device is within 3 degrees of a temperature, for 30 s at most; not at all
    without a temperature.
    """
    end = time.monotonic() + most_s
    while target_c is not None and time.monotonic() < end and not over():
        celsius = temperature_of(state())
        if celsius is None or celsius <= target_c + NEAR_C:
            return
        time.sleep(POLL_S)
