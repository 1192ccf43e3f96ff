"""Records as the measurement leaves them, made from figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.settings import Settings
from archbench.zoo import catalogue

GPU = {"device": "cuda:0", "device_name": "Example GPU", "threads": 4}
CPU = {"device": "cpu", "device_name": "Example CPU", "threads": 2}
COUNTED: dict[str, Any] = {
    "params": 56283844,
    "macs": 32626201600,
    "flops": 65252403200,
    "paper_flops": 32655481600,
    "mac_eq1": 122084061,
    "mac_bound": 51234567.5,
    "cio": 65872925,
    "cio_pool": 67000000,
    "bn_elements": 29280000,
    "activation_peak_bytes": 39321600,
    "boxes": 6375,
    "param_kinds": {"conv_weights": 56200000},
    "uncounted": [],
}


def make_record(
    backbone: str = "vovnet39",
    detector: str | None = "refinedet320",
    *,
    latency_ms: float | None = 20.0,
    energy_j: float | None = None,
    day: int = 1,
    gpu: bool = True,
    flags: tuple[str, ...] = (),
    **changes: Any,
) -> Record:
    """A record of a day in January; the interval of its latency is 19 to 22 for a latency of 20."""
    network = {key: changes.pop(key) for key in ("size", "classes", "batch") if key in changes}
    measured = {}
    if latency_ms is not None:
        spread = {"n": 50, "median": latency_ms, "ci95": [0.95 * latency_ms, 1.1 * latency_ms]}
        measured = {
            "latency_ms": Metric(
                latency_ms,
                "ms",
                "host clock",
                "model",
                flags=tuple(map(Flag, flags)),
                spread=spread,
            ),
            "fps": Metric(1e3 / latency_ms, "images/s", "batch / latency_ms", "model"),
            "gmacs_per_s": Metric(
                COUNTED["macs"] / latency_ms / 1e6, "1e9/s", "macs * fps", "model"
            ),
            "mem_params_bytes": Metric(225135376, "bytes", "module"),
            "mem_device_delta_bytes": Metric(2e9, "bytes")
            if gpu
            else Metric(None, "bytes", reason=Reason.CPU_DEVICE),
            "energy_per_image_j": Metric(energy_j, "J")
            if energy_j
            else Metric(None, "J", reason=Reason.CPU_DEVICE),
        }
    fields: dict[str, Any] = {
        "spec": catalogue.resolve(backbone, detector, **network).spec,
        "settings": Settings(),
        "status": Status.OK,
        "counted": COUNTED,
        "measured": measured,
        "environment": GPU if gpu else CPU,
        "time_utc": f"2025-01-{day:02d}T00:00:00+00:00",
    }
    return Record(**fields | changes)


@pytest.fixture
def record() -> Callable[..., Record]:
    """Make a record."""
    return make_record


@pytest.fixture
def failed() -> Record:
    """A record of a job that ran out of memory while it was timed."""
    reason = Cause(Reason.OUT_OF_MEMORY, "latency", "CUDA out of memory, tried to allocate 3 GiB")
    return make_record("vgg16", latency_ms=None, status=Status.OOM, reason=reason, day=9)
