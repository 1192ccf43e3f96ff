"""Marks and guides on a pair of axes: points, bars, steps, cells. Loads matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor, inf, log10
from typing import Any, TypeGuard, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import AutoLocator, FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from archbench.report.data.statistics import Interval
from archbench.report.figures.contract import Guide, Mark, Origin, Panel
from archbench.report.figures.style import (
    DOTTED,
    FAINT,
    FRAME,
    GRID,
    GRID_PT,
    INK,
    LETTER_EM,
    SOLID,
    Palette,
    Style,
)

MARGIN = 0.08
NAMED_MARGIN = 0.17
"""Room around the points, as a share of their range: more where names stand there."""
GROUP_WIDTH = 0.8
"""Width of the bars of one category together."""
MOST_TICKS = 26
LEAST_CATEGORIES = 4
"""Categories for which a panel has room at least, so that few bars are not walls."""
DIGIT_EM = 0.56
FEW_BARS = 24
"""Bars up to which the value of each is written above it."""
TICKS = (
    (0.8, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)),
    (2.2, (1.0, 2.0, 5.0)),
    (4.2, (1.0, 3.0)),
    (inf, (1.0,)),
)
"""Multiples of a power of ten that have ticks on a logarithmic axis, by the decades that it spans
at most.
"""
MOST_POWERS = 9
"""Decades up to which each power of ten has a tick."""
MANY = 60
"""Points of a panel from which they are drawn smaller."""


def draw_points(axes: Axes, marks: Sequence[Mark], palette: Palette, style: Style) -> None:
    """Draw points with their intervals, those of one line joined; the paper's beside ours are
    hollow.
    """
    _join(axes, marks, palette)
    groups: dict[tuple[str, str, str], list[Mark]] = {}
    for mark in marks:
        groups.setdefault((mark.colour, mark.shape, mark.origin), []).append(mark)
    for (colour, shape, origin), group in groups.items():
        ink = palette.colour(colour)
        are_many, is_hollow = len(marks) > MANY, origin in palette.hollow
        width = style.mark_pt / 7.5
        draw_intervals(axes, group, ink, width, 0 if are_many else 2 * width)
        axes.plot(
            [mark.x for mark in group],
            [mark.y for mark in group],
            palette.marker(shape),
            color=ink,
            linestyle="None",
            markersize=style.mark_pt * (0.7 if are_many else 1),
            markerfacecolor="white" if is_hollow else ink,
            markeredgecolor=ink if is_hollow else "white",
            markeredgewidth=1.2 if is_hollow else 0.6,
            zorder=3,
        )


def _join(axes: Axes, marks: Sequence[Mark], palette: Palette) -> None:
    """A thin line through the points of one line, in their order."""
    lines: dict[str, list[Mark]] = {}
    for mark in marks:
        if mark.line:
            lines.setdefault(mark.line, []).append(mark)
    for joined in lines.values():
        if len(joined) > 1:
            colour, dashes = (
                palette.colour(joined[0].colour),
                palette.dashes.get(joined[0].colour, SOLID),
            )
            dashes = DOTTED if joined[0].origin in palette.hollow else dashes
            x, y = [mark.x for mark in joined], [mark.y for mark in joined]
            axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1, alpha=0.55, zorder=1.5)


def draw_intervals(
    axes: Axes, marks: Sequence[Mark], colour: str, width_pt: float, cap_pt: float
) -> None:
    """Draw the error bars of points: one path for all, which is several times as fast as a line
    each.
    """
    across = [
        [(end, mark.y) for end in mark.x_interval] for mark in marks if _is_long(mark.x_interval)
    ]
    along = [
        [(mark.x, end) for end in mark.y_interval] for mark in marks if _is_long(mark.y_interval)
    ]
    for bars, cap in ((across, "|"), (along, "_")):
        if not bars:
            continue
        ends = np.array(bars, float).reshape(-1, 2)
        axes.add_artist(_lines(ends, edgecolor=colour, linewidth=width_pt, zorder=2.5))
        axes.update_datalim(ends)
        if cap_pt:
            axes.plot(
                *ends.T,
                cap,
                color=colour,
                markersize=2 * cap_pt,
                markeredgewidth=width_pt,
                zorder=2.5,
            )


def replace_by_grid(axis: XAxis | YAxis) -> None:
    """Hide an axis whose words and numbers stand elsewhere; its grid becomes one path, where every
    tick would cost time.
    """
    axes, is_x = axis.axes, isinstance(axis, XAxis)
    ends = np.array(
        [[(at, end) if is_x else (end, at) for end in (0, 1)] for at in axis.get_majorticklocs()]
    ).reshape(-1, 2)
    transform = axes.get_xaxis_transform() if is_x else axes.get_yaxis_transform()
    axes.add_artist(
        _lines(ends, edgecolor=GRID, linewidth=GRID_PT, zorder=0.5, transform=transform)
    )
    axis.set_visible(False)


def _lines(ends: NDArray[Any], **looks: Any) -> PathPatch:
    """Lines from every other point to the one after it, as one thing to draw."""
    return PathPatch(Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2)), fill=False, **looks)


def _is_long(interval: Interval | None) -> TypeGuard[Interval]:
    """Whether there is an interval, and not all of it in one place."""
    return interval is not None and interval[0] < interval[1]


def draw_bars(axes: Axes, panel: Panel, palette: Palette, style: Style) -> None:
    """Draw bars on their categories: side by side or on one another, a colour and a hatch a group;
    points stand among them.
    """
    bars = [mark for mark in panel.marks if mark.form == "bar"]
    positions = category_places(panel)
    groups = _bar_groups(bars, palette)
    width = GROUP_WIDTH / (1 if panel.is_stacked else max(len(groups), 1))
    room_pt = width * width_pt(axes) / max(len(positions), LEAST_CATEGORIES)
    height = dict.fromkeys(positions, 0.0)
    for index, (colour, origin) in enumerate(groups):
        chosen = [mark for mark in bars if (mark.colour, mark.origin) == (colour, origin)]
        shift = 0.0 if panel.is_stacked else (index - (len(groups) - 1) / 2) * width
        x = [positions[mark.x] + shift for mark in chosen]
        below = [height[mark.x] if panel.is_stacked else 0.0 for mark in chosen]
        tall = [float(mark.y) for mark in chosen]
        looks = palette.bar(colour, origin)
        axes.bar(x, tall, width * 0.92, bottom=below, linewidth=0.8, zorder=2, **looks)
        raised = [_raised(mark, at, low) for mark, at, low in zip(chosen, x, below, strict=True)]
        draw_intervals(axes, raised, INK, 1, 2.5)
        for mark in chosen:
            height[mark.x] += float(mark.y)
        if len(bars) <= FEW_BARS and not panel.is_stacked:
            _write_values(axes, x, chosen, style, room_pt)
    if panel.cut is not None:
        _write_heights(axes, panel.cut, [height[category] for category in positions], style)
    _name_categories(axes, [str(category) for category in positions], style)


def _bar_groups(bars: Sequence[Mark], palette: Palette) -> list[tuple[str, Origin]]:
    """The colours and origins of bars, in the order of the legend."""
    order = list(palette.colours)
    return sorted(
        {(mark.colour, mark.origin) for mark in bars},
        key=lambda group: (order.index(group[0]) if group[0] else -1, group[1]),
    )


def _write_heights(axes: Axes, cut: float, heights: Sequence[float], style: Style) -> None:
    """Write where stacks are cut off how high they are."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    for at, height in enumerate(heights):
        if height > cut:
            text = f"\N{UPWARDS ARROW} {height:,.0f}"
            place: dict[str, Any] = {"ha": "center", "va": "top", "zorder": 5, "bbox": box}
            axes.text(at, 0.97 * cut, text, fontsize=style.small_pt, color=INK, **place)


