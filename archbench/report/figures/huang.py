"""The figures of Huang et al., Speed/accuracy trade-offs: 2 and 6 to 10, from records of their grid
of configurations.

The paper prints the accuracy of five configurations (Table 3); its times stand in its pictures
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from archbench.papers import figures
from archbench.papers.grid import Point, points
from archbench.report.data.configurations import Configuration
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

EXTRACTORS = {
    "vgg16": "VGG-16",
    "mobilenet": "MobileNet",
    "inception-v2": "Inception v2",
    "inception-v3": "Inception v3",
    "resnet101-slim": "ResNet-101",
    "inception-resnet-v2": "Inception-ResNet v2",
}
META = {"faster-rcnn": "Faster R-CNN", "rfcn": "R-FCN", "ssd-huang": "SSD"}
LOW, HIGH, DENSE, MOST_PROPOSALS = 300, 600, 8, 300
COLOURS = Key(tuple(EXTRACTORS.values()), "extractor")
SHAPES = Key(tuple(META.values()), "meta-architecture")
TIME = Axis("time an image", "ms")
TOTAL_MEMORY = Axis("sum of activations", "MB", is_log=True)
DEVICES: dict[str, Device] = {"GPU": "gpu", "CPU": "cpu"}
PROTOCOL = "Batch 1, forward pass and postprocessing (protocol model+post)."
NO_TIMES = "the paper prints no times or memory as numbers, only pictures of them"
NO_ACCURACY = (
    "it needs the accuracy of all configurations, and the paper prints that of five (Table 3); "
    "nothing here trains networks"
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
                _mark(point, value, Value(accuracy[point.spec]), label=_label(point), is_named=True)
            )
    panel = Panel(
        "",
        TIME,
        Axis("mAP, COCO minival", "%"),
        tuple(sorted(marks, key=lambda mark: mark.x)),
        guides=frontier(marks, "optimality frontier: none is faster and better"),
        better="better \N{NORTH WEST ARROW}",
    )
    grid = {point.spec for point in points()} - accuracy.keys()
    others = sum(
        configuration.place == selection.setup and configuration.spec in grid
        for configuration in material.configurations
    )
    remarks = [
        f"{PROTOCOL} mAP quoted from Table 3; the paper prints none of the {others} other "
        "configurations measured here."
        if others
        else f"{PROTOCOL} mAP quoted from Table 3.",
        *_remarks(selection, values, "total_ms"),
    ]
    title = "Accuracy over time, after Huang et al.'s Figure 2"
    plot = Plot(
        "speed-accuracy",
        title,
        _where(selection),
        (panel,),
        tuple(remarks),
        COLOURS,
        SHAPES,
        columns=1,
    )
    return plot_or_missing(plot, lambda: _how_to_fill("table3"))


def proposals(material: Material) -> Plots:
    """Make Figures 6a and 6b: time over the number of proposals, and mAP where it is published."""
    if not material.wants_ours:
        return [Missing("proposals", f"{NO_TIMES}; {_how_to_fill('figure6a')}")]
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
                empty=f"no measured record; {_how_to_fill('figure6' + letter, is_first=False)}",
            )
        )
    remarks = [PROTOCOL, *_remarks(selection, values, "total_ms")]
    if any(panel.right for panel in panels):
        remarks.insert(1, "Hollow: mAP as published (Table 3), on the right axis.")
    if size == LOW:
        remarks.insert(1, f"The paper's figure is of {HIGH}x{HIGH}.")
    shapes = Key(("16", "8"), "output stride")
    title = "Time over proposals, after Huang et al.'s Figure 6"
    plot = Plot(
        "proposals", title, _where(selection), tuple(panels), tuple(remarks), COLOURS, shapes
    )
    return plot_or_missing(plot, lambda: _how_to_fill("figure6a"))


@dataclass(frozen=True)
class Part:
    """A part of a call: what the bar is named, and our column."""

    name: str
    word: str


PARTS = (
    Part("backbone", "backbone_ms"),
    Part("all else of the network", "heads_ms"),
    Part("postprocessing", "postprocess_ms"),
)
WHOLE = (Part("network, not told apart", "latency_ms"), PARTS[2])


def time_by_part(material: Material) -> Plots:
    """Make Figure 7: time at 300x300 with 300 proposals, by part, a panel a meta-architecture."""
    if not material.wants_ours:
        return [Missing("time", f"{NO_TIMES}; {_how_to_fill('figure7')}")]
    chosen = [
        point for point in points() if point.size == LOW and point.proposals in (0, MOST_PROPOSALS)
    ]
    selection = measured(material, [point.spec for point in chosen], "total_ms")
    values: list[Value] = []
    panels = []
    empty = f"no record; {_how_to_fill('figure7', is_first=False)}"
    for letter, (detector, name) in zip("abc", META.items(), strict=True):
        of = [
            point for point in chosen if point.detector == detector and point.spec in selection.of
        ]
        marks: list[Mark] = []
        for point in of:
            values.append(value_of(selection.of[point.spec], "total_ms"))
            marks += _parts(point, selection.of[point.spec], values[-1])
        panels.append(
            Panel(f"({letter}) {name}", Axis(""), TIME, tuple(marks), is_stacked=True, empty=empty)
        )
    names = (PARTS[0].name, PARTS[1].name, WHOLE[0].name, PARTS[2].name)
    remarks = [
        f"{PROTOCOL} {LOW}x{LOW}, {MOST_PROPOSALS} proposals. Points: the whole call, timed as "
        "one; parts are timed in calls of their own"
        f" and may add up to something else. S{DENSE}: output stride {DENSE}.",
        *_remarks(selection, values, "total_ms"),
    ]
    title = "Time by part, after Huang et al.'s Figure 7"
    plot = Plot(
        "time",
        title,
        _where(selection),
        tuple(panels),
        tuple(remarks),
        Key(names, "part"),
        columns=3,
        has_one_scale=True,
    )
    return plot_or_missing(plot, lambda: _how_to_fill("figure7"))


def flops_time(material: Material) -> Plots:
    """Make Figures 8a and 8b: multiply-adds over time on a GPU and on a CPU."""
    macs = Axis("multiply-adds", "G", is_log=True)
    return _over_time(
        material,
        "flops-time",
        "Multiply-adds over time, after Huang et al.'s Figure 8",
        macs,
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


def memory(material: Material) -> Plots:
    """Make Figure 9: memory at 300x300 by extractor and meta-architecture, with the spread over
    proposals and strides.
    """
    if not material.wants_ours:
        return [Missing("memory", f"{NO_TIMES}; {_how_to_fill('figure9')}")]
    chosen = [point for point in points() if point.size == LOW]
    selection = measured(material, [point.spec for point in chosen], "mem_alloc_peak_bytes")
    panels = []
    for letter, what, word, of in (
        ("a", "total, as the paper counts", "activation_total_bytes", material.counted),
        ("b", "peak on the device", "mem_alloc_peak_bytes", selection.of),
    ):
        axis = TOTAL_MEMORY.words if word.startswith("activation") else "allocator's peak"
        marks = tuple(
            _spread(
                chosen,
                lambda spec, of=of, word=word: (  # type: ignore[misc]
                    value_of(of[spec], word, scale=1e-6) if spec in of else Value(None)
                ),
            )
        )
        empty = f"no record has it; {_how_to_fill('figure9', is_first=False)} on a GPU"
        panels.append(Panel(f"({letter}) {what}", Axis(""), Axis(axis, "MB"), marks, empty=empty))
    remarks = [
        f"{LOW}x{LOW}, batch 1, fp32. Bars: mean over the proposals "
        f"({', '.join(map(str, _counts()))}) and output strides that there are;"
        " error bars: the least and the most of them. (a) is counted: all that operators write, "
        "which the paper calls total memory.",
        *left_out(selection),
    ]
    where = f"counted; (b) measured on {selection.setup}" if selection else "counted"
    title = "Memory, after Huang et al.'s Figure 9"
    plot = Plot(
        "memory",
        title,
        where,
        tuple(panels),
        tuple(remarks),
        Key(SHAPES.groups, "meta-architecture"),
    )
    return plot_or_missing(plot, lambda: _how_to_fill("figure9"))


def refused(name: str) -> Callable[[Material], Plots]:
    """A figure that no data can fill."""
    return lambda material: [Missing(name, NO_ACCURACY)]


def _over_time(
    material: Material, name: str, title: str, y: Axis, counted: tuple[str, float]
) -> Plots:
    """A counted figure over time, a panel for each kind of device."""
    number = {"flops-time": "8", "memory-time": "10"}[name]
    if not material.wants_ours:
        return [Missing(name, f"{NO_TIMES}; {_how_to_fill(f'figure{number}a')}")]
    word, scale = counted
    panels, remarks, setups = [], [], []
    for letter, (device, kind) in zip("ab", DEVICES.items(), strict=True):
        selection = measured(material, [point.spec for point in points()], "total_ms", device=kind)
        marks, values = [], []
        for point in points():
            if (
                point.spec in selection.of
                and (height := value_of(selection.of[point.spec], word, scale=scale)).value
            ):
                values.append(value_of(selection.of[point.spec], "total_ms"))
                marks.append(_mark(point, values[-1], height, label=_label(point), is_named=False))
        remarks += bars_remark(values, selection) + [
            f"({letter}) {text}" for text in flags_remark(selection, ["total_ms"])
        ]
        setups += [f"({letter}) {selection.setup}"] if selection else []
        sweep = (
            f"archbench sweep huang/figure{number}{letter} --device "
            f"{'cuda' if kind == 'gpu' else 'cpu'}"
        )
        title_of = f"({letter}) {device}"
        x = Axis(f"{device} time an image", "ms", is_log=True)
        guides = _one_a_ms(marks) if word == "macs" else ()
        panels.append(
            Panel(
                title_of,
                x,
                y,
                tuple(marks),
                guides,
                empty=f"no measured record of a {device}; {sweep} makes them",
            )
        )
    words = [f"{PROTOCOL} Both axes are logarithmic. Counted: {y.words}.", *dict.fromkeys(remarks)]
    plot = Plot(
        name,
        title,
        f"measured on {'; '.join(setups)}",
        tuple(panels),
        tuple(words),
        COLOURS,
        SHAPES,
    )
    return plot_or_missing(plot, lambda: _how_to_fill(f"figure{number}a"))


def _one_a_ms(marks: Sequence[Mark]) -> tuple[Guide, ...]:
    """The line of 1 G multiply-adds a ms, which the paper compares networks with, where it goes
    through them.
    """
    if not marks:
        return ()
    low = max(min(float(mark.x) for mark in marks), min(float(mark.y) for mark in marks))
    high = min(max(float(mark.x) for mark in marks), max(float(mark.y) for mark in marks))
    return (Guide("1 G multiply-adds a ms", ((low, low), (high, high))),) if low < high else ()


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
        _label(point),
        point.proposals,
        value.value,
        y_interval=value.interval,
        colour=extractor,
        shape=str(point.output_stride),
        line=f"{extractor}, stride {point.output_stride}",
    )


def _accuracy_of(point: Point) -> Mark:
    return Mark(
        f"{_label(point)}, mAP",
        point.proposals,
        _accuracy()[point.spec],
        colour=EXTRACTORS[point.backbone],
        shape=str(point.output_stride),
        origin="paper",
        on_right=True,
    )


def _parts(point: Point, configuration: Configuration, whole: Value) -> list[Mark]:
    """The bars of one configuration, one on the other, and the whole call as a point."""
    category = EXTRACTORS[point.backbone] + (f", S{DENSE}" if point.output_stride == DENSE else "")
    parts = PARTS if configuration.figure(PARTS[0].word) else WHOLE
    marks = []
    for part in parts:
        value = value_of(configuration, part.word)
        if value.value is not None:
            marks.append(
                Mark(
                    f"{_label(point)}: {part.name}",
                    category,
                    value.value,
                    colour=part.name,
                    form="bar",
                )
            )
    assert whole.value is not None
    return [
        *marks,
        Mark(
            f"{_label(point)}: whole call",
            category,
            whole.value,
            y_interval=whole.interval,
            shape="whole call",
        ),
    ]


def _spread(chosen: Iterable[Point], value: Callable[[Spec], Value]) -> list[Mark]:
    """A bar for each extractor and meta-architecture, with the range over its configurations."""
    groups: dict[tuple[str, str], list[float]] = {}
    chosen = list(chosen)
    for point in sorted(
        chosen,
        key=lambda point: (
            list(EXTRACTORS).index(point.backbone),
            list(META).index(point.detector),
        ),
    ):
        figure = value(point.spec).value
        if figure is not None:
            groups.setdefault((EXTRACTORS[point.backbone], META[point.detector]), []).append(figure)
    marks = []
    for (extractor, meta), values in groups.items():
        several = len(values) > 1
        label = (
            f"{meta} {extractor}, {len(values)} configurations"
            if several
            else f"{meta} {extractor}"
        )
        spread = (min(values), max(values)) if several else None
        marks.append(
            Mark(label, extractor, fmean(values), y_interval=spread, colour=meta, form="bar")
        )
    return marks


def _accuracy() -> dict[Spec, float]:
    """The published mAP on minival by network."""
    quoted = (
        (figure.spec(), figure.value)
        for figure in figures()
        if (figure.paper, figure.dataset) == ("huang", "coco-minival")
    )
    return {spec: value for spec, value in quoted if spec}


def _counts() -> list[int]:
    return sorted({point.proposals for point in points() if point.proposals})


def _label(point: Point) -> str:
    words = [f"{META[point.detector]} {EXTRACTORS[point.backbone]}, {point.size}"]
    words += [f"stride {DENSE}"] if point.output_stride == DENSE else []
    words += [f"{point.proposals} proposals"] if point.proposals else []
    return ", ".join(words)


def _where(selection: Selection) -> str:
    return f"measured on {selection.setup}"


def _remarks(selection: Selection, values: Iterable[Value], word: str) -> list[str]:
    return [*bars_remark(values, selection), *left_out(selection), *flags_remark(selection, [word])]


def _how_to_fill(figure: str, *, is_first: bool = True) -> str:
    """What would make the records of a figure."""
    command = f"archbench sweep huang/{figure}"
    return (
        f"no record of its networks has what it shows; {command} makes them"
        if is_first
        else f"{command} makes them"
    )
