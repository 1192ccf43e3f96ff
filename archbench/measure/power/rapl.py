"""Energy of CPU packages and their memory, as the kernel's powercap folder gives it (RAPL, of Intel
and AMD). Torch-free.

A package's energy is that of all that runs on it, not of this process alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from archbench.measure.power.meter import Sensor, Traits
from archbench.reasons import Reason

POWERCAP = Path("/sys/class/powercap")
TRAITS = Traits(
    label="RAPL packages",
    settle_s=0.5,
    least_window_s=5.0,
    lacks=dict.fromkeys(
        (
            "energy_eq2_per_image_j",
            "energy_counter_j",
            "energy_integrated_j",
            "energy_counter_ratio",
        ),
        Reason.CPU_DEVICE,
    ),
)


class Domain:
    """A counter that starts again at `range` microjoules."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
        self._last = self._read()
        self._total = 0

    def _read(self) -> int:
        return int(self._file.read_text(encoding="ascii"))

    def joules(self) -> float:
        """Joules since the domain was opened; right as long as it is read at least once a round."""
        value = self._read()
        self._total += value - self._last + (self._range if value < self._last else 0)
        self._last = value
        return self._total / 1e6


class RaplInstrument:
    """The package counters, summed, and those of memory where there are some. `why_not` says why
    none can be read.
    """

    traits = TRAITS
    period_s = 0.02
    probed = True

    def __init__(self, root: Path = POWERCAP) -> None:
        self.sensors: dict[str, Sensor] = {}
        self.conditions: dict[str, Any] = {}
        self.message = ""
        self.why_not: Reason | None = None
        self._domains: dict[str, list[Domain]] = {}
        try:
            self._open(root)
        except PermissionError as error:
            self.why_not = Reason.RAPL_NO_PERMISSION
            self.message = f"{error.filename} is readable only by root"
        except (OSError, ValueError):
            self.why_not = Reason.RAPL_ABSENT
        else:
            self.why_not = None if "packages" in self._domains else Reason.RAPL_ABSENT

    def _open(self, root: Path) -> None:
        found: dict[str, list[Domain]] = {"packages": [], "dram": []}
        # intel-rapl-mmio shows the same packages once more.
        for folder in sorted(root.glob("intel-rapl:*")):
            name = (folder / "name").read_text(encoding="ascii").strip()
            kind = "packages" if name.startswith("package") else name
            if kind in found:
                found[kind].append(Domain(folder))
        self._domains = {kind: domains for kind, domains in found.items() if domains}
        self.conditions["domains"] = {kind: len(domains) for kind, domains in self._domains.items()}

    def watts(self) -> dict[str, tuple[float, int]]:
        """Nothing: RAPL counts energy."""
        return {}

    def joules(self) -> dict[str, float]:
        with suppress(OSError, ValueError):
            return {
                kind: sum(domain.joules() for domain in domains)
                for kind, domains in self._domains.items()
            }
        return {}

    def state(self) -> dict[str, float]:
        """Nothing that the host's own account does not tell."""
        return {}

    def learn(self, refresh_s: Mapping[str, float]) -> None:
        """Do nothing: the counters are as fresh as they are."""


def open_instrument(uuid: str | None) -> RaplInstrument:
    """Open the packages of this machine; they have no UUID."""
    return RaplInstrument()
