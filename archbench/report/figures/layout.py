"""What stands around the panels of a page: title, setup, legends, remarks; and the room for it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.legend import Legend as MatplotlibLegend

from archbench.report.figures.contract import Plot
from archbench.report.figures.legend import legend_entries
from archbench.report.figures.style import FAINT, INK, LETTER_EM, Palette, Style

LINE_EM = 1.4
EDGE_IN, GAP_IN = 0.18, 0.05
LEAST_BELOW_IN = 0.05


@dataclass(frozen=True)
class Line:
    """A text above the panels, wrapped to the page's width."""

    text: str
    size_pt: float
    weight: str = "normal"

    @property
    def height_in(self) -> float:
        """Its height with the gap below it, inches."""
        return _lines_in(self.text, self.size_pt) + GAP_IN


def lay_out(figure: Figure, plot: Plot, looks: Palette, style: Style) -> None:
    """Grow the page by what stands above and below the panels, write it there, and settle where
    everything is.
    """
    width, panels_in = figure.get_size_inches()
    lines, words = _texts(plot, width, style)
    legends = [
        Legend(figure, word, entries, style)
        for word, entries in legend_entries(plot, looks)
        if entries
    ]
    bottom = _lines_in(words, style.small_pt) + EDGE_IN if style.has_words else LEAST_BELOW_IN
    above = EDGE_IN + sum(line.height_in for line in lines)
    above += sum(legend.height_in + GAP_IN for legend in legends)
    total = panels_in + above + bottom
    figure.set_size_inches(width, total)
    _write_head(figure, lines, legends)
    if words:
        left, low = EDGE_IN / width, EDGE_IN / 2 / total
        looks_of: dict[str, Any] = {"color": FAINT, "va": "bottom", "linespacing": LINE_EM}
        figure.text(left, low, words, fontsize=style.small_pt, **looks_of)
    engine: Any = figure.get_layout_engine()
    engine.set(
        rect=(0.01, bottom / total, 0.98, 1 - (above + bottom) / total), hspace=0.07, wspace=0.04
    )
    engine.execute(figure)
    # Every drawing would lay out anew, and names would no longer be where they were placed.
    figure.set_layout_engine("none")


def _texts(plot: Plot, width_in: float, style: Style) -> tuple[list[Line], str]:
    """What stands above the panels, and below them; a paper has both in its own caption."""
    if not style.has_words:
        return [], ""
    where_pt = style.text_pt + 1
    where = Line(_wrapped(plot.where, width_in, where_pt), where_pt)
    remarks = _wrapped(" ".join(plot.remarks), width_in, style.small_pt)
    return [Line(plot.title, style.title_pt, "bold"), where], remarks


def _write_head(figure: Figure, lines: Sequence[Line], legends: Sequence[Legend]) -> None:
    """Write what stands above the panels, from the top down."""
    width, total = figure.get_size_inches()
    left, top = EDGE_IN / width, EDGE_IN
    for line in lines:
        figure.text(
            left,
            1 - top / total,
            line.text,
            fontsize=line.size_pt,
            weight=line.weight,
            color=INK,
            va="top",
            linespacing=LINE_EM,
        )
        top += line.height_in
    for legend in legends:
        legend.place(left, 1 - top / total)
        top += legend.height_in + GAP_IN


def _wrapped(text: str, width_in: float, size_pt: float) -> str:
    return textwrap.fill(
        text, int((width_in - 2 * EDGE_IN) * 72 / (size_pt * LETTER_EM)), break_on_hyphens=False
    )


def _lines_in(text: str, size_pt: float) -> float:
    """Height of a text's lines, inches."""
    return (text.count("\n") + 1) * size_pt * LINE_EM / 72 if text else 0.0


class Legend:
    """A word and entries beside it, in as many columns as fit the page."""

    def __init__(
        self, figure: Figure, word: str, entries: Sequence[tuple[Any, str]], style: Style
    ) -> None:
        self.figure = figure
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        size = style.small_pt + 0.5
        text = f"{word}: " if word else ""
        self.word = figure.text(0, 0, text, fontsize=size, color=FAINT, va="top", linespacing=1)
        extent = self.word.get_window_extent(renderer)
        self.word_in = float(extent.width) / figure.dpi + GAP_IN if word else 0.0
        room_in = figure.get_size_inches()[0] - 2 * EDGE_IN - self.word_in
        for columns in range(len(entries), 0, -1):
            self.legend = _legend(figure, entries, columns, size)
            extent = self.legend.get_window_extent(renderer)
            if extent.width / figure.dpi <= room_in or columns == 1:
                break
            self.legend.remove()
        self.legend.set_in_layout(False)
        self.word.set_in_layout(False)
        self.height_in = float(extent.height) / figure.dpi

    def place(self, left: float, top: float) -> None:
        """Put its upper left corner at a place of the page, as shares of its sides."""
        self.word.set_position((left, top))
        self.legend.set_bbox_to_anchor(
            (left + self.word_in / self.figure.get_size_inches()[0], top),
            transform=self.figure.transFigure,
        )


def _legend(
    figure: Figure, entries: Sequence[tuple[Any, str]], columns: int, size_pt: float
) -> MatplotlibLegend:
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    return figure.legend(
        handles,
        labels,
        loc="upper left",
        ncols=columns,
        frameon=False,
        fontsize=size_pt,
        labelcolor=INK,
        handletextpad=0.5,
        columnspacing=1.3,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.35,
        handlelength=1.8,
    )
