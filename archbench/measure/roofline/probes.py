"""A device's peaks, measured on it: copies and a triad for bandwidth, convolutions and matrix
products for operations a second.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache as cached
from functools import partial
from itertools import product
from math import ceil, prod
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from archbench import cache
from archbench.measure.machine import host
from archbench.measure.machine.device import Device
from archbench.measure.roofline.bounds import Peaks, Probe, Roof
from archbench.reasons import Flag
from archbench.records.store import host_id
from archbench.settings import Settings

Call = Callable[[], object]

MIB = 1 << 20
SHARE = 4
"""A probe takes at most one over this of the free memory."""
BATCH = {"cpu": 1, "cuda": 32}
"""Images of a convolution: as many as keep the device busy."""
CACHES = 4
"""How many times a card's L2 is in the buffers of its memory's probes."""
REPEATS = 20
PROBE_S = 0.3
"""Time after which a probe that ran twice is not repeated."""
LEAST_CALLS = 3
"""The first call and two samples."""
SHORTEST_S = 2e-3
"""Time below which several calls in a row are timed as one."""
VERSION = 1
"""Goes up whenever other probes are run, so that the peaks of the former are not read."""


@dataclass(frozen=True)
class Sizes:
    """How large the probes are, in the order in which they run; the defaults are those that peaks
    are taken from.

    How long the next one would take is judged by those before, so that each kind begins with one
    that is quick, yet large enough to show how fast the device is.
    """

    buffers_mib: tuple[int, ...] = (64, 256, 1024)
    channels: tuple[int, ...] = (64, 128, 256, 512)
    maps: tuple[int, ...] = (56, 28, 14)
    sides: tuple[int, ...] = (1024, 2048, 4096, 8192)
    budget_s: float = 10.0
    """Time of all probes, in three equal parts: convolutions, products, bandwidth, each with what
    the former left over.
    """


SIZES = Sizes()


@dataclass(frozen=True)
class Work:
    """A probe before it is run: its operations or bytes, the memory it needs, and what makes its
    data and gives a call.
    """

    name: str
    roof: Roof
    amount: float
    needs_bytes: int
    make: Callable[[], Call]


def peaks_of(device: Device, settings: Settings, sizes: Sizes = SIZES) -> tuple[Peaks, bool]:
    """Find the device's peaks in its precision, and say whether an earlier job had measured them.

    Peaks that other programs may have lowered are not kept for later jobs.
    """
    key = _key(device, settings, sizes)
    kept = cache.read("roofline", key)
    if kept:
        return Peaks.from_dict(kept), True
    peaks = measure_peaks(device, sizes)
    if not any(flag.disturbs for flag in peaks.flags):
        cache.write("roofline", key, asdict(peaks))
    return peaks, False


def _key(device: Device, settings: Settings, sizes: Sizes) -> dict[str, Any]:
    """All on which peaks depend. Processors of one name may have other memory, so that the host is
    part of it, and so are, of a CPU, the cores that this process may use: they may be of two kinds
    or far from some of the memory.
    """
    found = device.fingerprint()
    names = (
        "device_name",
        "uuid",
        "driver",
        "power_limit_w",
        "application_clock_mhz",
        "application_memory_clock_mhz",
        "ecc",
        "l2_bytes",
        "torch",
        "cudnn",
        "cudnn_benchmark",
        "deterministic",
        "threads",
        "cpu_capability",
    )
    key = {name: found.get(name) for name in names}
    return key | {
        "host": host_id(),
        "affinity": sorted(host.affinity()) if device.kind == "cpu" else None,
        "precision": settings.precision,
        "version": VERSION,
        "sizes": repr(sizes),
    }


def measure_peaks(device: Device, sizes: Sizes = SIZES) -> Peaks:
    """Run the probes as far as time and memory go; the first of each roof runs in any case."""
    start, free = time.perf_counter(), _free_bytes(device)
    kinds = (_convolutions(device, sizes), _products(device, sizes), _buffers(device, sizes, free))
    probes: list[Probe] = []
    skipped: list[str] = []
    for part, kind in enumerate(kinds, start=1):
        for work in kind:
            left_s = start + part / len(kinds) * sizes.budget_s - time.perf_counter()
            why_not = _why_not(work, probes, left_s=left_s, free=free)
            if why_not:
                skipped.append(f"{work.name}: {why_not}")
            else:
                probes.append(_run(device, work))
    disturbed = device.kind == "cpu" and host.is_contended(host.load())
    flags = [*([Flag.CPU_CONTENDED] if disturbed else []), *device.contention()]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Peaks(tuple(probes), tuple(skipped), tuple(flags), now)


def _why_not(work: Work, probes: list[Probe], *, left_s: float, free: int) -> str:
    """Say why a probe is left out, judged by those before it; empty for one that is run."""
    rate = max((probe.best for probe in probes if probe.roof == work.roof), default=None)
    if rate is None:
        return ""
    if work.needs_bytes > free / SHARE:
        return f"{work.needs_bytes / MIB:,.0f} MiB of {free / MIB:,.0f} MiB free"
    needs_s = LEAST_CALLS * work.amount / rate
    return (
        ""
        if needs_s <= left_s
        else f"about {needs_s:,.1f} s where {left_s:,.1f} s are left"
        if left_s > 0
        else "no time left"
    )


def _run(device: Device, work: Work) -> Probe:
    """Time a probe some times after a first call, which sets up what the libraries need."""
    call = work.make()
    _timed(device, call, 1)
    second = _timed(device, call, 1)
    calls = ceil(SHORTEST_S / second)
    times = [second] if calls == 1 else []
    start = time.perf_counter()
    while len(times) < REPEATS and (len(times) < 2 or time.perf_counter() - start < PROBE_S):
        times.append(_timed(device, call, calls))
    return Probe(
        work.name,
        work.roof,
        best=work.amount / min(times),
        median=work.amount / median(times),
        samples=len(times),
    )


def _timed(device: Device, call: Call, times: int) -> float:
    device.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        call()
    device.synchronize()
    return (time.perf_counter() - start) / times


def _buffers(device: Device, sizes: Sizes, free: int) -> Iterator[Work]:
    """Copies, which read a buffer and write another, and triads in place, which read two and write
    one.
    """
    buffers_mib = _beyond_cache(device, sizes)
    fitting = [mib for mib in buffers_mib if 2 * mib * MIB <= free / SHARE]
    pair = cached(partial(_pair, device, max(fitting, default=buffers_mib[0]) * MIB))
    for mib in buffers_mib:
        size = mib * MIB
        yield Work(f"copy of {mib} MiB", "memory", 2 * size, 2 * size, partial(_copy, pair, size))
        yield Work(f"triad of {mib} MiB", "memory", 3 * size, 2 * size, partial(_triad, pair, size))


def _beyond_cache(device: Device, sizes: Sizes) -> list[int]:
    """The sizes of which two buffers are at least four times a card's L2, which would otherwise be
    faster than its memory; one that is made so where none is.
    """
    if device.kind == "cpu":
        return list(sizes.buffers_mib)
    least = CACHES * device.cache_bytes / 2 / MIB
    return [mib for mib in sizes.buffers_mib if mib >= least] or [ceil(least)]


def _copy(pair: Callable[[], list[Tensor]], size: int) -> Call:
    source, target = (buffer[: size // buffer.element_size()] for buffer in pair())
    return lambda: target.copy_(source)


def _triad(pair: Callable[[], list[Tensor]], size: int) -> Call:
    source, target = (buffer[: size // buffer.element_size()] for buffer in pair())
    return lambda: target.add_(source, alpha=0.5)


def _pair(device: Device, size: int) -> list[Tensor]:
    """Two buffers of random numbers, one block of them over and over, since to draw them takes long
    on a CPU.
    """
    block = _random(device, MIB)
    return [block.repeat(size // (MIB * block.element_size())) for _ in range(2)]


def _convolutions(device: Device, sizes: Sizes) -> Iterator[Work]:
    """Dense 3x3 convolutions, as many channels in as out."""
    batch = BATCH[device.kind]
    for channels, side in product(sizes.channels, sizes.maps):
        images, weights = (batch, channels, side, side), (channels, channels, 3, 3)
        flops = 2 * prod(weights) * batch * side**2
        needs = (2 * prod(images) + prod(weights)) * device.dtype.itemsize
        name = f"3x3 convolution of {channels} channels at {side}x{side}"
        yield Work(name, "compute", flops, needs, partial(_convolution, device, images, weights))


def _convolution(device: Device, images: tuple[int, ...], weights: tuple[int, ...]) -> Call:
    source, kernels = _random(device, *images), _random(device, *weights)
    return lambda: F.conv2d(source, kernels, padding=1)


def _products(device: Device, sizes: Sizes) -> Iterator[Work]:
    """Products of square matrices."""
    for side in sizes.sides:
        needs = 3 * side**2 * device.dtype.itemsize
        yield Work(
            f"matrix product of {side}x{side}",
            "compute",
            2 * side**3,
            needs,
            partial(_product, device, side),
        )


def _product(device: Device, side: int) -> Call:
    left, right, out = (_random(device, side, side) for _ in range(3))
    return lambda: torch.mm(left, right, out=out)


def _random(device: Device, *shape: int) -> Tensor:
    return torch.randn(*shape, device=device.torch_device).to(device.dtype)


def _free_bytes(device: Device) -> int:
    return (
        torch.cuda.mem_get_info(device.torch_device)[0]
        if device.kind == "cuda"
        else host.available_bytes()
    )