def _raised(mark: Mark, x: float, bottom: float) -> Mark:
    """A bar where it is drawn: beside or on the others of its category."""
    low_high = mark.y_interval and (bottom + mark.y_interval[0], bottom + mark.y_interval[1])
    return replace(mark, x=x, y=bottom + float(mark.y), y_interval=low_high)


def _write_values(
    axes: Axes, x: Sequence[float], bars: Sequence[Mark], style: Style, room_pt: float
) -> None:
    """Write each bar's value above it and its error bar, where there is room for it."""
    for at, mark in zip(x, bars, strict=True):
        top = max(float(mark.y), mark.y_interval[1] if mark.y_interval else 0.0)
        text = f"{mark.y:#.3g}".rstrip(".") if float(mark.y) < 100 else f"{mark.y:,.0f}"
        if len(text) * (style.small_pt - 1) * DIGIT_EM > room_pt:
            continue
        above = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axes.annotate(text, (at, top), fontsize=style.small_pt - 1, color=FAINT, **above)  # type: ignore[arg-type]


def _name_categories(axes: Axes, names: Sequence[str], style: Style) -> None:
    """Write the categories below their bars: aslant where they are too long to stand side by
    side.
    """
    is_long = max(map(len, names)) * style.small_pt * LETTER_EM * len(names) > 0.9 * width_pt(axes)
    slant: dict[str, Any] = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_long else {}
    )
    axes.set_xticks(range(len(names)), names, **slant)
    least = max(len(names), LEAST_CATEGORIES) / 2
    axes.set_xlim((len(names) - 1) / 2 - least, (len(names) - 1) / 2 + least)


def width_pt(axes: Axes) -> float:
    """About how wide a panel will be once it is laid out."""
    spec = axes.get_subplotspec()
    assert spec is not None
    return float(
        0.86 * 72 * cast(Figure, axes.figure).get_size_inches()[0] / spec.get_gridspec().ncols
    )


def category_places(panel: Panel) -> dict[Any, int]:
    """Where the categories of a panel stand."""
    return {
        category: index
        for index, category in enumerate(dict.fromkeys(mark.x for mark in panel.marks))
    }


