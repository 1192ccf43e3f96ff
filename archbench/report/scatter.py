"""The 2x2 figure of accuracy, speed, computation efficiency and energy: points with their names beside them. Loads matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archbench.report.efficiency import NAMES, Chart, Point, Selection, why_missing
from archbench.report.placement import Box, place_names

SIZE_IN = (10.4, 9.2)
DPI = 140
CAPTION_WIDTH = 170
REASON_WIDTH = 46
MARK_PT = 10
FRAME_PX, BAR_PX, LINE_STEP_PX = 8, 4, 8
FAR_PX = 12
"""Gap between a mark and its name from which a line joins them."""
INK, FAINT = "#222222", "#666666"
LABEL = "label"
"""The mark (gid) of a point's name among a panel's texts."""

STYLES = {
    "VoVNet": ("o", "#D55E00"),
    "DenseNet": ("s", "#0072B2"),
    "ResNet": ("^", "#009E73"),
    "MobileNet": ("D", "#8A6D00"),
    "PeleeNet": ("P", "#A0457E"),
}
"""Marker and colour of a family: Okabe and Ito's hues, the light ones darkened so that names in them can be read."""


@dataclass(frozen=True)
class Panel:
    """Which quantity stands on which axis, and where the better networks lie."""

    title: str
    x: str
    y: str
    better: str


PANELS = (
    Panel("(a) accuracy over speed", "fps", "accuracy", "better \N{NORTH EAST ARROW}"),
    Panel("(b) accuracy over computation efficiency", "gmacs_per_s", "accuracy", "better \N{NORTH EAST ARROW}"),
    Panel("(c) accuracy over energy", "energy_j", "accuracy", "better \N{NORTH WEST ARROW}"),
    Panel("(d) computation efficiency over energy", "energy_j", "gmacs_per_s", "better \N{NORTH WEST ARROW}"),
)
AXES = {
    "fps": "inference speed (images/s)",
    "gmacs_per_s": "FLOP/s as the paper counts (1e9/s)",
    "energy_j": "energy (J an image)",
}


