"""What stands around the panels of a page: title, setup, legends, remarks; and the room for it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from archbench.report.figures.contract import Plot
from archbench.report.figures.legend import legend_entries
from archbench.report.figures.style import FAINT, INK, LETTER_EM, Palette, Style

LINE_EM = 1.4
EDGE_IN, GAP_IN = 0.18, 0.05


def lay_out(figure: Figure, plot: Plot, looks: Palette, style: Style) -> None:
    """Grow the page by what stands above and below the panels, write it there, and settle where
    everything is.
    """
    width, panels_in = figure.get_size_inches()
    top, bottom = EDGE_IN, 0.05
    lines: list[tuple[str, float, dict[str, Any]]] = []
    if style.has_words:
        lines.append((plot.title, style.title_pt, {"weight": "bold", "color": INK}))
        lines.append(
            (_wrapped(plot.where, width, style.text_pt + 1), style.text_pt + 1, {"color": INK})
        )
        words = _wrapped(" ".join(plot.remarks), width, style.small_pt)
        bottom = _lines_in(words, style.small_pt) + EDGE_IN
    legends = [
        Legend(figure, word, entries, style)
        for word, entries in legend_entries(plot, looks)
        if entries
    ]
    above = (
        top
        + sum(_lines_in(text, size) + GAP_IN for text, size, _ in lines)
        + sum(legend.height_in + GAP_IN for legend in legends)
    )
    total = panels_in + above + bottom
    figure.set_size_inches(width, total)
    for text, size, looks_of in lines:
        figure.text(
            EDGE_IN / width,
            1 - top / total,
            text,
            fontsize=size,
            va="top",
            linespacing=LINE_EM,
            **looks_of,
        )
        top += _lines_in(text, size) + GAP_IN
    if style.has_words:
        figure.text(
            EDGE_IN / width,
            EDGE_IN / 2 / total,
            words,
            fontsize=style.small_pt,
            color=FAINT,
            va="bottom",
            linespacing=LINE_EM,
        )
    for legend in legends:
        legend.place(EDGE_IN / width, 1 - top / total)
        top += legend.height_in + GAP_IN
    engine: Any = figure.get_layout_engine()
    engine.set(
        rect=(0.01, bottom / total, 0.98, 1 - (above + bottom) / total), hspace=0.07, wspace=0.04
    )
    engine.execute(figure)
    # Every drawing would lay out anew, and names would no longer be where they were placed.
    figure.set_layout_engine("none")


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
        self.renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        self.figure = figure
        size = style.small_pt + 0.5
        self.word = figure.text(
            0, 0, f"{word}: " if word else "", fontsize=size, color=FAINT, va="top", linespacing=1
        )
        self.word_in = (
            float(self.word.get_window_extent(self.renderer).width) / figure.dpi + GAP_IN
            if word
            else 0.0
        )
        handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
        room = figure.get_size_inches()[0] - 2 * EDGE_IN - self.word_in
        for columns in range(len(entries), 0, -1):
            self.legend = figure.legend(
                handles,
                labels,
                loc="upper left",
                ncols=columns,
                frameon=False,
                fontsize=size,
                labelcolor=INK,
                handletextpad=0.5,
                columnspacing=1.3,
                borderpad=0,
                borderaxespad=0,
                labelspacing=0.35,
                handlelength=1.8,
            )
            extent = self.legend.get_window_extent(self.renderer)
            if extent.width / figure.dpi <= room or columns == 1:
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
