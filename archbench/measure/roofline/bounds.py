"""How fast a network could be on a device, from what the device does at best. Torch-free.

Roofline (Williams et al., 2009): a layer takes at least as long as its operations take at the peak
rate, and at least as long as its elements take at the peak bandwidth. Peaks are measured on the
device (`probes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from archbench.engine_names import EAGER
from archbench.quantities import about
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.records.conditions import Conditions, Roofs
from archbench.settings import Settings

if TYPE_CHECKING:
    from archbench.api import Call, CostReport

ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}
COUNTED_BYTES = 4
"""An element's bytes in a cost report."""
METRICS = about("roofline")

Roof = Literal["compute", "memory"]


@dataclass(frozen=True)
class Probe:
    """A piece of work whose rate was measured: floating-point operations (compute) or bytes
    (memory) a second.
    """

    name: str
    roof: Roof
    best: float
    median: float
    samples: int


@dataclass(frozen=True)
class Peaks:
    """What a device did in its probes, those left out with the reason, flags of what disturbed
    them, and when.
    """

    probes: tuple[Probe, ...]
    skipped: tuple[str, ...]
    flags: tuple[Flag, ...]
    time_utc: str

    def best(self, roof: Roof) -> Probe:
        """The fastest probe of a roof."""
        return max(
            (probe for probe in self.probes if probe.roof == roof), key=lambda probe: probe.best
        )

    def median(self, roof: Roof) -> float:
        """The highest median rate of a roof."""
        return max(probe.median for probe in self.probes if probe.roof == roof)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Peaks:
        """Read what `asdict` gave; raises KeyError or TypeError where it is something else."""
        return cls(
            tuple(Probe(**probe) for probe in data["probes"]),
            tuple(data["skipped"]),
            tuple(map(Flag, data["flags"])),
            data["time_utc"],
        )


@dataclass(frozen=True)
class Bound:
    """The least time of a layer, seconds, and which roof sets it."""

    seconds: float
    by: Roof


@dataclass(frozen=True)
class Roofline:
    """The two roofs of a device in a precision: operations a second, bytes a second, bytes of an
    element.
    """

    flops_per_s: float
    bytes_per_s: float
    element_bytes: int

    def bound(self, call: Call) -> Bound:
        """Bound a convolution or linear layer as it was called, the whole batch."""
        compute = 2 * call.macs * call.images / self.flops_per_s
        memory = self.element_bytes * call.elements / self.bytes_per_s
        return Bound(compute, "compute") if compute >= memory else Bound(memory, "memory")

    def bound_layers(self, calls: Iterable[Call]) -> float:
        """Bound all convolutions and linear layers, one after the other, in seconds."""
        return sum(self.bound(call).seconds for call in calls)

    def bound_all(self, report: CostReport) -> float:
        """Bound the network, each operator by itself, in seconds: what is no layer moves its inputs
        and outputs.
        """
        others = report.bytes_all - COUNTED_BYTES * sum(call.elements for call in report.calls)
        return (
            self.bound_layers(report.calls)
            + others * self.element_bytes / COUNTED_BYTES / self.bytes_per_s
        )

    @classmethod
    def from_conditions(cls, conditions: Conditions) -> Roofline | None:
        """The roofline that a record holds; None where it holds none."""
        kept = conditions.get("roofline")
        return (
            cls(kept["flops_per_s"], kept["bytes_per_s"], kept["element_bytes"]) if kept else None
        )


def describe(peaks: Peaks, settings: Settings, *, cached: bool) -> Roofs:
    """Give the peaks as a record's conditions: the two roofs with the probes that set them, and all
    probes.
    """
    compute, memory = peaks.best("compute"), peaks.best("memory")
    return {
        "flops_per_s": compute.best,
        "flops_per_s_median": peaks.median("compute"),
        "flops_probe": compute.name,
        "bytes_per_s": memory.best,
        "bytes_per_s_median": peaks.median("memory"),
        "bytes_probe": memory.name,
        "element_bytes": ELEMENT_BYTES[settings.precision],
        "cached": cached,
        "probes": [asdict(probe) for probe in peaks.probes],
        "skipped": list(peaks.skipped),
        "flags": list(peaks.flags),
        "time_utc": peaks.time_utc,
    }


def bounds(
    report: CostReport, conditions: Conditions, settings: Settings, latency_ms: float | None
) -> dict[str, Metric]:
    """Bound a network by the roofline in a record's conditions, and say which share of its time the
    layers' bound is, where that is known.
    """
    roofline = Roofline.from_conditions(conditions)
    assert roofline is not None
    flags = tuple(map(Flag, conditions["roofline"]["flags"]))
    layers_ms = 1e3 * roofline.bound_layers(report.calls)
    source = "layers: max(flops / peak, bytes / peak bandwidth)"
    values = {
        "roofline_bound_ms": (layers_ms, source),
        "roofline_bound_all_ms": (
            1e3 * roofline.bound_all(report),
            f"{source}; other operators: bytes / peak bandwidth",
        ),
    }
    if latency_ms is not None:
        values["roofline_attainable"] = layers_ms / latency_ms, "roofline_bound_ms / latency_ms"
    metrics = {
        name: Metric.of(name, value, source, "model", flags=flags)
        for name, (value, source) in values.items()
    }
    is_fused = settings.fold_bn or settings.engine_name != EAGER
    return metrics | (Metric.lacking(["roofline_bound_all_ms"], Reason.FUSED) if is_fused else {})
