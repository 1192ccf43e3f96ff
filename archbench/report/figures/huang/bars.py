"""Figures 7 and 9 of Huang et al.: the time of each part of a call, and memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from archbench.papers.grid import Point, points
from archbench.report.data.configurations import Configuration
from archbench.report.figures.contract import (
    Axis,
    Key,
    Mark,
    Missing,
    Panel,
    Plot,
    Plots,
    plot_or_missing,
)
from archbench.report.figures.huang.grid import (
    DENSE,
    EXTRACTORS,
    LOW,
    META,
    MOST_PROPOSALS,
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
    Material,
    Selection,
    Value,
    flags_remark,
    left_out,
    measured,
    value_of,
)
from archbench.spec import Spec


@dataclass(frozen=True)
class Part:
    """A part of a call: what the bar is named, and our column."""

    name: str
    word: str


PARTS = (
    Part("backbone", "backbone_ms"),
    Part("rest of the network", "heads_ms"),
    Part("postprocessing", "postprocess_ms"),
)
DWARFS = 3.0
"""How many times as high as the others a bar, or a panel, leaves them too low to be read."""
ROOM = 1.4
"""How far above the others a bar is cut off, as a multiple of the tallest of them."""
TOTAL, PEAK = "activation_total_bytes", "mem_alloc_peak_bytes"
"""Our columns of memory: what the paper counts, and what a card's allocator had at most."""
WHOLE = (Part("network as a whole", "latency_ms"), PARTS[2])


def time_by_part(material: Material) -> Plots:
    """Make Figure 7: time at 300x300 with 300 proposals, by part, a panel a meta-architecture."""
    if not material.wants_ours:
        return [Missing("time", f"{NO_TIMES}; {how_to_fill('figure7')}")]
    chosen = [
        point for point in points() if point.size == LOW and point.proposals in (0, MOST_PROPOSALS)
    ]
    selection = measured(material, [point.spec for point in chosen], "total_ms")
    panels = [
        _times(
            f"({letter}) {name}", [each for each in chosen if each.detector == detector], selection
        )
        for letter, (detector, name) in zip("abc", META.items(), strict=True)
    ]
    tops = [_top(panel) for panel in panels if panel.marks]
    are_cut = any(panel.cut for panel in panels)
    has_one_scale = bool(tops) and not are_cut and max(tops) <= DWARFS * min(tops)
    names = (PARTS[0].name, PARTS[1].name, WHOLE[0].name, PARTS[2].name)
    values = [value_of(each, "total_ms") for each in selection.of.values()]
    remarks = [
        f"{PROTOCOL} {LOW}x{LOW}, {MOST_PROPOSALS} proposals. Points: total time of a call; its "
        f"parts are timed separately and may not add up to it. S{DENSE}: output stride {DENSE}.",
        *(["Each panel has its own scale."] if len(tops) > 1 and not has_one_scale else []),
        *(["An arrow gives the height of a bar that is cut off."] if are_cut else []),
        *remarks_of(selection, values, "total_ms"),
    ]
    plot = Plot(
        "time",
        "Time by part, after Huang et al.'s Figure 7",
        measured_on(selection),
        tuple(panels),
        tuple(remarks),
        Key(names, "part"),
        columns=3,
        has_one_scale=has_one_scale,
    )
    return plot_or_missing(plot, lambda: how_to_fill("figure7"))


def _times(title: str, chosen: Iterable[Point], selection: Selection) -> Panel:
    """A stack of bars for each point that was measured."""
    marks: list[Mark] = []
    heights: list[float] = []
    for point in chosen:
        if point.spec in selection.of:
            whole = value_of(selection.of[point.spec], "total_ms")
            heights.append(whole.value or 0.0)
            marks += _parts(point, selection.of[point.spec], whole)
    empty = f"no record; {how_to_fill('figure7', is_first=False)}"
    return Panel(
        title, Axis(""), TIME, tuple(marks), is_stacked=True, empty=empty, cut=_cut(heights)
    )


