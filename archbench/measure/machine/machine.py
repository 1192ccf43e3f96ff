"""What a machine has to measure with, found by looking: processors, cards, torch's build, sensors,
folders. Torch-free.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import runpy
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archbench import cache
from archbench.measure.machine import host
from archbench.measure.machine.cards import CardsError, ask
from archbench.measure.power.integral import refresh_of
from archbench.measure.power.meter import GpuLostError, SampledMeter
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.power.nvml_meter import NvmlInstrument
from archbench.measure.power.rapl import RaplInstrument
from archbench.measure.power.validity import EVENTS
from archbench.reasons import Reason

NO_SUCH_CARD = Reason("nvml_error_2")
"""NVML's answer to an index above its cards."""
WATCH_S, WATCH_PERIOD_S = 1.0, 0.002
COMPILERS = ("c++", "g++", "clang++")

Tell = Callable[[str], None]


def look(results: Path, *, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Look at this machine; `tell` hears what takes a while. Nothing is loaded with work and
    nothing is written.
    """
    cards, why_not, message = look_at_cards(tell)
    return {
        "host": look_at_host(),
        "torch": look_at_torch(tell),
        "nvml": {"why_not": why_not or "", "message": message},
        "cards": cards,
        "rapl": look_at_packages(),
        "folders": {"results": look_at_folder(results), "cache": look_at_folder(cache.folder())},
    }


def look_at_host() -> dict[str, Any]:
    """The processor, what of it this process may use, memory, and how busy both are now."""
    load, time = host.load(), host.processor_time()
    return host.fingerprint() | {
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "quota": host.cgroup_quota(),
        "memory_available_bytes": host.available_bytes() or None,
        "memory_peak": host.reset_peak() and host.peak_bytes() is not None,
        "compiler": next(filter(shutil.which, COMPILERS), None),
        "load": load,
        "contended": host.is_contended(load),
        "sees_all_processes": host.sees_all_processes(),
        "stolen_share": time.stolen_share(host.ProcessorTime(0, 0)) if time else None,
    }


def look_at_torch(tell: Tell) -> dict[str, Any]:
    """Torch's version and build, read without loading it; where it is built for cards, which of
    them it can use.
    """
    spec = importlib.util.find_spec("torch")
    origin = spec and spec.origin and Path(spec.origin).with_name("version.py")
    if not origin or not origin.exists():
        return {"version": None, "cuda": None, "cards": [], "error": ""}
    build = runpy.run_path(str(origin))  # To import it would load torch.
    found = {"version": build["__version__"], "cuda": build.get("cuda"), "cards": [], "error": ""}
    if not found["cuda"]:
        return found
    tell("checking torch's devices")
    try:
        cards, said = ask(use=True)
    except CardsError as error:
        return found | {"error": str(error)}
    return found | {"cards": cards, "error": "" if cards else said}


def look_at_cards(tell: Tell) -> tuple[list[dict[str, Any]], Reason | None, str]:
    """Every card that the driver shows; why there is none, or why the next cannot be opened, and
    what there is to say besides.
    """
    found: list[dict[str, Any]] = []
    try:
        while True:
            card = NvmlCard(index=len(found))
            if card.why_not:
                if card.why_not != NO_SUCH_CARD:
                    return found, card.why_not, card.message
                return found, None if found else Reason.NO_CARD, card.message
            tell(f"reading the sensors of card {len(found)}")
            found.append(look_at_card(card))
    except GpuLostError as error:
        return found, Reason.GPU_LOST, str(error)


def look_at_card(card: NvmlCard) -> dict[str, Any]:
    """One card: what it is, what it does now, and its power sensors, watched for a moment. Raises
    GpuLostError.
    """
    memory = card.ask("nvmlDeviceGetMemoryInfo")
    events = card.event_reasons()
    use = card.use()
    return {
        "name": card.name(),
        "uuid": card.uuid(),
        "capability": card.capability(),
        **card.fingerprint(),
        "memory_bytes": memory and int(memory.total),
        "memory_used_bytes": use.used_bytes,
        "processes": use.computing_count,
        "drawing": use.drawing_count,
        "utilisation_percent": use.percent,
        "sm_clock_mhz": card.sm_clock_mhz(),
        "temperature_c": card.temperature_c(),
        "performance_state": card.performance_state(),
        "events": None
        if events is None
        else [name for bit, name in EVENTS.items() if events & bit],
        "power": look_at_power(card),
        "failures": card.failures,
    }


def look_at_power(card: NvmlCard) -> dict[str, Any]:
    """The power sources and the energy counter of a card, and how often each had news while it was
    watched, at rest perhaps.
    """
    instrument = NvmlInstrument(card)
    found: dict[str, Any] = {
        "message": instrument.message,
        "systematic_pct": instrument.traits.systematic_pct,
        **instrument.conditions,
    }
    if instrument.why_not:
        return found | {"why_not": instrument.why_not, "sensors": {}, "counter": False}
    meter = SampledMeter(instrument)
    meter.start(period_s=WATCH_PERIOD_S)
    time.sleep(WATCH_S)
    trace = meter.stop()
    if trace.lost:
        raise GpuLostError("the card was lost while its sensors were watched")
    sensors = {
        name: {
            "refresh_s": sensor.refresh_s,
            "origin": sensor.origin,
            "seen_refresh_s": refresh_of(*trace.power(name)),
        }
        for name, sensor in instrument.sensors.items()
    }
    seen = refresh_of(*trace.counter("counter")) if "counter" in trace.joules else None
    return found | {
        "why_not": "",
        "sensors": sensors,
        "counter": "counter" in trace.joules,
        "counter_seen_refresh_s": seen,
    }


def look_at_packages() -> dict[str, Any]:
    """The energy counters of CPU packages."""
    instrument = RaplInstrument()
    return {
        "why_not": instrument.why_not or "",
        "message": instrument.message,
        **instrument.conditions,
    }


def look_at_folder(folder: Path | None) -> dict[str, Any]:
    """Whether a folder, there or yet to be made, can be written, how many files it has, and the
    room on its disk.
    """
    if folder is None:
        return {"folder": None, "writable": False, "files": 0, "free_bytes": None}
    nearest = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError:
        writable = False
    else:
        writable = True
    files = (
        sum(1 for path in folder.iterdir() if path.is_file())
        if folder.is_dir() and os.access(folder, os.R_OK)
        else 0
    )
    return {
        "folder": str(folder),
        "writable": writable,
        "files": files,
        "free_bytes": shutil.disk_usage(nearest).free,
    }
