"""Figures 2, 6, 8 and 10 of Huang et al.: accuracy, multiply-adds and memory over time, and time
over proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from archbench.papers import figures
from archbench.papers.grid import Point, points
from archbench.report.figures.contract import (
    Axis,
    Guide,
    Key,
    Mark,
    Missing,
    Panel,
    Plot,
    Plots,
    frontier,
    plot_or_missing,
)
from archbench.report.figures.huang.grid import (
    COLOURS,
    EXTRACTORS,
    HIGH,
    LOW,
    META,
    NO_TIMES,
    PROTOCOL,
    SHAPES,
    TIME,
    TOTAL_MEMORY,
    how_to_fill,
    label_of,
    measured_on,
    remarks_of,
)
from archbench.report.figures.material import (
    Device,
    Material,
    Selection,
    Value,
    bars_remark,
    flags_remark,
    left_out,
    measured,
    value_of,
)
from archbench.spec import Spec

DEVICES: dict[str, Device] = {"GPU": "gpu", "CPU": "cpu"}
MACS = Axis("multiply-adds", "G", is_log=True)
NO_ACCURACY = (
    "it needs the accuracy of all configurations, but the paper gives only five (Table 3), and "
    "archbench does not train networks"
)


def speed_accuracy(material: Material) -> Plots:
    """Make Figure 2: published mAP over measured time, and the frontier that no configuration
    beats.
    """
    accuracy = _accuracy()
    if not material.wants_ours:
        return [
            Missing(
                "speed-accuracy",
                f"{NO_TIMES}; the five published mAP need measured times: archbench sweep "
                "huang/table3",
            )
        ]
    selection = measured(material, accuracy, "total_ms")
    marks, values = [], []
    for point in points():
        if point.spec in selection.of:
            value = value_of(selection.of[point.spec], "total_ms")
            values.append(value)
            marks.append(
                _mark(
                    point, value, Value(accuracy[point.spec]), label=label_of(point), is_named=True
                )
            )
    panel = Panel(
        "",
        TIME,
        Axis("mAP, COCO minival", "%"),
        tuple(sorted(marks, key=lambda mark: mark.x)),
        guides=frontier(marks, "optimality frontier: no other is faster and more accurate"),
        better="better \N{NORTH WEST ARROW}",
    )
    grid = {point.spec for point in points()} - accuracy.keys()
    others = sum(
        configuration.setup == selection.setup and configuration.spec in grid
        for configuration in material.configurations
    )
    remarks = [
        f"{PROTOCOL} mAP quoted from Table 3; the paper prints none of the {others} other "
        "configurations measured here."
        if others
        else f"{PROTOCOL} mAP quoted from Table 3.",
        *remarks_of(selection, values, "total_ms"),
    ]
    title = "Accuracy over time, after Huang et al.'s Figure 2"
    plot = Plot(
        "speed-accuracy",
        title,
        measured_on(selection),
        (panel,),
        tuple(remarks),
        COLOURS,
        SHAPES,
        columns=1,
    )
    return plot_or_missing(plot, lambda: how_to_fill("table3"))


def proposals(material: Material) -> Plots:
    """Make Figures 6a and 6b: time over the number of proposals, and mAP where it is published."""
    if not material.wants_ours:
        return [Missing("proposals", f"{NO_TIMES}; {how_to_fill('figure6a')}")]
    swept = {
        size: [point for point in points() if point.proposals and point.size == size]
        for size in (HIGH, LOW)
    }
    of_size = {
        size: measured(material, [point.spec for point in there], "total_ms")
        for size, there in swept.items()
    }
    size = max(of_size, key=lambda size: len(of_size[size].of))
    selection = of_size[size]
    values: list[Value] = []
    panels = []
    for letter, detector in zip("ab", ("faster-rcnn", "rfcn"), strict=True):
        chosen = [
            point
            for point in swept[size]
            if point.detector == detector and point.spec in selection.of
        ]
        marks = []
        for point in chosen:
            values.append(value_of(selection.of[point.spec], "total_ms"))
            marks.append(_time_of(point, values[-1]))
        quoted = [_accuracy_of(point) for point in chosen if point.spec in _accuracy()]
        panels.append(
            Panel(
                f"({letter}) {META[detector]}, {size}x{size}",
                Axis("proposals"),
                Axis(TIME.words, TIME.unit, is_log=True),
                (*marks, *quoted),
                right=Axis("mAP, COCO minival", "%") if quoted else None,
                empty=f"no measured record; {how_to_fill('figure6' + letter, is_first=False)}",
            )
        )
    remarks = [PROTOCOL, *remarks_of(selection, values, "total_ms")]
    if any(panel.right for panel in panels):
        remarks.insert(1, "Hollow: mAP as published (Table 3), on the right axis.")
    if size == LOW:
        remarks.insert(1, f"The paper's figure is of {HIGH}x{HIGH}.")
    shapes = Key(("16", "8"), "output stride")
    title = "Time over proposals, after Huang et al.'s Figure 6"
    plot = Plot(
        "proposals", title, measured_on(selection), tuple(panels), tuple(remarks), COLOURS, shapes
    )
    return plot_or_missing(plot, lambda: how_to_fill("figure6a"))


def flops_time(material: Material) -> Plots:
    """Make Figures 8a and 8b: multiply-adds over time on a GPU and on a CPU."""
    return _over_time(
        material,
        "flops-time",
        "Multiply-adds over time, after Huang et al.'s Figure 8",
        MACS,
        ("macs", 1e-9),
    )


def memory_time(material: Material) -> Plots:
    """Make Figures 10a and 10b: memory over time on a GPU and on a CPU."""
    return _over_time(
        material,
        "memory-time",
        "Memory over time, after Huang et al.'s Figure 10",
        TOTAL_MEMORY,
        ("activation_total_bytes", 1e-6),
    )


def refused(name: str) -> Callable[[Material], Plots]:
    """A figure that no data can fill."""
    return lambda material: [Missing(name, NO_ACCURACY)]


def _over_time(
    material: Material, name: str, title: str, y: Axis, counted: tuple[str, float]
) -> Plots:
    """A counted figure over time, a panel for each kind of device."""
    number = {"flops-time": "8", "memory-time": "10"}[name]
    if not material.wants_ours:
        return [Missing(name, f"{NO_TIMES}; {how_to_fill(f'figure{number}a')}")]
    panels: list[Panel] = []
    remarks: list[str] = []
    setups: list[tuple[str, str]] = []
    for letter, (device, kind) in zip("ab", DEVICES.items(), strict=True):
        selection = measured(material, [point.spec for point in points()], "total_ms", device=kind)
        drawn = _timed_and_counted(selection, *counted)
        flags = flags_remark(selection, ["total_ms"], {point.spec for point in drawn})
        panels.append(_of_device(f"{number}{letter}", device, y, drawn))
        remarks += bars_remark(time for time, _ in drawn.values())
        remarks += [f"({letter}) {text}" for text in (*left_out(selection), *flags)]
        setups += [(letter, selection.setup)] if selection else []
    where = [f"({letter}) {setup}" if len(setups) > 1 else setup for letter, setup in setups]
    words = [f"{PROTOCOL} Both axes are logarithmic. Counted: {y.words}.", *dict.fromkeys(remarks)]
    plot = Plot(
        name,
        title,
        f"measured on {'; '.join(where)}",
        tuple(panels),
        tuple(words),
        COLOURS,
        SHAPES,
    )
    return plot_or_missing(plot, lambda: how_to_fill(f"figure{number}a"))


def _timed_and_counted(
    selection: Selection, word: str, scale: float
) -> dict[Point, tuple[Value, Value]]:
    """The total time of each configuration and a figure that was counted of it, of those that have
    both.
    """
    return {
        point: (value_of(selection.of[point.spec], "total_ms"), height)
        for point in points()
        if point.spec in selection.of
        and (height := value_of(selection.of[point.spec], word, scale=scale)).value
    }


def _of_device(
    figure: str, device: str, y: Axis, drawn: Mapping[Point, tuple[Value, Value]]
) -> Panel:
    """The panel of a device, after a figure of the paper such as 8a."""
    marks = tuple(
        _mark(point, time, height, label=label_of(point), is_named=False)
        for point, (time, height) in drawn.items()
    )
    flag = "cuda" if DEVICES[device] == "gpu" else "cpu"
    sweep = f"archbench sweep huang/figure{figure} --device {flag}"
    return Panel(
        f"({figure[-1]}) {device}",
        Axis(f"{device} time per image", "ms", is_log=True),
        y,
        marks,
        _one_a_ms(marks) if y == MACS else (),
        empty=f"no measured record of a {device}; {sweep} measures them",
    )


def _one_a_ms(marks: Sequence[Mark]) -> tuple[Guide, ...]:
    """The line of 1 G multiply-adds a ms, which the paper compares networks with, where it goes
    through them.
    """
    if not marks:
        return ()
    low = max(min(float(mark.x) for mark in marks), min(float(mark.y) for mark in marks))
    high = min(max(float(mark.x) for mark in marks), max(float(mark.y) for mark in marks))
    return (Guide("1 G multiply-adds per ms", ((low, low), (high, high))),) if low < high else ()


def _mark(point: Point, x: Value, y: Value, *, label: str, is_named: bool) -> Mark:
    assert x.value is not None
    assert y.value is not None
    return Mark(
        label,
        x.value,
        y.value,
        x_interval=x.interval,
        y_interval=y.interval,
        colour=EXTRACTORS[point.backbone],
        shape=META[point.detector],
        is_named=is_named,
    )


def _time_of(point: Point, value: Value) -> Mark:
    assert value.value is not None
    extractor = EXTRACTORS[point.backbone]
    return Mark(
        label_of(point),
        point.proposals,
        value.value,
        y_interval=value.interval,
        colour=extractor,
        shape=str(point.output_stride),
        line=f"{extractor}, stride {point.output_stride}",
    )


def _accuracy_of(point: Point) -> Mark:
    return Mark(
        f"{label_of(point)}, mAP",
        point.proposals,
        _accuracy()[point.spec],
        colour=EXTRACTORS[point.backbone],
        shape=str(point.output_stride),
        origin="paper",
        on_right=True,
    )


def _accuracy() -> dict[Spec, float]:
    """The published mAP on minival by network."""
    quoted = (
        (figure.spec(), figure.value)
        for figure in figures()
        if (figure.paper, figure.dataset) == ("huang", "coco-minival")
    )
    return {spec: value for spec, value in quoted if spec}