def _cut(heights: list[float]) -> float | None:
    """Where to cut off a bar that leaves nothing to be read of the others; None where none does."""
    *_, second, tallest = [0.0, 0.0, *sorted(heights)]
    return ROOM * second if second and tallest > DWARFS * second else None


def _top(panel: Panel) -> float:
    """How high a panel of whole calls reaches."""
    return panel.cut or max(float(mark.y) for mark in panel.marks if mark.form == "point")


def memory(material: Material) -> Plots:
    """Make Figure 9: memory at 300x300 by extractor and meta-architecture, with the spread over
    proposals and strides.
    """
    if not material.wants_ours:
        return [Missing("memory", f"{NO_TIMES}; {how_to_fill('figure9')}")]
    chosen = [point for point in points() if point.size == LOW]
    selection = measured(material, [point.spec for point in chosen], PEAK)
    panels = tuple(
        Panel(
            f"({letter}) {what}",
            Axis(""),
            Axis(words, "MB"),
            tuple(_spread(chosen, of, word)),
            empty=f"no record has it; {how_to_fill('figure9', is_first=False)} on a GPU",
        )
        for letter, what, words, word, of in (
            ("a", "total, as the paper counts", TOTAL_MEMORY.words, TOTAL, material.counted),
            ("b", "peak on the device", "allocator peak", PEAK, selection.of),
        )
    )
    plot = Plot(
        "memory",
        "Memory, after Huang et al.'s Figure 9",
        f"counted; (b) measured on {selection.setup}" if selection else "counted",
        panels,
        tuple(_memory_remarks(selection)),
        Key(SHAPES.groups, "meta-architecture"),
    )
    return plot_or_missing(plot, lambda: how_to_fill("figure9"))


def _memory_remarks(selection: Selection) -> list[str]:
    counts = sorted({point.proposals for point in points() if point.proposals})
    of_b = [*left_out(selection), *flags_remark(selection, [PEAK])]
    return [
        f"{LOW}x{LOW}, batch 1. Bars: mean over the available numbers of proposals "
        f"({', '.join(map(str, counts))}) and output strides; error bars: their range. (a) is "
        "counted, in fp32: the sum of all operator outputs, which the paper calls total memory.",
        *(f"(b) {remark}" for remark in of_b),
    ]


def _parts(point: Point, configuration: Configuration, whole: Value) -> list[Mark]:
    """The bars of one configuration, one on the other, and the whole call as a point."""
    category = EXTRACTORS[point.backbone] + (f", S{DENSE}" if point.output_stride == DENSE else "")
    parts = PARTS if configuration.estimate(PARTS[0].word) else WHOLE
    marks = []
    for part in parts:
        value = value_of(configuration, part.word)
        if value.value is not None:
            marks.append(
                Mark(
                    f"{label_of(point)}: {part.name}",
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
            f"{label_of(point)}: total",
            category,
            whole.value,
            y_interval=whole.interval,
            shape="total",
        ),
    ]


def _spread(chosen: Iterable[Point], of: Mapping[Spec, Configuration], word: str) -> Iterator[Mark]:
    """A bar for each extractor and meta-architecture, with the range over its configurations."""
    groups: dict[tuple[str, str], list[float]] = {}
    extractors, metas = list(EXTRACTORS), list(META)
    for point in sorted(
        chosen,
        key=lambda point: (extractors.index(point.backbone), metas.index(point.detector)),
    ):
        value = value_of(of[point.spec], word, scale=1e-6).value if point.spec in of else None
        if value is not None:
            groups.setdefault((EXTRACTORS[point.backbone], META[point.detector]), []).append(value)
    for (extractor, meta), values in groups.items():
        several = len(values) > 1
        yield Mark(
            f"{meta} {extractor}" + (f", {len(values)} configurations" if several else ""),
            extractor,
            fmean(values),
            y_interval=(min(values), max(values)) if several else None,
            colour=meta,
            form="bar",
        )