def draw_steps(axes: Axes, marks: Sequence[Mark], palette: Palette) -> None:
    """Draw a staircase for each line, a step a layer."""
    for line in dict.fromkeys(mark.line for mark in marks):
        steps = [mark for mark in marks if mark.line == line]
        colour = palette.colour(steps[0].colour)
        edges = [float(mark.x) - 0.5 for mark in steps]
        axes.stairs(
            [float(mark.y) for mark in steps],
            [*edges, edges[-1] + 1],
            color=colour,
            linewidth=1.3,
            linestyle=palette.dashes.get(steps[0].colour, SOLID),
            baseline=None,
        )
    axes.margins(x=0.01)


def draw_cells(axes: Axes, panel: Panel, style: Style) -> None:
    """Draw a matrix, the first source on top, and the scale of its colours."""
    columns = list(dict.fromkeys(mark.x for mark in panel.marks))
    rows = list(dict.fromkeys(mark.y for mark in panel.marks))
    values = [[float("nan")] * len(columns) for _ in rows]
    for mark in panel.marks:
        values[rows.index(mark.y)][columns.index(mark.x)] = (
            float("nan") if mark.z is None else mark.z
        )
    image = axes.imshow(values, cmap="cividis", aspect="auto", vmin=0)
    names = [str(column) for column in columns]
    is_wide = max(map(len, names)) * style.small_pt * LETTER_EM > 0.6 * width_pt(axes) / len(names)
    # The last target is what reads the block's end: it is named whatever is left out.
    ticks = [
        index
        for index in range(len(names))
        if index % -(-len(names) // MOST_TICKS) == 0 or index == len(names) - 1
    ]
    axes.set_xticks(ticks, [names[index] for index in ticks], rotation=90 if is_wide else 0)
    every = -(-len(rows) // MOST_TICKS)
    axes.set_yticks(range(0, len(rows), every), [str(row) for row in rows[::every]])
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03)
    bar.set_label(panel.z.label if panel.z else "", fontsize=style.small_pt, color=INK)
    bar.ax.tick_params(labelsize=style.small_pt, colors=INK, length=2)
    bar.outline.set_edgecolor(FRAME)


def scale_logarithmically(axis: XAxis | YAxis) -> None:
    """Make an axis logarithmic, with plain numbers at its ticks."""
    if isinstance(axis, XAxis):
        axis.axes.set_xscale("log")
    else:
        axis.axes.set_yscale("log")
    write_plainly(axis)
    axis.set_minor_locator(NullLocator())


def write_plainly(axis: XAxis | YAxis) -> None:
    """Write plain numbers at an axis's ticks, with commas between thousands."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def choose_ticks(axis: XAxis | YAxis) -> None:
    """Give a logarithmic axis as many ticks as the range that it has come to needs."""
    low, high = axis.get_view_interval()
    decades = log10(high / low)
    multiples = next(multiples for most, multiples in TICKS if decades <= most)
    powers = range(floor(log10(low)), floor(log10(high)) + 1, 1 + int(decades / MOST_POWERS))
    # A tick is costly even where it is not seen: there are none but those within the limits.
    ticks = [
        at
        for power in powers
        for multiple in multiples
        if low <= (at := multiple * 10.0**power) <= high
    ]
    axis.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else AutoLocator())


def draw_guides(axes: Axes, guides: Sequence[Guide], palette: Palette) -> None:
    """Draw the lines that are no data."""
    for guide in guides:
        colour, dashes = palette.guide(guide)
        if guide.is_limit:
            axes.axhline(
                guide.points[0][1],
                color=colour,
                linestyle=dashes,
                linewidth=0.8,
                alpha=0.7,
                zorder=1,
            )
        else:
            axes.plot(
                *zip(*guide.points, strict=True),
                color=colour,
                linestyle=dashes,
                linewidth=1.1,
                zorder=1.4,
            )


def set_limits(axes: Axes, panel: Panel, marks: Sequence[Mark]) -> None:
    """Leave room for names around points and their bars; a linear scale that would fall below zero
    begins there.
    """
    margin = NAMED_MARGIN if any(mark.is_named for mark in marks) else MARGIN
    shown = [point for guide in panel.guides if guide.widens for point in guide.points]
    x = [end for mark in marks for end in (float(mark.x), *(mark.x_interval or ()))]
    y = [end for mark in marks for end in (float(mark.y), *(mark.y_interval or ()))]
    y_axis = panel.right if marks[0].on_right and panel.right else panel.y
    axes.set_xlim(*_limits([*x, *(at for at, _ in shown)], margin, is_log=panel.x.is_log))
    axes.set_ylim(*_limits([*y, *(at for _, at in shown)], margin, is_log=y_axis.is_log))


def _limits(ends: Sequence[float], margin: float, *, is_log: bool) -> tuple[float, float]:
    low, high = min(ends), max(ends)
    if is_log and low > 0:
        factor = (high / low) ** margin if high > low else 1.5
        return low / factor, high * factor
    room = margin * (high - low) or 0.1 * abs(high) or 1.0
    return (max(low - room, 0.0) if low >= 0 else low - room), high + room
