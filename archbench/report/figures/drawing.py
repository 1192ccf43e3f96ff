"""Figures as pictures: panels on a page with title, legend and caption; PNG and SVG. Loads
matplotlib.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from archbench.report.figures.contract import Panel, Plot
from archbench.report.figures.layout import lay_out
from archbench.report.figures.marks import (
    category_places,
    choose_ticks,
    draw_bars,
    draw_cells,
    draw_guides,
    draw_points,
    draw_steps,
    replace_by_grid,
    scale_logarithmically,
    set_limits,
    width_pt,
    write_plainly,
)
from archbench.report.figures.naming import name_points
from archbench.report.figures.style import (
    BOLD_EM,
    FAINT,
    FRAME,
    GRID,
    GRID_PT,
    INK,
    LETTER_EM,
    SCREEN,
    Palette,
    Style,
    palette,
)

REASON_WIDTH = 46
STACKED = 0.62
"""Height of panels one below the other, as a share of a lone one's."""
PNG_COLOURS = 256
WHITE = (255, 255, 255)


def draw(plot: Plot, style: Style = SCREEN) -> Figure:
    """Draw a figure; a dollar sign in a name is one, and no mathematics."""
    with mpl.rc_context({"text.parse_math": False}):
        return _draw(plot, style)


def _draw(plot: Plot, style: Style) -> Figure:
    columns = min(plot.columns, len(plot.panels), max(style.panel_in))
    rows = -(-len(plot.panels) // columns)
    wide, high = style.panel_in[columns]
    high *= STACKED if columns == 1 and rows > 1 else 1
    figure = Figure(
        figsize=(columns * wide, rows * high),
        dpi=style.dpi,
        facecolor="white",
        layout="constrained",
    )
    # Without pyplot, which keeps every figure and looks for a window.
    FigureCanvasAgg(figure)
    looks = palette(plot)
    pairs = [
        (figure.add_subplot(rows, columns, index), panel)
        for index, panel in enumerate(plot.panels, start=1)
    ]
    for axes, panel in pairs:
        _draw_panel(axes, panel, looks, style)
    if plot.has_one_scale:
        _share_scale([axes for axes, panel in pairs if panel.marks], columns)
    is_matrix = plot.is_matrix and columns == plot.columns
    if is_matrix:
        _share_rows_and_columns([axes for axes, _ in pairs], columns)
    for axes, panel in pairs:
        _choose_ticks(axes, panel)
    if is_matrix:
        _leave_edges([axes for axes, _ in pairs], columns)
    lay_out(figure, plot, looks, style)
    for axes, panel in pairs:
        name_points(
            axes,
            [mark for mark in panel.marks if mark.form == "point" and not mark.on_right],
            looks,
            style,
        )
    return figure


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write the figure as PNG and SVG, byte for byte the same for the same data."""
    paths = [folder / f"{stem}.png", folder / f"{stem}.svg"]
    canvas = cast(FigureCanvasAgg, figure.canvas)
    canvas.draw()
    picture = _with_palette(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]))
    picture.save(paths[0], dpi=(figure.dpi, figure.dpi))
    paths[1].write_text(svg(figure), encoding="utf-8")
    return paths


def _with_palette(picture: Image.Image) -> Image.Image:
    """The picture in few colours, a third of the file: none of them is off by what an eye sees, and
    the page stays white.
    """
    indexed = picture.quantize(
        PNG_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    palette, page = indexed.getpalette() or [], cast(int, indexed.getpixel((0, 0)))
    palette[3 * page : 3 * page + 3] = WHITE
    indexed.putpalette(palette)
    return indexed


def svg(figure: Figure) -> str:
    """The figure as the text of an SVG file, the same for the same data."""
    text = io.StringIO()
    # Otherwise matplotlib draws identifiers at random, and writes the date.
    with mpl.rc_context({"svg.hashsalt": "archbench", "svg.fonttype": "path"}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def caption(plot: Plot) -> str:
    """What a paper's own caption of the figure has to say."""
    return f"{plot.title}; {plot.where}. {' '.join(plot.remarks)}\n"


def _draw_panel(axes: Axes, panel: Panel, looks: Palette, style: Style) -> None:
    _write_heads(axes, panel, style)
    axes.set_xlabel(panel.x.label, fontsize=style.text_pt, color=INK)
    axes.set_ylabel(panel.y.label, fontsize=style.text_pt, color=INK)
    _dress(axes, style)
    if not panel.marks:
        _write_reason(axes, panel, style)
        return
    axes.grid(color=GRID, linewidth=GRID_PT)
    axes.set_axisbelow(True)
    for axis in _logarithmic(axes, panel):
        scale_logarithmically(axis)
    _draw_marks(axes, panel, looks, style)


def _write_heads(axes: Axes, panel: Panel, style: Style) -> None:
    """Write a panel's title, and where the better networks lie."""
    # A given height spares matplotlib the search for one above ticks, of which there are none on
    # top.
    axes.set_title(
        panel.title, loc="left", y=1.0, fontsize=style.text_pt + 1, weight="bold", color=INK
    )
    # Where there is no room for the words, the arrow at their end says it.
    room_pt = width_pt(axes) - len(panel.title) * (style.text_pt + 1) * BOLD_EM
    better = (
        panel.better
        if len(panel.better) * style.text_pt * LETTER_EM < room_pt
        else panel.better[-1:]
    )
    axes.set_title(better, loc="right", y=1.0, fontsize=style.text_pt, color=FAINT)


def _write_reason(axes: Axes, panel: Panel, style: Style) -> None:
    """Say in an empty panel why it is."""
    axes.set_xticks([])
    axes.set_yticks([])
    why = "\n".join(textwrap.wrap(panel.empty or "nothing to show", REASON_WIDTH))
    axes.text(
        0.5,
        0.5,
        why,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=style.text_pt,
        color=FAINT,
        linespacing=1.5,
    )


def _choose_ticks(axes: Axes, panel: Panel) -> None:
    """Give the axes of a panel the ticks of the limits that they have come to: logarithmic ones
    their own, thousands a comma.
    """
    logarithmic = _logarithmic(axes, panel)
    for axis in logarithmic:
        choose_ticks(axis)
    if axes.yaxis not in logarithmic and axes.get_ylim()[1] >= 1000:
        write_plainly(axes.yaxis)


def _logarithmic(axes: Axes, panel: Panel) -> list[XAxis | YAxis]:
    return [
        axis
        for axis, is_log in ((axes.xaxis, panel.x.is_log), (axes.yaxis, panel.y.is_log))
        if panel.marks and is_log
    ]


def _share_rows_and_columns(panels: Sequence[Axes], columns: int) -> None:
    """Give the panels of a row one scale of y, those of a column one of x."""
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        low, high = zip(*(axes.get_ylim() for axes in row), strict=True)
        for axes in row:
            axes.set_ylim(min(low), max(high))
    for start in range(columns):
        column = panels[start::columns]
        low, high = zip(*(axes.get_xlim() for axes in column), strict=True)
        for axes in column:
            axes.set_xlim(min(low), max(high))


def _leave_edges(panels: Sequence[Axes], columns: int) -> None:
    """Leave words and numbers to the first panel of a row and the last of a column; of the other
    axes only the grid stays.
    """
    for index, axes in enumerate(panels):
        if index % columns:
            replace_by_grid(axes.yaxis)
        if index + columns < len(panels):
            replace_by_grid(axes.xaxis)


def _share_scale(panels: Sequence[Axes], columns: int) -> None:
    """Give panels one scale of y, from 0, and its words to the first of each row."""
    top = max(axes.get_ylim()[1] for axes in panels)
    for index, axes in enumerate(panels):
        axes.set_ylim(0, top)
        if index % columns:
            axes.set_ylabel("")


def _dress(axes: Axes, style: Style) -> None:
    axes.tick_params(labelsize=style.small_pt + 0.5, colors=INK, length=3)
    for spine in axes.spines.values():
        spine.set_color(FRAME)
        spine.set_in_layout(False)  # Ticks and words stand further out.


def _draw_marks(axes: Axes, panel: Panel, looks: Palette, style: Style) -> None:
    forms = {mark.form for mark in panel.marks}
    draw_guides(axes, panel.guides, looks)
    if "cell" in forms:
        draw_cells(axes, panel, style)
        axes.grid(visible=False)
        return
    if "step" in forms:
        draw_steps(axes, [mark for mark in panel.marks if mark.form == "step"], looks)
        axes.set_ylim(bottom=0)
        return
    if "bar" in forms:
        _draw_bars(axes, panel, looks, style)
        return
    left = [mark for mark in panel.marks if not mark.on_right]
    right = [mark for mark in panel.marks if mark.on_right]
    if left:
        draw_points(axes, left, looks, style)
        set_limits(axes, panel, left)
    if right and panel.right:
        twin = axes.twinx()
        twin.set_ylabel(panel.right.label, fontsize=style.text_pt, color=INK)
        _dress(twin, style)
        draw_points(twin, right, looks, style)
        set_limits(twin, panel, right)
        if left:
            set_limits(axes, panel, left)


def _draw_bars(axes: Axes, panel: Panel, looks: Palette, style: Style) -> None:
    """Draw bars on a scale from 0, and the points among them."""
    draw_bars(axes, panel, looks, style)
    axes.grid(visible=False, axis="x")
    positions = category_places(panel)
    points = [mark for mark in panel.marks if mark.form == "point"]
    placed = [replace(mark, x=float(positions[mark.x])) for mark in points]
    draw_points(axes, placed, looks, style)
    axes.margins(y=0.1)
    axes.set_ylim(0, panel.cut)
