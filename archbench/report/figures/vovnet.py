"""VoVNet's figures: 2, what layers of dense and one-shot aggregation read; 3 and 4, accuracy,
speed, efficiency and energy.

Accuracy is always the published one; the rest is published too, or measured on one device with one
precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archbench.papers import Published, figures
from archbench.report.figures.contract import (
    Axis,
    Key,
    Mark,
    Missing,
    Origin,
    Panel,
    Plot,
    Plots,
    plot_or_missing,
)
from archbench.report.figures.material import (
    Block,
    Material,
    Selection,
    Value,
    bars_remark,
    flags_remark,
    left_out,
    listed,
    measured,
    value_of,
    why_missing,
)
from archbench.spec import Spec

FAMILIES = {
    "vovnet": "VoVNet",
    "densenet": "DenseNet",
    "resnet": "ResNet",
    "mobilenet": "MobileNet",
    "peleenet": "PeleeNet",
}
MEASURED = {"fps": "fps", "gmacs_per_s": "gmacs_per_s", "energy_j": "energy_per_image_j"}
"""Our column behind each quantity of a point; `PUBLISHED`: the paper's metric."""
PUBLISHED = {"fps": "fps", "gmacs_per_s": "gflops_per_s", "energy_j": "energy_j_per_image"}
NAMES = {"fps": "speed", "gmacs_per_s": "computation efficiency", "energy_j": "energy"}
FLOP_REMARK = "One FLOP is one multiply-add."
NORTH_EAST, NORTH_WEST = "better \N{NORTH EAST ARROW}", "better \N{NORTH WEST ARROW}"


@dataclass(frozen=True)
class Chart:
    """A figure of the paper: the table that its points stand in, and the accuracy on its axis."""

    name: str
    title: str
    number: int
    table: str
    accuracy: str
    accuracy_axis: Axis

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
    Chart("voc", "Lightweight detectors", 3, "2", "map50", Axis("mAP, VOC 2007 test", "%")),
    Chart("coco", "Backbones under RefineDet320", 4, "4", "ap", Axis("AP, COCO test-dev", "%")),
)
AXES = {
    "fps": Axis("inference speed", "images/s"),
    "gmacs_per_s": Axis("FLOP/s as the paper counts", "1e9/s"),
    "energy_j": Axis("energy", "J per image"),
}
PANELS = (
    ("(a) accuracy over speed", "fps", "accuracy", NORTH_EAST),
    ("(b) accuracy over computation efficiency", "gmacs_per_s", "accuracy", NORTH_EAST),
    ("(c) accuracy over energy", "energy_j", "accuracy", NORTH_WEST),
    ("(d) computation efficiency over energy", "energy_j", "gmacs_per_s", NORTH_WEST),
)


@dataclass(frozen=True)
class Point:
    """One network: accuracy in percent, images/s, 1e9 multiply-adds/s, joules per image."""

    label: str
    family: str
    quantities: Mapping[str, Value]
    origin: Origin = "ours"


def efficiency(material: Material) -> Plots:
    """Make Figures 3 and 4."""
    plots: Plots = []
    for chart in CHARTS:
        labels = {spec: label for label, spec in chart.specs().items()}
        selection = measured(material, labels, "fps") if material.wants_ours else None
        points = _measured(chart, selection, labels) if selection else []
        if material.wants_paper:
            points += _published(chart)
        plots += plot_or_missing(
            _plot(chart, points, selection),
            lambda chart=chart: _how_to_fill(chart),  # type: ignore[misc]
        )
    return plots


def _published(chart: Chart) -> list[Point]:
    quoted = {
        label: {name: Value(row[metric].value) for name, metric in PUBLISHED.items()}
        | {"accuracy": Value(row[chart.accuracy].value)}
        for label, row in chart.rows().items()
    }
    return [
        Point(label, _family(chart, label), values, "paper") for label, values in quoted.items()
    ]


def _measured(chart: Chart, selection: Selection, labels: Mapping[Spec, str]) -> list[Point]:
    of = {labels[spec]: configuration for spec, configuration in selection.of.items()}
    points = []
    for label, row in chart.rows().items():
        if label in of:
            values = {name: value_of(of[label], word) for name, word in MEASURED.items()}
            points.append(
                Point(
                    label,
                    _family(chart, label),
                    values | {"accuracy": Value(row[chart.accuracy].value)},
                )
            )
    return points


def _family(chart: Chart, label: str) -> str:
    backbone = chart.rows()[label][chart.accuracy].backbone
    return next(name for prefix, name in FAMILIES.items() if backbone.startswith(prefix))


