"""What a legend says: which group has which colour and shape, whose the marks are, what the guides
are. Loads matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from archbench.report.figures.contract import Key, Plot
from archbench.report.figures.style import FAINT, Palette

Entries = list[tuple[Any, str]]
SIZE_PT = 6


def legend_entries(plot: Plot, looks: Palette) -> list[tuple[str, Entries]]:
    """Give the rows of a legend: a word, and handles with their names."""
    return [
        (plot.colours.word, _colours(plot, looks)),
        (plot.shapes.word, _shapes(plot, looks)),
        ("", _origins(plot) + _guides(plot, looks)),
    ]


def _used(key: Key, groups: Iterable[str]) -> list[str]:
    """The groups that are there, in the key's order."""
    there = list(groups)
    return [group for group in dict.fromkeys((*key.groups, *there)) if group and group in there]


def _colours(plot: Plot, looks: Palette) -> Entries:
    if not plot.colours.word:
        return []
    forms = {mark.form for mark in plot.marks}
    entries: Entries = []
    for group in _used(plot.colours, (mark.colour for mark in plot.marks)):
        ink = looks.colour(group)
        marker = looks.marker(group) if plot.colours == plot.shapes else "o"
        is_line = any(mark.line for mark in plot.marks if mark.colour == group)
        if "bar" in forms:
            handle: Any = Patch(facecolor=ink, edgecolor="white", hatch=looks.hatches[group])
        elif is_line:
            handle = Line2D(
                [],
                [],
                color=ink,
                linestyle=looks.dashes[group],
                marker="" if marker == "o" else marker,
                markersize=SIZE_PT,
            )
        else:
            handle = Line2D([], [], color=ink, linestyle="None", marker=marker, markersize=SIZE_PT)
        entries.append((handle, group))
    return entries


def _shapes(plot: Plot, looks: Palette) -> Entries:
    if not plot.shapes.word or plot.shapes == plot.colours:
        return []
    groups = _used(plot.shapes, (mark.shape for mark in plot.marks))
    return [
        (
            Line2D(
                [],
                [],
                color=FAINT,
                linestyle="None",
                marker=looks.marker(group),
                markersize=SIZE_PT,
            ),
            group,
        )
        for group in groups
    ]


def _origins(plot: Plot) -> Entries:
    """Whose the marks are, where both are there."""
    if {mark.origin for mark in plot.marks} != {"ours", "paper"}:
        return []
    is_bar = any(mark.form == "bar" for mark in plot.marks)
    entries: Entries = []
    for word, face in (("ours", FAINT), ("the paper's", "white")):
        point = Line2D(
            [],
            [],
            linestyle="None",
            marker="o",
            markersize=SIZE_PT,
            markerfacecolor=face,
            markeredgecolor=FAINT,
        )
        entries.append((Patch(facecolor=face, edgecolor=FAINT) if is_bar else point, word))
    return entries


def _guides(plot: Plot, looks: Palette) -> Entries:
    guides = {guide.label: guide for panel in plot.panels for guide in panel.guides if guide.label}
    looks_of = {label: looks.guide(guide) for label, guide in guides.items()}
    return [
        (Line2D([], [], color=colour, linestyle=dashes, linewidth=1.1), label)
        for label, (colour, dashes) in looks_of.items()
    ]
