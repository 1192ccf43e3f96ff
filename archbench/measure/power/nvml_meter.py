"""The power sources and the energy counter of a card, as an instrument of a meter. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archbench import cache
from archbench.measure.power.meter import DEAD, Sensor, Traits
from archbench.measure.power.nvml import NOT_SUPPORTED, TRANSIENT, NvmlCard, reason_of
from archbench.reasons import Reason

INSTANT, AVERAGE = 186, 185
"""NVML's field numbers of power that is not `usage`."""
SCOPES = {0: "gpu", 1: "module"}
PRIORS = {
    5: {"usage": (0.1, 0.1), "instant": (0.1, 0.1)},
    6: {"usage": (0.02, 0.01), "instant": (0.02, 0.01)},
    7: {"usage": (0.02, 0.01), "instant": (0.02, 0.01)},
    7.5: {"usage": (0.1, 0.1), "instant": (0.1, 0.1)},
    8: {"usage": (0.1, 0.025), "instant": (0.1, 0.025)},
    8.6: {"usage": (0.1, 1.0), "instant": (0.1, 0.1)},
    9: {"usage": (0.1, 1.0), "instant": (0.1, 0.025)},
}
"""Refresh and averaging window of the sensors, seconds, by the least compute capability that has
them.

Source: Yang, Adamek, Armour, "Part-time Power Measurements" (arXiv:2312.02741). Single models
deviate, so cards are probed.
"""
UNKNOWN = {"usage": (0.1, 1.0), "instant": (0.1, 0.025)}
NEWEST_KNOWN = 9.0
AVERAGE_PRIOR = (0.1, 1.0)
LEAST_PERIOD_S, MOST_PERIOD_S = 0.01, 0.1
PLAUSIBLE = 6
"""How many times a probed refresh may differ from the known one."""
KEPT = "sensors"
"""What is kept of a card for later jobs."""
TRAITS = Traits(label="NVML", settle_s=1.5, least_window_s=2.0, systematic_pct=5.0)


def prior(capability: float | None, source: str) -> Sensor:
    """What is known of a source's sensor before the card is probed."""
    if source == "average":
        return Sensor(*AVERAGE_PRIOR)
    least = max(
        (
            known
            for known in PRIORS
            if capability is not None and known <= capability < NEWEST_KNOWN + 1
        ),
        default=None,
    )
    return Sensor(*(PRIORS[least] if least else UNKNOWN)[source])


Reader = Callable[[], tuple[int, float | None]]


class NvmlInstrument:
    """A card's power sources and energy counter. `why_not` says why none can be read."""

    traits = TRAITS

    def __init__(self, card: NvmlCard) -> None:
        self.card = card
        self.sensors: dict[str, Sensor] = {}
        self.conditions: dict[str, Any] = {"power_scope": "gpu", "source_failures": {}}
        self.probed = False
        self._readers: dict[str, Reader] = {}
        self._counts = False
        self.message = card.message
        self.why_not = card.why_not or (Reason.MIG if card.mig_enabled() else self._choose())

    def _choose(self) -> Reason | None:
        """Try each source once; give the reason where none can be read."""
        card = self.card
        found = {"instant": self._instant(), "usage": card.usage_w}
        failures = self.conditions["source_failures"]
        for name, read in found.items():
            code, _ = read()
            if code:
                failures[name] = reason_of(code)
            else:
                self._readers[name] = read
        if not self._readers:
            code, _ = card.field_w(AVERAGE, 0)
            failures["average"] = reason_of(code)
            if not code:
                self._readers["average"] = lambda: card.field_w(AVERAGE, 0)
        code, _ = card.energy_j()
        self._counts = not code
        if code:
            failures["counter"] = reason_of(code)
        capability = card.capability()
        self.sensors = {name: prior(capability, name) for name in self._readers}
        self._recall()
        return None if self._readers else failures.get("usage", Reason.NOT_SUPPORTED)

    def _instant(self) -> Reader:
        """The reader of instantaneous power: of the card, or of its module where only that is
        measured.
        """
        code, _ = self.card.field_w(INSTANT, 0)
        scope = 1 if code == NOT_SUPPORTED and not self.card.field_w(INSTANT, 1)[0] else 0
        self.conditions["power_scope"] = SCOPES[scope]
        return lambda: self.card.field_w(INSTANT, scope)

    @property
    def period_s(self) -> float:
        refresh = min(sensor.refresh_s for sensor in self.sensors.values())
        return min(max(refresh / 2, LEAST_PERIOD_S), MOST_PERIOD_S)

    def watts(self) -> dict[str, tuple[float, int]]:
        return {name: self._watts(name, read) for name, read in self._readers.items()}

    def _watts(self, name: str, read: Reader) -> tuple[float, int]:
        if name in self.conditions["source_failures"]:
            return math.nan, DEAD
        code, watts = read()
        if code in TRANSIENT:
            self.conditions["source_failures"][name] = reason_of(code)
        return watts or math.nan, code

    def joules(self) -> dict[str, float]:
        if not self._counts:
            return {}
        code, joules = self.card.energy_j()
        if joules is None:
            self._counts = False
            self.conditions["source_failures"]["counter"] = reason_of(code)
            return {}
        return {"counter": joules}

    def state(self) -> dict[str, float]:
        self.conditions["retries"] = self.card.retries
        return self.card.state()

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        """Take what a probe found of the refresh of sources and counter; keep it for this card and
        driver where it is whole.
        """
        self._take(refresh_s)
        if self.sensors.keys() <= refresh_s.keys():
            cache.write(KEPT, self._key(), refresh_s)

    def _take(self, refresh_s: Mapping[str, float]) -> None:
        self.conditions["counter_refresh_s"] = refresh_s.get("counter")
        for name, sensor in self.sensors.items():
            seconds = refresh_s.get(name, 0.0)
            if 1 / PLAUSIBLE <= seconds / sensor.refresh_s <= PLAUSIBLE:
                self.sensors[name] = replace(sensor, refresh_s=seconds, origin="probe")
        self.probed = True

    def _recall(self) -> None:
        """Take what an earlier probe of this card under this driver found."""
        found = cache.read(KEPT, self._key())
        if found and all(isinstance(seconds, float) for seconds in found.values()):
            self._take(found)

    def _key(self) -> dict[str, str | None]:
        return {"uuid": self.card.uuid(), "driver": self.card.driver()}


def open_instrument(uuid: str | None) -> NvmlInstrument:
    """Open the sensors of the card with this UUID, or of the first."""
    return NvmlInstrument(NvmlCard(uuid))
