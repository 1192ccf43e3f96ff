"""The panel of a trade-off: a point for each candidate, and the line through those that no other
beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archbench.report.figures.columns import heading, is_more_better, scale_of
from archbench.report.figures.contract import Axis, Guide, Key, Mark, Origin, Panel, Plot
from archbench.report.figures.material import Material, groups_of
from archbench.report.figures.tradeoff.alike import Shown
from archbench.report.figures.tradeoff.candidates import Candidate

NAME = "trade-off"
FEW = 24
"""Points up to which each is named; of more, those on the frontier."""
FRONTIER = "frontier: no other network is better at both"
FRONTIERS = "frontier of a table: no other network there is better at both"
WIDE_RANGE = 50
"""How many times the least value the largest is where an axis becomes logarithmic by itself."""


def figure_of(material: Material, words: tuple[str, str], group: str, shown: Shown) -> Plot:
    """Give the figure of what is shown: two columns by their words, coloured by a group."""
    groups = groups_of(candidate.group for candidate in shown.candidates)
    origin: Origin = "paper" if material.source == "paper" else "ours"
    marks = [_mark(each, groups[each.group], origin) for each in shown.candidates]
    tables = [each.setup if origin == "paper" else "" for each in shown.candidates]
    frontiers = [
        _frontier([mark for mark, of in zip(marks, tables, strict=True) if of == table], words)
        for table in dict.fromkeys(tables)
    ]
    best = {mark for frontier in frontiers for mark in frontier}
    marks = [replace(mark, is_named=len(marks) <= FEW or mark in best) for mark in marks]
    guides = _lines(frontiers, FRONTIER if len(frontiers) == 1 else FRONTIERS)
    x, y = (
        _axis(word, [float(getattr(mark, letter)) for mark in marks], letter, material.choice.log)
        for letter, word in zip("xy", words, strict=True)
    )
    key = Key(tuple(dict.fromkeys(groups.values())), group.replace("_", " "))
    return Plot(
        _name(material),
        f"Trade-off: {y.words} against {x.words}",
        shown.where,
        (Panel("", x, y, tuple(marks), guides),),
        tuple(shown.remarks),
        key,
        key,
        columns=1,
    )


def _mark(candidate: Candidate, group: str, origin: Origin) -> Mark:
    x, y = candidate.x, candidate.y
    assert x.value is not None
    assert y.value is not None
    return Mark(
        candidate.label,
        x.value,
        y.value,
        x_interval=x.interval,
        y_interval=y.interval,
        colour=group,
        shape=group,
        origin=origin,
    )


def _frontier(marks: Sequence[Mark], words: Sequence[str]) -> list[Mark]:
    """The marks than which none is better at one value and no worse at the other, from the best at
    the first on.
    """
    signs = [-1 if is_more_better(word) else 1 for word in words]
    costs = {mark: (signs[0] * float(mark.x), signs[1] * float(mark.y)) for mark in marks}
    best: list[Mark] = []
    for mark in sorted(marks, key=costs.__getitem__):
        if not best or costs[mark][1] < costs[best[-1]][1] or costs[mark] == costs[best[-1]]:
            best.append(mark)
    return best


def _lines(frontiers: Sequence[Sequence[Mark]], label: str) -> tuple[Guide, ...]:
    """A line for each frontier that has two points."""
    corners = (
        tuple(dict.fromkeys((float(mark.x), float(mark.y)) for mark in frontier))
        for frontier in frontiers
    )
    return tuple(Guide(label, line) for line in corners if len(line) > 1)


def _name(material: Material) -> str:
    """What the figure's files are called: after its axes where those were chosen."""
    chosen = [word for word in (material.choice.y, material.choice.x) if word]
    return "-".join([NAME, *chosen])


def _axis(word: str, values: Sequence[float], letter: str, log: str) -> Axis:
    """The axis of a column, logarithmic as it was asked for, or where its values are far apart."""
    is_wide = min(values) > 0 and max(values) / min(values) > WIDE_RANGE
    return Axis(heading(word), scale_of(word).unit, is_log=letter in log if log else is_wide)
