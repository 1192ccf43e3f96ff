"""How figures look: sizes, and the colours, markers, hatches and dashes that tell groups apart, in
grey too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from archbench.report.figures.contract import Guide, Key, Origin, Plot

COLOURS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#8A6D00",
    "#A0457E",
    "#222222",
    "#3C9BD6",
    "#8B4A2B",
    "#6B46C1",
    "#D6336C",
    "#5C8A00",
    "#7A7A7A",
)
"""Okabe and Ito's hues, the light ones darkened so that names in them can be read on white, and
five that stand apart from them: one for each group that a figure tells apart.
"""
MARKERS = ("o", "s", "^", "D", "P", "X", "v", "*", "p", "h", "<", ">")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "ooo")
Dash = tuple[float, tuple[float, ...]]
"""Where in a pattern of strokes and gaps, in points, a line begins, and the pattern; none: solid.
"""
SOLID: Dash = (0, ())
DOTTED: Dash = (0, (1, 1.6))
DASHES: tuple[Dash, ...] = (SOLID, (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1)))
GUIDES: tuple[Dash, ...] = ((0, (4, 3)), DOTTED, (0, (6, 2, 1, 2)))
"""What tells lines that are no data from one another."""
LETTER_EM, BOLD_EM = 0.545, 0.64
"""Width of a letter of running text and of a bold title, as a share of its size."""
INK, FAINT, FRAME, GRID = "#222222", "#666666", "#AAAAAA", "#E6E6E6"
GRID_PT = 0.7


@dataclass(frozen=True)
class Style:
    """Sizes: inches for panels (by the columns that there are), points for type and marks."""

    name: Literal["screen", "paper"]
    panel_in: dict[int, tuple[float, float]]
    dpi: int
    title_pt: float
    text_pt: float
    small_pt: float
    mark_pt: float
    has_words: bool
    """Whether title and caption stand in the picture; a paper has its own."""


SCREEN = Style(
    "screen",
    {1: (9.0, 5.6), 2: (5.2, 4.15), 3: (4.0, 4.0), 4: (3.4, 3.3), 5: (2.9, 3.1)},
    140,
    14,
    9.5,
    8,
    9,
    has_words=True,
)
PAPER = Style(
    "paper", {1: (7.0, 3.9), 2: (3.5, 2.9), 3: (2.33, 2.4)}, 300, 9, 7, 6, 5, has_words=False
)
STYLES: dict[str, Style] = {style.name: style for style in (SCREEN, PAPER)}


@dataclass(frozen=True)
class Palette:
    """What each group of a figure is drawn with."""

    colours: dict[str, str]
    markers: dict[str, str]
    hatches: dict[str, str]
    dashes: dict[str, Dash]
    guides: dict[str, Dash]
    """Of lines that are no data, by their labels."""
    hollow: tuple[Origin, ...]
    """Whose marks are drawn hollow: the paper's, where ours are there too."""

    def colour(self, group: str) -> str:
        """The colour of a group; ink for none."""
        return self.colours.get(group, INK)

    def marker(self, group: str) -> str:
        """The marker of a group; a circle for none."""
        return self.markers.get(group, MARKERS[0])

    def bar(self, group: str, origin: Origin) -> dict[str, Any]:
        """What a bar of a group is drawn with."""
        ink, is_hollow = self.colour(group), origin in self.hollow
        face, edge = ("white", ink) if is_hollow else (ink, "white")
        return {"color": face, "edgecolor": edge, "hatch": self.hatches.get(group, "")}

    def guide(self, guide: Guide) -> tuple[str, Dash]:
        """The colour and the dashes of a line that is no data: those of its group, if it has one
        here.
        """
        if guide.colour in self.colours:
            return self.colours[guide.colour], self.dashes[guide.colour]
        return FAINT, self.guides[guide.label]


def palette(plot: Plot) -> Palette:
    """Give each group of a figure its own looks, in the order of its keys; what they leave out
    comes after.
    """
    colours = _groups(plot.colours, (mark.colour for mark in plot.marks))
    shapes = _groups(plot.shapes, (mark.shape for mark in plot.marks))
    guides = dict.fromkeys(guide.label for panel in plot.panels for guide in panel.guides)
    # More groups than colours share some of them, and differ in marker, hatch and dash.
    return Palette(
        {group: COLOURS[index % len(COLOURS)] for index, group in enumerate(colours)},
        {group: MARKERS[index % len(MARKERS)] for index, group in enumerate(shapes)},
        {group: HATCHES[index % len(HATCHES)] for index, group in enumerate(colours)},
        {group: DASHES[index % len(DASHES)] for index, group in enumerate(colours)},
        {label: GUIDES[index % len(GUIDES)] for index, label in enumerate(guides)},
        ("paper",) if any(mark.origin == "ours" for mark in plot.marks) else (),
    )


def _groups(key: Key, used: Iterable[str]) -> list[str]:
    return [group for group in dict.fromkeys((*key.groups, *used)) if group]
