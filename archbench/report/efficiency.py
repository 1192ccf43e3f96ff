"""VoVNet's Figures 3 and 4 as data: accuracy, speed, computation efficiency and energy of the networks of Tables 2 and 4.

The accuracy is always the published one; the rest is either published too or measured here, on one device with one precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archbench.papers import Published, figures
from archbench.records import Record
from archbench.report.configurations import Configuration, configurations, measured_places
from archbench.report.rows import flags_of
from archbench.report.words import explain
from archbench.spec import Spec

FAMILIES = {"vovnet": "VoVNet", "densenet": "DenseNet", "resnet": "ResNet", "mobilenet": "MobileNet", "peleenet": "PeleeNet"}
MEASURED = {"fps": "fps", "gmacs_per_s": "gmacs_per_s", "energy_j": "energy_per_image_j"}
"""Our column behind each quantity of a point; `PUBLISHED`: the paper's metric."""
PUBLISHED = {"fps": "fps", "gmacs_per_s": "gflops_per_s", "energy_j": "energy_j_per_image"}
NAMES = {"fps": "speed", "gmacs_per_s": "computation efficiency", "energy_j": "energy"}

FLOP_REMARK = "One FLOP is one multiply-add."


@dataclass(frozen=True)
class Chart:
    """A figure of the paper: the table that its points stand in, and the accuracy on its axis."""

    name: str
    title: str
    number: int
    table: str
    accuracy: str
    accuracy_axis: str

    @property
    def origin(self) -> str:
        """Where the networks and their accuracy come from."""
        return f"VoVNet, Table {self.table}"

    def rows(self) -> dict[str, dict[str, Published]]:
        """The table by label, its figures by metric."""
        rows: dict[str, dict[str, Published]] = {}
        for figure in figures():
            if (figure.paper, figure.table) == ("vovnet", self.table):
                rows.setdefault(figure.label.split(" (")[0], {})[figure.metric] = figure
        return rows

    def specs(self) -> dict[str, Spec]:
        """The networks of the table that can be built, by label."""
        specs = {label: row[self.accuracy].spec() for label, row in self.rows().items()}
        return {label: spec for label, spec in specs.items() if spec}


CHARTS = (
    Chart("voc", "Lightweight detectors", 3, "2", "map50", "mAP (%), VOC 2007 test"),
    Chart("coco", "Backbones under RefineDet320", 4, "4", "ap", "AP (%), COCO test-dev"),
)


@dataclass(frozen=True)
class Value:
    """A quantity of a point, the 95 % interval of its median if there is one; or None and why."""

    value: float | None
    interval: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Point:
    """One network: accuracy in percent, speed in images/s, 1e9 multiply-adds/s, joules an image."""

    label: str
    family: str
    accuracy: Value
    fps: Value
    gmacs_per_s: Value
    energy_j: Value


@dataclass(frozen=True)
class Selection:
    """The points of a chart and what must be said of them."""

    points: list[Point]
    heading: str
    remarks: list[str]


def published(chart: Chart) -> Selection:
    """Take every figure from the paper."""
    points = [
        _point(chart, label, row, {name: Value(row[metric].value) for name, metric in PUBLISHED.items()})
        for label, row in chart.rows().items()
    ]
    remarks = [f"Every figure is quoted from {chart.origin}: on the paper's own device, energy by its Eq. 2. {FLOP_REMARK}"]
    return Selection(points, "as published", remarks)


def measured(chart: Chart, records: Sequence[Record]) -> Selection:
    """Take what was measured of each network at the one place that has most of them, repeats put together."""
    labels = {spec: label for label, spec in chart.specs().items()}
    places = measured_places(one for one in configurations(records) if one.spec in labels and one.figure("fps"))
    if not places:
        return Selection([], "", [])
    place = next(iter(places))
    chosen = {labels[one.spec]: one for one in places.pop(place)}
    rows = chart.rows()
    points = [_point(chart, label, rows[label], _quantities(chosen[label])) for label in rows if label in chosen]
    others = {name: len(found) for name, found in places.items()}
    return Selection(points, f"measured on {place}", _remarks(chart, points, list(chosen.values()), others))


def _point(chart: Chart, label: str, row: dict[str, Published], quantities: dict[str, Value]) -> Point:
    accuracy = row[chart.accuracy]
    family = next(name for prefix, name in FAMILIES.items() if accuracy.backbone.startswith(prefix))
    return Point(label, family, Value(accuracy.value), **quantities)


def _quantities(one: Configuration) -> dict[str, Value]:
    return {name: _value(one, column) for name, column in MEASURED.items()}


def _value(one: Configuration, column: str) -> Value:
    figure = one.figure(column)
    return Value(figure.value, figure.interval) if figure else Value(None, reason=one.reason(column))


def _remarks(chart: Chart, points: Sequence[Point], made: Sequence[Configuration], others: dict[str, int]) -> list[str]:
    remarks = [f"Batch 1, the forward pass alone (protocol model); accuracy quoted from {chart.origin}. {FLOP_REMARK}"]
    if any(point.fps.interval for point in points):
        several = any(len(one.records) > 1 for one in made)
        remarks.append(f"Bars: 95 % interval of the median{', or the range of several medians' if several else ''}.")
    for name in NAMES:
        missing = [point.label for point in points if getattr(point, name).value is None]
        if missing and len(missing) < len(points):
            remarks.append(f"Without {NAMES[name]}: {', '.join(missing)} ({why_missing(points, name)}).")
    absent = [label for label in chart.rows() if label not in {point.label for point in points}]
    if absent:
        remarks.append(f"No record: {', '.join(absent)}.")
    if others:
        remarks.append(f"Left out, of other devices or settings: {'; '.join(f'{count} on {name}' for name, count in others.items())}.")
    flags = Counter(flag for one in made for flag in {flag for record in one.records for flag in flags_of(record)})
    if flags:
        remarks.append(f"Flags: {', '.join(f'{flag} ({count} of {len(made)})' for flag, count in sorted(flags.items()))}.")
    return remarks


def why_missing(points: Sequence[Point], name: str) -> str:
    """Say in words and codes why a quantity of some points is not there."""
    reasons = dict.fromkeys(getattr(point, name).reason for point in points if getattr(point, name).value is None)
    return ", ".join(
        f"{explain(reason)} ({reason})" if explain(reason) != reason else reason.replace("_", " ") for reason in reasons if reason
    )