def draw(chart: Chart, selection: Selection) -> Figure:
    """Draw the four panels of a chart."""
    figure = Figure(figsize=SIZE_IN, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    caption = textwrap.fill(" ".join(selection.remarks), CAPTION_WIDTH, break_on_hyphens=False)
    bottom = 0.095 + 0.018 * caption.count("\n")
    figure.subplots_adjust(left=0.075, right=0.975, top=0.885, bottom=bottom, wspace=0.2, hspace=0.3)
    figure.text(0.018, 0.965, f"{chart.title}, after VoVNet's Figure {chart.number}", fontsize=14, weight="bold", color=INK, va="center")
    figure.text(0.018, 0.937, selection.heading, fontsize=10.5, color=INK, va="center")
    figure.text(0.018, 0.014, caption, fontsize=8, color=FAINT, va="bottom", linespacing=1.4)
    for panel, axes in zip(PANELS, figure.subplots(2, 2).flat, strict=True):
        _draw_panel(axes, panel, chart, selection.points)
    return figure


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write the figure as PNG and SVG, byte for byte the same for the same data."""
    paths = [folder / f"{stem}.png", folder / f"{stem}.svg"]
    with mpl.rc_context({"svg.hashsalt": "archbench", "svg.fonttype": "path"}):
        figure.savefig(paths[0], metadata={"Software": None}, pil_kwargs={"compress_level": 3})
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths


def _draw_panel(axes: Axes, panel: Panel, chart: Chart, points: Sequence[Point]) -> None:
    axes.set_title(panel.title, y=1.0, loc="left", fontsize=10.5, weight="bold", color=INK)
    axes.set_title(panel.better, y=1.0, loc="right", fontsize=9.5, color=FAINT)
    axes.set_xlabel(AXES[panel.x], fontsize=9.5, color=INK)
    axes.set_ylabel(AXES.get(panel.y, chart.accuracy_axis), fontsize=9.5, color=INK)
    axes.tick_params(labelsize=8.5, colors=INK, length=3)
    for spine in axes.spines.values():
        spine.set_color("#AAAAAA")
    drawn = [point for point in points if _place(point, panel)]
    if not drawn:
        _say_why_empty(axes, panel, points)
        return
    axes.grid(color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.locator_params(nbins=6)
    _connect_families(axes, panel, drawn)
    for point in drawn:
        _draw_point(axes, panel, point)
    _set_limits(axes, panel, drawn)
    _name_points(axes, panel, drawn)


def _place(point: Point, panel: Panel) -> tuple[float, float] | None:
    x, y = getattr(point, panel.x).value, getattr(point, panel.y).value
    return None if x is None or y is None else (x, y)


def _say_why_empty(axes: Axes, panel: Panel, points: Sequence[Point]) -> None:
    """An empty panel holds the reason instead of points."""
    lines = []
    for name in (panel.x, panel.y):
        if name in NAMES and all(getattr(point, name).value is None for point in points):
            lines += textwrap.wrap(f"{NAMES[name]}: {why_missing(points, name)}", REASON_WIDTH)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "\n".join(lines), transform=axes.transAxes, ha="center", va="center", fontsize=10, color=FAINT, linespacing=1.5)


def _connect_families(axes: Axes, panel: Panel, points: Sequence[Point]) -> None:
    """A thin line through the points of one family, so that sizes of one network are seen as such."""
    for family, (_, colour) in STYLES.items():
        places = sorted(place for point in points if point.family == family and (place := _place(point, panel)))
        if len(places) > 1:
            axes.plot(*zip(*places, strict=True), color=colour, linewidth=1, alpha=0.45, zorder=1.5)


def _draw_point(axes: Axes, panel: Panel, point: Point) -> None:
    marker, colour = STYLES[point.family]
    place = _place(point, panel)
    assert place is not None
    errors = [_error(getattr(point, name).interval, at) for name, at in zip((panel.x, panel.y), place, strict=True)]
    if any(errors):
        axes.errorbar(*place, xerr=errors[0], yerr=errors[1], color=colour, elinewidth=1.2, capsize=2.5, fmt="none", zorder=2.5)
    axes.plot(*place, marker, color=colour, markersize=MARK_PT - 1, markeredgecolor="white", markeredgewidth=0.8, zorder=3)


def _error(interval: tuple[float, float] | None, at: float) -> list[list[float]] | None:
    return [[max(at - interval[0], 0.0)], [max(interval[1] - at, 0.0)]] if interval else None


def _set_limits(axes: Axes, panel: Panel, points: Sequence[Point], margin: float = 0.17) -> None:
    """Leave room for names around the points and their bars; a scale that would fall below zero begins there."""
    for name, set_limits in ((panel.x, axes.set_xlim), (panel.y, axes.set_ylim)):
        values = [getattr(point, name) for point in points]
        ends = [end for value in values for end in (value.value, *(value.interval or ()))]
        low, high = min(ends), max(ends)
        room = margin * (high - low) or 0.1 * abs(high) or 1.0
        set_limits(max(low - room, 0.0), high + room)


def _name_points(axes: Axes, panel: Panel, points: Sequence[Point]) -> None:
    """Write each point's name beside it, where it covers neither a mark, a bar, a line, another name nor the frame."""
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    places = [place for point in points if (place := _place(point, panel))]
    texts = [
        axes.annotate(
            point.label, place, (0, 0), textcoords="offset points", gid=LABEL,
            fontsize=9, color=STYLES[point.family][1], ha="left", va="bottom", zorder=4,
        )
        for point, place in zip(points, places, strict=True)
    ]  # fmt: skip
    marks = [_square(axes.transData.transform(place), MARK_PT / 2) for place in places]
    sizes = [text.get_window_extent(renderer).size for text in texts]
    frame = Box(*axes.get_window_extent(renderer).extents).grown(-FRAME_PX)
    bars = [box for point in points for box in _bar_boxes(axes, panel, point)]
    named = place_names(marks, [(width, height) for width, height in sizes], [bars, list(_line_boxes(axes))], frame)
    for text, mark, box in zip(texts, marks, named, strict=True):
        text.set_position(_offset_pt(mark, box.x0, box.y0))
        if not box.grown(FAR_PX).touched([mark]):
            x, y = mark.centre
            nearest = min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
            arrow = {"arrowstyle": "-", "color": text.get_color(), "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", text.xy, _offset_pt(mark, *nearest), textcoords="offset points", arrowprops=arrow)


def _offset_pt(mark: Box, x: float, y: float) -> tuple[float, float]:
    """A place in pixels as points from a mark's centre, which hold at any resolution."""
    return (x - mark.centre[0]) * 72 / DPI, (y - mark.centre[1]) * 72 / DPI


def _square(centre: Any, half_pt: float) -> Box:
    x, y = map(float, centre)
    return Box(x, y, x, y).grown(half_pt * DPI / 72)


def _bar_boxes(axes: Axes, panel: Panel, point: Point) -> Iterator[Box]:
    """What the bars of a point cover."""
    place = _place(point, panel)
    assert place is not None
    for index, name in enumerate((panel.x, panel.y)):
        interval = getattr(point, name).interval
        if interval:
            ends = [[end if i == index else at for i, at in enumerate(place)] for end in interval]
            yield Box(*map(float, axes.transData.transform(ends).ravel())).grown(BAR_PX)


def _line_boxes(axes: Axes) -> Iterator[Box]:
    """Small boxes along the lines through families."""
    for line in axes.lines:
        corners = axes.transData.transform(line.get_xydata())
        for start, end in pairwise(corners):
            count = max(2, int(max(abs(end - start)) / LINE_STEP_PX))
            for i in range(count + 1):
                yield _square(start + (end - start) * i / count, 0.5)
