"""What tests run in a process of its own, since a library's folder cannot be changed once Python
runs: prints JSON.

    python energy_child.py FUNCTION '{"argument": value}'

The load is one that only waits, so that many children can run side by side.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from archbench.measure.power.energy import EnergyJob
from archbench.measure.power.load import Load
from archbench.measure.power.meter import GpuLostError
from archbench.measure.power.meters import meter_of, open_meter
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.power.nvml_meter import NvmlInstrument
from archbench.measure.power.rapl import RaplInstrument
from archbench.reasons import Flag

CALL_S = 0.02
QUESTIONS = (
    "name",
    "uuid",
    "driver",
    "capability",
    "used_bytes",
    "computing_count",
    "use",
    "utilisation_percent",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "temperature_c",
    "memory_temperature_c",
    "state",
    "fingerprint",
    "event_reasons",
    "performance_state",
    "power_limit_w",
    "mig_enabled",
)


def card(uuid: str | None = None) -> dict[str, Any]:
    """What the card answers, and which sensors it has."""
    try:
        found = NvmlCard(uuid)
        instrument = NvmlInstrument(found)
        answers = {question: _plain(getattr(found, question)()) for question in QUESTIONS}
    except GpuLostError as error:
        return {"lost": str(error)}
    return answers | {
        "why_not": instrument.why_not,
        "message": instrument.message,
        "failures": found.failures,
        "retries": found.retries,
        "card_why_not": found.why_not,
        "watts": instrument.watts(),
        "joules": instrument.joules(),
        "conditions": instrument.conditions,
        "sensors": {name: asdict(sensor) for name, sensor in instrument.sensors.items()},
        "probed": instrument.probed,
    }


def _plain(answer: Any) -> Any:
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer


def job(
    meter: str = "nvml",
    seconds: float = 2.0,
    rests: Sequence[str] = (),
    t0_file: str = "",
    root: str = "",
    eq2: bool = False,
    postprocess_s: float | None = None,
    processes: int = 0,
    flags: Sequence[str] = (),
    allow_shared: bool = False,
    interrupt_s: float | None = None,
) -> dict[str, Any]:
    """The energy of a job whose calls wait 20 ms; `t0_file` starts the stub's trace when the load
    starts.
    """
    begun = time.perf_counter()

    def interrupted() -> bool:
        return interrupt_s is not None and time.perf_counter() > begun + interrupt_s

    opened = meter_of(RaplInstrument(Path(root))) if root else open_meter(meter)
    energy = EnergyJob(opened, interrupted=interrupted, allow_shared=allow_shared)
    lost = ""
    try:
        for moment in rests:
            energy.rest(moment)
        if t0_file:
            Path(t0_file).write_text(str(time.clock_gettime(time.CLOCK_MONOTONIC)))
        if energy.possible:
            protocol = "model" if eq2 else "train"
            energy.measure(
                Load(
                    lambda: time.sleep(CALL_S),
                    lambda: None,
                    1,
                    CALL_S,
                    protocol,
                    postprocess=None
                    if postprocess_s is None
                    else lambda: time.sleep(postprocess_s),
                    processes=processes,
                    flags=tuple(map(Flag, flags)),
                ),
                seconds,
            )
    except GpuLostError as error:
        lost = str(error)
    arrays = {
        name: values.tolist()
        for name, values in energy.arrays.items()
        if not name.startswith(("idle", "probe"))
    }
    metrics = {name: asdict(metric) for name, metric in energy.metrics.items()}
    return {"metrics": metrics, "conditions": energy.conditions, "arrays": arrays, "lost": lost}


def rapl(root: str, watts: float, seconds: float) -> dict[str, Any]:
    """A job on CPU counters that a thread moves on."""
    end = threading.Event()
    thread = threading.Thread(target=_turn, args=(Path(root), watts, end))
    thread.start()
    try:
        return job(meter="rapl", root=root, seconds=seconds, rests=["context"])
    finally:
        end.set()
        thread.join()


def _turn(root: Path, watts: float, end: threading.Event) -> None:
    """Count up every domain at so many watts each until the end; each starts again at its own
    range.
    """
    begun = time.perf_counter()
    folders = sorted(root.glob("intel-rapl:*"))
    ranges = [int((folder / "max_energy_range_uj").read_text()) for folder in folders]
    while not end.wait(0.002):
        microjoules = int(1e6 * watts * (time.perf_counter() - begun))
        for folder, most in zip(folders, ranges, strict=True):
            new = folder / "energy_uj.new"
            new.write_text(str(microjoules % most))
            new.replace(folder / "energy_uj")


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
