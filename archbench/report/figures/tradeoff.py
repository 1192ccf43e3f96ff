"""Any two columns of the results against one another, coloured by a third; or two figures of the
papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from archbench.papers import figures, value_in_our_units
from archbench.quantities import FIGURES, MEASURED, QUANTITIES
from archbench.quantity import Scale
from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.data.configurations import Configuration
from archbench.report.data.headings import PUBLISHED
from archbench.report.data.names import short_names
from archbench.report.data.rows import COLUMNS, merged
from archbench.report.data.selection import column
from archbench.report.figures.contract import Axis, Key, Mark, Missing, Origin, Panel, Plot, Plots
from archbench.report.figures.material import Material, Value, groups_of, value_of
from archbench.settings import SETTINGS
from archbench.spec import Spec, UsageError

NAME = "trade-off"
MEASURED_AXES, PUBLISHED_AXES = ("macs", "latency_ms"), ("fps", "ap")
"""What stands on the axes where nothing is asked for."""
TELL_SETUPS = (
    "device",
    "threads",
    *(name for name, declared in SETTINGS.items() if declared.stands_alone),
)
"""Groups that tell where and how figures were measured, so that they may stand in one figure."""
TELL_CALLS = ("batch", "mode")
"""Groups that tell how networks were called, so that several calls may stand in one figure."""
FEW = 24
"""Points up to which each is named."""
NO_GROUP = {"detector": "classifier", "options": "defaults", "flags": "no flags"}
"""What has none of a column."""
NO_LOG = "none"
WIDE_RANGE = 50
"""How many times the least value the largest is where an axis becomes logarithmic by itself."""


@dataclass(frozen=True)
class Candidate:
    """What may be a point: its name, where and how it was called, its two values and its group."""

    label: str
    setup: str
    call: str
    x: Value
    y: Value
    group: str


def trade_off(material: Material) -> Plots:
    """Make the figure of two columns."""
    choice = material.choice
    if choice.log != NO_LOG and set(choice.log) - {"x", "y"}:
        raise UsageError(f"--log {choice.log}: it takes x, y, xy or none")
    return _published(material) if material.source == "paper" else _measured(material)


def _measured(material: Material) -> Plots:
    choice = material.choice
    words = _number(choice.x or MEASURED_AXES[0]), _number(choice.y or MEASURED_AXES[1])
    group = column(choice.group or "detector")
    candidates = _candidates(material.configurations, words, group)
    if not candidates:
        return [
            Missing(
                NAME,
                f"no record has both {words[0]} and {words[1]}; archbench compare --csv shows "
                "what they have",
            )
        ]
    setups = Counter(candidate.setup for candidate in candidates)
    eager = {each.setup for each in material.configurations if each.is_eager}
    setup = max(setups, key=lambda name: (name != COUNTED_ONLY, name in eager, setups[name]))
    are_counts = all(word not in MEASURED for word in words)
    if are_counts:
        where = "counted"
        candidates = list({candidate.label: candidate for candidate in candidates}.values())
    elif group in TELL_SETUPS:
        where = f"measured on {'; '.join(setups)}"
    else:
        where = f"measured on {setup}"
        candidates = [candidate for candidate in candidates if candidate.setup == setup]
    calls = Counter(candidate.call for candidate in candidates)
    call, _ = calls.most_common(1)[0]
    if not are_counts and group not in TELL_CALLS:
        where += f", {call}"
        candidates = [candidate for candidate in candidates if candidate.call == call]
    remarks = ["Repeats of one configuration are one point."]
    if any(value.interval for candidate in candidates for value in (candidate.x, candidate.y)):
        remarks.append(
            "Error bars: 95 % interval of the median, or the range of the medians of several "
            "processes."
        )
    others = "; ".join(f"{count} of {name}" for name, count in setups.items() if name not in where)
    if others and not are_counts:
        remarks.append(
            f"Left out, of other devices or settings: {others}; --group device shows them together."
        )
    if len(calls) > 1 and not are_counts and group not in TELL_CALLS:
        rest = "; ".join(f"{count} of {name}" for name, count in calls.items() if name != call)
        remarks.append(f"Left out, called otherwise: {rest}; --group batch shows them together.")
    return [_plot(material, words, candidates, (where, group), remarks)]


def _published(material: Material) -> Plots:
    choice = material.choice
    if choice.group not in ("", "source"):
        raise UsageError(
            f"--group {choice.group}: published figures are grouped by their source alone"
        )
    words = tuple(
        _quoted(word) for word in (choice.x or PUBLISHED_AXES[0], choice.y or PUBLISHED_AXES[1])
    )
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    networks: dict[tuple[str, ...], tuple[str, ...]] = {}
    for figure in figures():
        word, value = value_in_our_units(figure)
        key = (figure.source, *figure.row, figure.input, figure.options)
        rows.setdefault(key, {})[f"published_{word}"] = value
        networks[key] = (
            figure.paper,
            figure.backbone,
            figure.detector or "",
            figure.input,
            figure.options,
        )
    # What a paper prints twice stands at its first place.
    first = set(
        {
            (networks[key], *(row.get(word) for word in words)): key
            for key, row in reversed(rows.items())
        }.values()
    )
    there = {
        key: row for key, row in rows.items() if all(word in row for word in words) and key in first
    }
    if not there:
        return [
            Missing(
                NAME,
                f"no row of the papers' tables has both {words[0]} and {words[1]}; --x and --y "
                "take other columns",
            )
        ]
    x, y = ([Value(row[word] * _scale(word).factor) for row in there.values()] for word in words)
    candidates = [
        Candidate(key[3], "", "", at, height, key[0])
        for key, at, height in zip(there, x, y, strict=True)
    ]
    remarks = [
        "Quoted, each from its paper's own device and data set: speeds and accuracies of different "
        "tables are not to be compared."
    ]
    return [_plot(material, words, candidates, ("as published", "source"), remarks)]


def _candidates(
    configurations: Sequence[Configuration], words: Sequence[str], group: str
) -> list[Candidate]:
    """The configurations that have both values."""
    named = short_names(configuration.spec for configuration in configurations)
    candidates = []
    for configuration in configurations:
        row = merged(configuration)
        if all(row[word] is not None for word in words):
            x, y = (_value(configuration, word, row[word]) for word in words)
            own = str(row[group]) if row[group] is not None else NO_GROUP.get(group, "none")
            spec = configuration.spec
            candidates.append(Candidate(named[spec], configuration.setup, _call(spec), x, y, own))
    return candidates


def _call(spec: Spec) -> str:
    return f"{'training steps, ' if spec.mode == 'train' else ''}batch {spec.batch}"


def _value(configuration: Configuration, word: str, value: float) -> Value:
    scale = _scale(word).factor
    return value_of(configuration, word, scale=scale) if word in FIGURES else Value(value * scale)


def _plot(
    material: Material,
    words: Sequence[str],
    candidates: Sequence[Candidate],
    about: tuple[str, str],
    remarks: Sequence[str],
) -> Plot:
    where, group = about
    origin: Origin = "paper" if material.source == "paper" else "ours"
    groups = groups_of(candidate.group for candidate in candidates)
    marks = [
        Mark(
            candidate.label,
            candidate.x.value,
            candidate.y.value,
            x_interval=candidate.x.interval,
            y_interval=candidate.y.interval,
            colour=groups[candidate.group],
            shape=groups[candidate.group],
            origin=origin,
            is_named=len(candidates) <= FEW,
        )
        for candidate in candidates
        if candidate.x.value is not None and candidate.y.value is not None
    ]
    values = ([float(mark.x) for mark in marks], [float(mark.y) for mark in marks])
    x, y = (
        Axis(
            _heading(word),
            _scale(word).unit,
            is_log=_is_log(material.choice.log, letter, numbers),
        )
        for letter, word, numbers in zip("xy", words, values, strict=True)
    )
    key = Key(tuple(dict.fromkeys(groups.values())), group.replace("_", " "))
    title = f"Trade-off: {y.words} over {x.words}"
    return Plot(
        NAME, title, where, (Panel("", x, y, tuple(marks)),), tuple(remarks), key, key, columns=1
    )


def _is_log(asked: str, letter: str, values: Sequence[float]) -> bool:
    """Whether an axis is logarithmic: as it was asked for, or where its values are far apart."""
    return letter in asked if asked else min(values) > 0 and max(values) / min(values) > WIDE_RANGE


def _number(name: str) -> str:
    """A column of numbers; raises UsageError for another."""
    known = column(name)
    if COLUMNS[known] is str:
        raise UsageError(
            f"{known} is no number: --x and --y take columns of numbers, --group takes any"
        )
    return known


def _quoted(name: str) -> str:
    """A column of the papers' figures, with or without `published_` before it."""
    return _number(name if name.startswith("published_") else f"published_{name}")


def _heading(name: str) -> str:
    """How a column is called; the papers' accuracies and speeds by their own names."""
    plain = name.removeprefix("published_")
    heading = QUANTITIES[plain].title if plain in QUANTITIES else plain.replace("_", " ")
    if name == plain:
        return heading
    return f"{' '.join(PUBLISHED.get(plain, heading).split())}, as published"


def _scale(name: str) -> Scale:
    """How a column is shown; what a paper prints in its own unit says that unit itself."""
    plain = name.removeprefix("published_")
    scale = QUANTITIES[plain].scale if plain in QUANTITIES else Scale()
    says_it = name != plain and plain in PUBLISHED and scale.factor == 1
    return replace(scale, unit="") if says_it else scale