def _plot(chart: Chart, points: Sequence[Point], selection: Selection | None) -> Plot:
    ours, papers = (
        [point for point in points if point.origin == origin] for origin in ("ours", "paper")
    )
    remarks = [
        *_remarks(chart, ours, selection),
        *_quotation(chart, papers, is_overlaid=bool(ours)),
    ]
    where = f"measured on {selection.setup}" if selection else "as published"
    key = Key(tuple(FAMILIES.values()))
    panels = tuple(_panel(chart, points, *panel) for panel in PANELS)
    return Plot(
        f"efficiency-{chart.name}",
        f"{chart.title}, after VoVNet's Figure {chart.number}",
        where,
        panels,
        tuple(remarks),
        key,
        key,
    )


def _quotation(chart: Chart, papers: Sequence[Point], *, is_overlaid: bool) -> list[str]:
    if not papers:
        return []
    if is_overlaid:
        return [
            f"Hollow marks: quoted from {chart.origin}, measured on the paper's own device, energy "
            "by its Eq. 2."
        ]
    return [
        f"Every figure is quoted from {chart.origin}: on the paper's own device, energy by its Eq. "
        f"2. {FLOP_REMARK}"
    ]


def _panel(chart: Chart, points: Sequence[Point], title: str, x: str, y: str, better: str) -> Panel:
    marks: list[Mark] = []
    for point in points:
        at, height = point.quantities[x], point.quantities[y]
        if at.value is not None and height.value is not None:
            mark = Mark(
                point.label,
                at.value,
                height.value,
                x_interval=at.interval,
                y_interval=height.interval,
                colour=point.family,
                shape=point.family,
                line=f"{point.family}, {point.origin}",
                origin=point.origin,
                is_named=point.label not in {mark.label for mark in marks},
            )
            marks.append(mark)
    missing = [
        name
        for name in (x, y)
        if name in NAMES and all(point.quantities[name].value is None for point in points)
    ]
    empty = "; ".join(
        f"{NAMES[name]}: {why_missing(point.quantities[name] for point in points)}"
        for name in missing
    )
    ordered = sorted(marks, key=lambda mark: (mark.x, mark.y))
    is_overlaid = len({mark.origin for mark in marks}) > 1
    across, up = (
        replace(axis, is_log=is_overlaid and name in AXES)
        for name, axis in ((x, AXES[x]), (y, AXES.get(y, chart.accuracy_axis)))
    )
    return Panel(title, across, up, tuple(ordered), better=better, empty=empty)


def _remarks(chart: Chart, points: Sequence[Point], selection: Selection | None) -> list[str]:
    if not selection:
        return []
    remarks = [
        f"Batch 1, the forward pass alone (protocol model); accuracy quoted from {chart.origin}. "
        f"{FLOP_REMARK}"
    ]
    remarks += bars_remark(value for point in points for value in point.quantities.values())
    for name, what in NAMES.items():
        missing = [point for point in points if point.quantities[name].value is None]
        if missing and len(missing) < len(points):
            why = why_missing(point.quantities[name] for point in missing)
            remarks.append(f"Without {what}: {listed([point.label for point in missing])} ({why}).")
    absent = [label for label in chart.rows() if label not in {point.label for point in points}]
    if absent:
        remarks.append(f"No record: {listed(absent)}.")
    return [*remarks, *left_out(selection), *flags_remark(selection, list(MEASURED.values()))]


def _how_to_fill(chart: Chart) -> str:
    """Why a chart has no point, and the command that would make some."""
    if not chart.specs():
        return f"none of the networks of {chart.origin} can be built yet"
    return (
        f"no measured record of the networks of {chart.origin}; archbench sweep "
        f"vovnet/figure{chart.number} measures them"
    )


def aggregation(material: Material) -> Plots:
    """Make Figure 2: a matrix of mean absolute weights for each block of a trained network."""
    if not material.blocks:
        why = (
            "it shows trained weights, and random ones weigh every layer alike: give a checkpoint, "
            "as in"
            " archbench plot aggregation --network densenet40 --weights FILE"
        )
        return [Missing("aggregation", why)]
    panels = tuple(_matrix(block) for block in material.blocks)
    remarks = (
        "Mean absolute weight between each layer's output (source) and the layers that read it "
        "(target), as VoVNet's Figure 2 has it;"
        " blank: not connected. A target without a number reads the block's output: a transition, "
        "an aggregation, a classifier.",
    )
    title = f"What layers read, {material.networks[0]}, after VoVNet's Figure 2"
    return [
        Plot(
            "aggregation",
            title,
            f"weights of {material.checkpoint}",
            panels,
            remarks,
            columns=min(3, len(panels)),
        )
    ]


def _matrix(block: Block) -> Panel:
    marks = tuple(
        Mark(f"{source} to {target}", target, source, z=weight, form="cell")
        for source, row in zip(block.sources, block.weights, strict=True)
        for target, weight in zip(block.targets, row, strict=True)
    )
    empty = "" if marks else "no layer reads another's output"
    z = Axis("mean absolute weight")
    return Panel(block.name, Axis("target layer"), Axis("source layer"), marks, z=z, empty=empty)
