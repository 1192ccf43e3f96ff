"""Records and counts made up by rule, and the figures that golden files hold.

python tests/report/figures/synthetic.py    # writes the golden files anew, to be read before they
are committed
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archbench.papers.grid import Point, points
from archbench.papers.suites import suite
from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.report.figures.contract import Plot, write_csv
from archbench.report.figures.material import Choice, Material
from archbench.report.figures.registry import FIGURES, find
from archbench.settings import Settings
from archbench.spec import Spec

GOLDEN = Path(__file__).parents[2] / "data" / "plots"
GPU = {"device": "cuda:0", "device_name": "Example GPU", "threads": 4}
CPU = {"device": "cpu", "device_name": "Example CPU", "threads": 2}
ROOFS = {"flops_per_s": 2e13, "bytes_per_s": 1e12, "element_bytes": 4}


def made_up(spec: Spec, number: int, *, gpu: bool = True, **changes: Any) -> Record:
    """A record whose figures all follow from one number: 1 ms, 1 G multiply-adds, 1 MB of
    activations each.
    """
    ms = float(number) if gpu else 20.0 * number
    post = 2.0
    spread = {"n": 50, "median": ms, "ci95": [0.9 * ms, 1.2 * ms]}
    missing = {"value": None, "reason": "cpu_device"}
    measured = {
        "latency_ms": Metric(ms, "ms", protocol="model", spread=spread),
        "postprocess_ms": Metric(post, "ms", protocol="post"),
        "total_ms": Metric(
            ms + post,
            "ms",
            protocol="model+post",
            spread=spread | {"ci95": [0.9 * (ms + post), 1.2 * (ms + post)]},
        ),
        "backbone_ms": Metric(0.75 * ms, "ms", protocol="model"),
        "heads_ms": Metric(0.25 * ms, "ms", protocol="model"),
        "fps": Metric(1e3 * spec.batch / ms, "images/s", protocol="model"),
        "gmacs_per_s": Metric(1e3 * number / ms, "1e9/s", protocol="model"),
        "flops_per_s": Metric(2e12 * number * spec.batch / ms, "1/s", protocol="model"),
        "mem_alloc_peak_bytes": Metric(5e6 * number, "bytes")
        if gpu
        else Metric(unit="bytes", **missing),
        "mem_device_delta_bytes": Metric(1e9 + 5e6 * number, "bytes")
        if gpu
        else Metric(unit="bytes", **missing),
        "energy_per_image_j": Metric(0.1 * number, "J") if gpu else Metric(unit="J", **missing),
    }
    counted = {
        "params": number * 10**6,
        "macs": number * 10**9,
        "flops": 2 * number * 10**9,
        "mac_eq1": (90 + number) * 10**6,
        "mac_bound": 8e7,
        "cio": (500 - number) * 10**6,
        "cio_pool": (501 - number) * 10**6,
        "activation_peak_bytes": 10**6 * number,
        "activation_total_bytes": 10**7 * number,
        "bytes_all": 4 * 10**7 * number,
        "uncounted": [],
    }
    fields: dict[str, Any] = {
        "spec": spec,
        "settings": Settings(),
        "status": Status.OK,
        "counted": counted,
        "measured": measured,
        "environment": GPU if gpu else CPU,
        "conditions": {"roofline": ROOFS} if gpu else {},
        "time_utc": "2025-01-01T00:00:00+00:00",
        "record_id": f"{spec}, {spec.options_text}, {'gpu' if gpu else 'cpu'}",
    }
    return Record(**fields | changes)


def of_suite(name: str) -> list[Record]:
    """A record for each network of a suite."""
    return [made_up(spec, 3 + 2 * index) for index, spec in enumerate(suite(name).specs)]


def of_engines() -> list[Record]:
    """Records of a suite in three engines: OpenVINO halves the time, its int8 does again, cannot
    hold one network, and ONNX Runtime computes something else of another.
    """
    first, second, *rest = of_suite("vovnet/table4")
    others = [in_engine(record, "openvino", 0.5) for record in (first, *rest)]
    others += [in_engine(record, "openvino", 0.25, "int8") for record in rest]
    cause = Cause(Reason.UNSUPPORTED, "prepare", "OpenVINO has no Foo")
    missing = in_engine(second, "openvino", 1.0)
    others.append(replace(missing, status=Status.ERROR, reason=cause, measured={}))
    differing = in_engine(rest[0], "onnxruntime", 0.1)
    flagged = {
        name: replace(metric, flags=(Flag.ENGINE_DIFFERS,))
        for name, metric in differing.measured.items()
    }
    others += [replace(differing, measured=flagged), in_engine(first, "onnxruntime", 0.75)]
    return [first, second, *rest, *others]


def in_engine(record: Record, engine: str, share: float, precision: str = "fp32") -> Record:
    """The record of the same network in another engine, at a share of the time."""
    time = record.measured["total_ms"]
    value = share * float(time.value or 0)
    spread = {"n": 50, "median": value, "ci95": [0.95 * value, 1.1 * value]}
    return replace(
        record,
        settings=Settings(engine=engine, precision=precision),
        measured={"total_ms": replace(time, value=value, spread=spread)},
        record_id=f"{record.record_id}, {engine}, {precision}",
    )


def of_grid(*, gpu: bool = True) -> list[Record]:
    """Records of a part of Huang et al.'s grid: every pair of two extractors, and the networks of
    Table 3.
    """
    named = set(suite("huang/table3").specs)

    def chosen(point: Point) -> bool:
        return point.spec in named or (
            point.backbone in ("mobilenet", "resnet101-slim") and point.proposals in (0, 10, 300)
        )

    return [
        made_up(point.spec, 1 + index, gpu=gpu)
        for index, point in enumerate(points())
        if chosen(point)
    ]


@dataclass(frozen=True)
class Call:
    """A layer as a count has it."""

    path: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    macs: int


@dataclass(frozen=True)
class Block:
    """A block as the measurement of weights has it."""

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    weights: tuple[tuple[float | None, ...], ...]


BLOCKS = (
    Block(
        "block1",
        ("input", "1", "2"),
        ("1", "2", "transition"),
        ((0.5, 0.25, 0.125), (None, 0.75, 0.0625), (None, None, 1.5)),
    ),
)


def layers(spec: Spec) -> Sequence[Call]:
    """Two layers whose sizes follow from the input's."""
    side = spec.width
    return (
        Call("stem", (1, 3, side, side), (1, 8, side // 2, side // 2), side**2 * 54),
        Call("last", (1, 8, side // 2, side // 2), (1, 16, 1, 1), 128),
    )


def everything() -> Material:
    """What lets every figure be drawn that can be."""
    records = [
        *of_grid(),
        *of_grid(gpu=False),
        *(record for name in SUITES for record in of_suite(name)),
        *of_engines(),
    ]
    network = suite("vovnet/section3.2").specs[0]
    return Material(records, "records", Choice(), [network], layers, BLOCKS, "example.pth")


SUITES = ("vovnet/table2", "vovnet/table4", "cspnet/table1", "cspnet/table3", "dsnet/table9")


def cases() -> dict[str, Plot]:
    """The figures that golden files hold, by the files' names."""
    grid, records = [*of_grid(), *of_grid(gpu=False)], of_suite("vovnet/table4")
    networks = suite("vovnet/section3.2").specs
    trained = [
        spec for spec in suite("dsnet/table9").specs if spec.backbone in ("resnet50", "resnet152")
    ]
    asked: dict[str, tuple[str, Material]] = {
        "efficiency-paper": ("efficiency", Material(source="paper")),
        "efficiency-both": ("efficiency", Material(records, "both")),
        "speed-accuracy": ("speed-accuracy", Material(grid)),
        "proposals": ("proposals", Material(grid)),
        "time": ("time", Material(grid)),
        "flops-time": ("flops-time", Material(grid)),
        "memory": ("memory", Material(grid)),
        "memory-time": ("memory-time", Material(grid)),
        "csp-overview-paper": ("csp-overview", Material(source="paper")),
        "fusion-paper": ("fusion", Material(source="paper")),
        "training-cost-paper": ("training-cost", Material(source="paper")),
        "training-cost-both": (
            "training-cost",
            Material([made_up(spec, 4) for spec in trained], "both"),
        ),
        "layers": ("layers", Material(networks=networks, layers=layers)),
        "layer-io": ("layer-io", Material(networks=networks, layers=layers)),
        "aggregation": (
            "aggregation",
            Material(networks=networks[:1], blocks=BLOCKS, checkpoint="example.pth"),
        ),
        "engines": ("engines", Material(of_engines())),
        "roofline": ("roofline", Material(records)),
        "explains": ("explains", Material(records)),
        "trade-off": ("trade-off", Material(records, choice=Choice("params", "fps", "backbone"))),
        "trade-off-paper": (
            "trade-off",
            Material(source="paper", choice=Choice("params", "map50")),
        ),
    }
    made = {
        case: [plot for plot in find(name).make(material) if isinstance(plot, Plot)]
        for case, (name, material) in asked.items()
    }
    return {case: plots[-1] for case, plots in made.items()}


def as_csv(plot: Plot) -> str:
    """The data of a figure as its file has them."""
    file = io.StringIO()
    write_csv(plot, file)
    return file.getvalue()


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for case, plot in cases().items():
        (GOLDEN / f"{case}.csv").write_text(as_csv(plot), encoding="utf-8")
    print(f"{len(FIGURES)} figures, {len(cases())} files in {GOLDEN}")
