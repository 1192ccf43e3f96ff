"""What a figure shows, as plain data: panels of marks and guides between axes, and what must be
said of them.

Nothing here knows how it is drawn. The same data are written as CSV, drawn as pictures, and may be
shown in a page.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TextIO

from archbench.escaping import csv_cell, visible
from archbench.report.data.statistics import Interval

Form = Literal["point", "bar", "step", "cell"]
"""A point, a bar that stands on its category, a step of a staircase over numbered layers, a cell of
a matrix.
"""
Origin = Literal["ours", "paper"]
Coordinate = float | str
"""A number, or the name of a category."""


@dataclass(frozen=True)
class Axis:
    """What stands on an axis, in words and with its unit."""

    words: str
    unit: str = ""
    is_log: bool = False

    @property
    def label(self) -> str:
        """Words and unit."""
        return f"{self.words} ({self.unit})" if self.unit else self.words


@dataclass(frozen=True)
class Mark:
    """One thing that is shown. Marks of one `line` are joined in their order; those of one colour
    or shape belong together.

    `z` is the value of a matrix's cell, from source `y` to target `x`. An interval is the spread of
    a value, if it has one.
    """

    label: str
    x: Coordinate
    y: Coordinate
    z: float | None = None
    x_interval: Interval | None = None
    y_interval: Interval | None = None
    colour: str = ""
    shape: str = ""
    line: str = ""
    form: Form = "point"
    origin: Origin = "ours"
    is_named: bool = False
    """Whether its label stands beside it."""
    on_right: bool = False
    """Whether it is read off the right axis."""


@dataclass(frozen=True)
class Guide:
    """A line that is no data: a frontier, a roof, a limit. Guides of one label are one entry of the
    legend.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    colour: str = ""
    is_limit: bool = False
    """Whether it goes through the whole panel, at the height of its only point."""
    widens: bool = False
    """Whether the panel is made wide enough to show all of it."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `empty` says why there is no mark, where there is none; `better`, where the
    better networks lie.
    """

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    guides: tuple[Guide, ...] = ()
    right: Axis | None = None
    z: Axis | None = None
    better: str = ""
    empty: str = ""
    is_stacked: bool = False
    """Whether bars of one category stand on one another, not side by side."""
    cut: float | None = None
    """Where taller stacks of bars are cut off, so that the others can be read; their heights are
    written there.
    """


@dataclass(frozen=True)
class Key:
    """The groups that a colour or a shape tells apart, in order, and what they are; no word: they
    need no legend.
    """

    groups: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True)
class Plot:
    """A figure: its panels, where its values come from, and what must be known to read them."""

    name: str
    title: str
    where: str
    panels: tuple[Panel, ...]
    remarks: tuple[str, ...] = ()
    colours: Key = Key()
    shapes: Key = Key()
    columns: int = 2
    has_one_scale: bool = False
    """Whether all panels share the scale of y."""
    is_matrix: bool = False
    """Whether the panels of a row share y, those of a column x: what stands on them is written at
    the edges alone.
    """

    @property
    def marks(self) -> Iterator[Mark]:
        """The marks of all panels."""
        return (mark for panel in self.panels for mark in panel.marks)


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn, and why, in one line with the command that would change it."""

    name: str
    why: str


Plots = list[Plot | Missing]

CSV_COLUMNS = (
    "figure",
    "panel",
    "kind",
    "label",
    "origin",
    "colour",
    "shape",
    "line",
    "x_axis",
    "x",
    "x_lo",
    "x_hi",
    "y_axis",
    "y",
    "y_lo",
    "y_hi",
    "z_axis",
    "z",
)


def legible(part: Any) -> Any:
    """Give a figure, or a part of one, with what is hidden in its texts written out."""
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, tuple):
        return tuple(map(legible, part))
    if is_dataclass(part) and not isinstance(part, type):
        texts = {field.name: legible(getattr(part, field.name)) for field in fields(part)}
        return replace(part, **texts)
    return part


def without_empty_panels(plot: Plot) -> Plot:
    """Leave out panels without any mark, each with a remark that says why; a matrix, whose panels
    share axes, stays whole.
    """
    empty = [panel for panel in plot.panels if not panel.marks]
    if plot.is_matrix or not empty or len(empty) == len(plot.panels):
        return plot
    whys = [f"Left out, {panel.title}: {panel.empty or 'nothing to show'}." for panel in empty]
    kept = tuple(panel for panel in plot.panels if panel.marks)
    return replace(plot, panels=kept, remarks=(*plot.remarks, *whys))


def plot_or_missing(plot: Plot, why: Callable[[], str]) -> Plots:
    """The figure, or why there is none where it has no mark."""
    return [plot] if any(panel.marks for panel in plot.panels) else [Missing(plot.name, why())]


def write_csv(plot: Plot, file: TextIO) -> None:
    """Write a row for each mark and each point of a guide."""
    writer = csv.DictWriter(file, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in _rows(plot):
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _rows(plot: Plot) -> Iterator[dict[str, Any]]:
    for panel in plot.panels:
        about = {"figure": plot.name, "panel": panel.title}
        for mark in panel.marks:
            yield about | _row(panel, mark)
        for guide in panel.guides:
            axes = {
                "kind": "guide",
                "label": guide.label,
                "colour": guide.colour,
                "x_axis": panel.x.label,
                "y_axis": panel.y.label,
            }
            points = [("", guide.points[0][1])] if guide.is_limit else guide.points
            for x, y in points:
                yield about | axes | {"x": x, "y": y}


def _row(panel: Panel, mark: Mark) -> dict[str, Any]:
    y_axis = panel.right if mark.on_right and panel.right else panel.y
    return {
        "kind": mark.form,
        "label": mark.label,
        "origin": mark.origin,
        "colour": mark.colour,
        "shape": mark.shape,
        "line": mark.line,
        "x_axis": panel.x.label,
        "x": mark.x,
        **_bounds("x", mark.x_interval),
        "y_axis": y_axis.label,
        "y": mark.y,
        **_bounds("y", mark.y_interval),
        "z_axis": panel.z.label if panel.z else "",
        "z": "" if mark.z is None else mark.z,
    }


def _bounds(axis: str, interval: Interval | None) -> dict[str, float]:
    return {f"{axis}_lo": interval[0], f"{axis}_hi": interval[1]} if interval else {}


def _cell(value: Coordinate) -> Any:
    return csv_cell(value) if isinstance(value, str) else f"{value:.10g}"


def frontier(marks: Sequence[Mark], label: str) -> tuple[Guide, ...]:
    """The points of which none is both to the left of and above another: less x costs y. None below
    two of them.
    """
    best: list[tuple[float, float]] = []
    for mark in sorted(marks, key=lambda mark: (mark.x, -float(mark.y))):
        if not best or float(mark.y) > best[-1][1]:
            best.append((float(mark.x), float(mark.y)))
    return (Guide(label, tuple(best)),) if len(best) > 1 else ()
