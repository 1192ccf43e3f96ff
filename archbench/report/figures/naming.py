"""The names of points, written where they cover nothing. Loads matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Annotation

from archbench.report.figures.contract import Mark
from archbench.report.figures.placement import NEAR_PX, Box, place_names
from archbench.report.figures.style import Palette, Style

FRAME_PX, BAR_PX, LINE_STEP_PX = 8, 4, 8
LABEL = "label"
"""The mark (gid) of a point's name among a panel's texts."""


def name_points(axes: Axes, marks: Sequence[Mark], palette: Palette, style: Style) -> None:
    """Write each named point's label beside it, where it covers neither a mark, a bar, a line,
    another name nor the frame.

    A name that finds no room is left out; the data have it.
    """
    named = [mark for mark in marks if mark.is_named]
    if not named:
        return
    texts = [_written(axes, mark, palette, style) for mark in named]
    half_px = (style.mark_pt + 1) / 2 * axes.figure.dpi / 72
    squares = [_square(axes, mark, half_px) for mark in named]
    others = [_square(axes, mark, half_px) for mark in marks if not mark.is_named]
    bars = [box for mark in marks for box in _bar_boxes(axes, mark)]
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    extents = [text.get_window_extent(renderer) for text in texts]
    boxes = place_names(
        squares,
        [(extent.width, extent.height) for extent in extents],
        [others, bars, list(_line_boxes(axes))],
        Box(*axes.get_window_extent(renderer).extents).grown(-FRAME_PX),
    )
    for text, square, box in zip(texts, squares, boxes, strict=True):
        if box is None:
            text.remove()
        else:
            _put(axes, text, square, box)


def _written(axes: Axes, mark: Mark, palette: Palette, style: Style) -> Annotation:
    """A point's label, not yet where it will stand."""
    return axes.annotate(
        mark.label,
        (mark.x, mark.y),
        (0, 0),
        textcoords="offset points",
        gid=LABEL,
        fontsize=style.text_pt - 0.5,
        color=palette.colour(mark.colour),
        ha="left",
        va="bottom",
        zorder=4,
    )


def _put(axes: Axes, text: Annotation, square: Box, box: Box) -> None:
    """Put a label in its box; a line joins it to a mark that is not beside it."""
    dpi = axes.figure.dpi
    text.set_position(_offset_pt(square, box.x0, box.y0, dpi))
    if box.grown(NEAR_PX).touched([square]):
        return
    x, y = square.centre
    nearest = min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
    line = {"color": text.get_color(), "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    axes.annotate(
        "",
        text.xy,
        _offset_pt(square, *nearest, dpi),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", **line},
    )


def _offset_pt(mark: Box, x: float, y: float, dpi: float) -> tuple[float, float]:
    """A place in pixels as points from a mark's centre, which hold at any resolution."""
    return (x - mark.centre[0]) * 72 / dpi, (y - mark.centre[1]) * 72 / dpi


def _square(axes: Axes, mark: Mark, half_px: float) -> Box:
    x, y = map(float, axes.transData.transform((mark.x, mark.y)))
    return Box(x, y, x, y).grown(half_px)


def _bar_boxes(axes: Axes, mark: Mark) -> Iterator[Box]:
    """What the error bars of a point cover."""
    for index, interval in enumerate((mark.x_interval, mark.y_interval)):
        if interval:
            ends = [
                [end if i == index else at for i, at in enumerate((mark.x, mark.y))]
                for end in interval
            ]
            yield Box(*map(float, axes.transData.transform(ends).ravel())).grown(BAR_PX)


def _line_boxes(axes: Axes) -> Iterator[Box]:
    """Small boxes along the lines that are drawn."""
    for line in axes.lines:
        if line.get_linestyle() in ("None", ""):
            continue
        corners: Any = axes.transData.transform(line.get_xydata())
        for start, end in pairwise(corners):
            count = max(2, int(max(abs(end - start)) / LINE_STEP_PX))
            for i in range(count + 1):
                x, y = map(float, start + (end - start) * i / count)
                yield Box(x, y, x, y).grown(1)
