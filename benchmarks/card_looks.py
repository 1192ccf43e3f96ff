"""A card as torch and its driver see it, before and after a context, and three clocks on calls."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from card_place import Finding, Place, at_most, shown

if TYPE_CHECKING:
    from archbench.measure.job.bench import Bench
    from archbench.measure.machine.device import Device
    from archbench.measure.power.nvml import NvmlCard

CALLS = 20
NVML_MS = 10.0
"""What a question to the driver may take: they are asked once a second between samples."""


def card(place: Place) -> Iterator[Finding]:
    """The card as torch and its driver see it, before and after a context, and three clocks."""
    from archbench.measure.machine.devices import open_device
    from archbench.measure.power.nvml import NvmlCard

    driver = NvmlCard()
    yield from _driver(driver)
    if place.has_card:
        import torch

        told = str(torch.cuda.get_device_properties(0).uuid)
        driver = NvmlCard(f"GPU-{told.removeprefix('GPU-')}")
        seen = driver.uuid()
        yield "UUID of torch and of NVML", f"GPU-{told}", str(seen), seen == f"GPU-{told}"
    before = driver.use()
    count = before.computing_count
    yield "processes before a context", "0", str(count), None if count is None else count == 0
    idle = before.percent
    yield "utilisation before", "0 %", f"{idle} %", None if idle is None else idle == 0
    device = open_device(replace(place.settings, allow_shared=True))
    device.activate()
    if place.has_card:
        yield from _with_context(driver)
    for name in place.networks.launched:
        yield from _clocks(name, device, place)


def _driver(driver: NvmlCard) -> Iterator[Finding]:
    """How long the driver takes to answer."""
    if driver.why_not:
        yield "the driver", "answers", driver.why_not.text, None
        return
    questions: dict[str, Callable[[], object]] = {
        "who uses the card": driver.use,
        "the card's state": driver.state,
        "power": driver.usage_w,
        "the energy counter": driver.energy_j,
    }
    for what, ask in questions.items():
        times = []
        for _ in range(CALLS):
            start = time.perf_counter()
            ask()
            times.append(1e3 * (time.perf_counter() - start))
        seen = f"{shown(median(times))}, at most {shown(max(times))}"
        yield f"to ask for {what}", f"below {NVML_MS:g} ms", seen, median(times) < NVML_MS
    told = {name: value for name, value in driver.state().items() if value == value}
    yield "what of its state is told", "clocks, temperature, reasons", ", ".join(told), None


def _with_context(driver: NvmlCard) -> Iterator[Finding]:
    """Who is seen on the card once this process computes there."""
    import torch

    from archbench.measure.machine import host

    torch.zeros(1, device="cuda").add(1).item()
    use, sees_all = driver.use(), host.sees_all_processes()
    count = use.computing_count
    yield "processes with a context", "1", str(count), None if count is None else count == 1
    own = use.own(os.getpid(), sees_all=sees_all)
    expected = "this process, by its id" if sees_all else "one, whatever its id"
    yield "our own among them", expected, str(own), None if use.computing is None else bool(own)


def _clocks(name: str, device: Device, place: Place) -> Iterator[Finding]:
    """Events, the host's clock and the card's busy time of one network's calls."""
    import torch

    from archbench.measure.job.launching import LAUNCH_BOUND
    from archbench.measure.job.workload import prepare
    from archbench.reasons import Reason
    from archbench.records.conditions import Conditions
    from archbench.zoo.catalogue import resolve

    size = {} if place.networks.side is None else {"size": place.networks.side}
    spec = resolve(name, **size).spec
    with torch.inference_mode():
        bench = prepare(spec, place.settings, device, Conditions())
        host_ms, events_ms = _times(bench)
        busy = device.busy_s(lambda: [bench.forward() for _ in range(CALLS)])
    yield at_most(f"{name}: between events, by the host", events_ms, host_ms, 1.02)
    if isinstance(busy, Reason):
        yield f"{name}: busy time", "told by the profiler", busy.text, None
        return
    busy_ms = 1e3 * busy / CALLS
    yield at_most(f"{name}: busy, between events", busy_ms, events_ms, 1.05)
    share = busy_ms / host_ms
    bound = "launching" if share < LAUNCH_BOUND else "the card"
    yield f"{name}: what bounds a call", "a share of 0 to 1", f"{share:.2f}: {bound}", share <= 1.05


def _times(bench: Bench) -> tuple[float, float | None]:
    """Milliseconds of a call by the host's clock and between events, medians."""
    for _ in range(CALLS):
        bench.forward()
    timed = [bench.timed(bench.forward, 1) for _ in range(CALLS)]
    events = [each.device_s for each in timed if each.device_s is not None]
    host_ms = 1e3 * median(each.host_s for each in timed)
    return host_ms, 1e3 * median(events) if events else None
