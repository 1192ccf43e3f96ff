"""Any two columns of the results against one another, coloured by a third; or two figures of the
papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from archbench.papers import figures, value_in_our_units
from archbench.quantities import FIGURES, MEASURED
from archbench.reasons import Flag
from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.data.configurations import Configuration
from archbench.report.data.names import short_names
from archbench.report.data.rows import merged
from archbench.report.data.selection import column
from archbench.report.figures.columns import (
    heading,
    is_accuracy,
    is_more_better,
    number,
    quoted,
    scale_of,
)
from archbench.report.figures.contract import (
    Axis,
    Guide,
    Key,
    Mark,
    Missing,
    Origin,
    Panel,
    Plot,
    Plots,
)
from archbench.report.figures.material import Material, Value, flags_said, groups_of, value_of
from archbench.settings import DEFAULT, SETTINGS
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
TELL_DATASETS = ("published_dataset", "dataset")
"""Groups that tell the data set of an accuracy, so that several may stand in one figure."""
FEW = 24
"""Points up to which each is named; of more, those on the frontier."""
FRONTIER = "frontier: no other is better at both"
NO_GROUP = {"detector": "classifier", "options": "defaults", "flags": "no flags"}
"""What has none of a column."""
NO_LOG = "none"
WIDE_RANGE = 50
"""How many times the least value the largest is where an axis becomes logarithmic by itself."""


@dataclass(frozen=True)
class Candidate:
    """What may be a point: its name, where and how it was called, its two values, its group, and
    what ran it.
    """

    label: str
    x: Value
    y: Value
    group: str
    setup: str = ""
    call: str = ""
    dataset: str = ""
    """Of the accuracy, where one of the values is one."""
    proposals: str = ""
    """Their number, where it is not the detector's own."""
    flags: tuple[Flag, ...] = ()
    engine: str = ""
    precision: str = ""


def trade_off(material: Material) -> Plots:
    """Make the figure of two columns."""
    choice = material.choice
    if choice.log != NO_LOG and set(choice.log) - {"x", "y"}:
        raise UsageError(f"--log {choice.log}: it takes x, y, xy or none")
    return _published(material) if material.source == "paper" else _measured(material)


def _measured(material: Material) -> Plots:
    choice = material.choice
    words = number(choice.x or MEASURED_AXES[0]), number(choice.y or MEASURED_AXES[1])
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
    if all(word not in MEASURED for word in words):
        where, remarks = "counted", ["Repeats of a configuration are one point."]
        candidates = list({candidate.label: candidate for candidate in candidates}.values())
    else:
        eager = {each.setup for each in material.configurations if each.is_eager}
        where, candidates, remarks = _of_one_call(candidates, group, eager)
    candidates, of_others = _of_one_dataset(candidates, group)
    remarks += [*of_others, *_proposals(candidates), *flags_said(each.flags for each in candidates)]
    return [_plot(material, words, candidates, (where, group), remarks)]


def _of_one_call(
    candidates: list[Candidate], group: str, eager: set[str]
) -> tuple[str, list[Candidate], list[str]]:
    """The candidates of one setup, in eager mode if any is, that were called alike, unless the
    group tells them apart: where they were measured, themselves, and remarks on what is left out.
    """
    engines = {candidate.engine for candidate in candidates}
    setups = Counter(candidate.setup for candidate in candidates)
    setup = max(setups, key=lambda name: (name != COUNTED_ONLY, name in eager, setups[name]))
    if group in TELL_SETUPS:
        candidates = _alike(candidates, setup, group)
        shown = {candidate.setup for candidate in candidates}
        where = f"measured on {'; '.join(name for name in setups if name in shown)}"
    else:
        where = f"measured on {setup}"
        candidates = [candidate for candidate in candidates if candidate.setup == setup]
    calls = Counter(candidate.call for candidate in candidates)
    (call, _), *other_calls = calls.most_common()
    if group not in TELL_CALLS:
        where += f", {call}"
        candidates = [candidate for candidate in candidates if candidate.call == call]
    remarks = ["Repeats of a configuration are one point."]
    if any(value.interval for candidate in candidates for value in (candidate.x, candidate.y)):
        remarks.append(
            "Error bars: 95 % confidence interval of the median, or the range of the medians of "
            "several processes."
        )
    others = "; ".join(f"{count} of {name}" for name, count in setups.items() if name not in where)
    if others:
        asked = "engine" if len(engines) > 1 and group != "engine" else "device"
        remarks.append(
            f"Left out, from other devices or settings: {others}; --group {asked} shows them "
            "together."
        )
    if other_calls and group not in TELL_CALLS:
        rest = "; ".join(f"{count} of {name}" for name, count in other_calls)
        remarks.append(f"Left out, called otherwise: {rest}; --group batch shows them together.")
    return where, candidates, remarks


def _of_one_dataset(candidates: list[Candidate], group: str) -> tuple[list[Candidate], list[str]]:
    """The candidates whose accuracies are of the data set that most of them are of, and a remark
    that says which, and what is left out.
    """
    counts = Counter(candidate.dataset for candidate in candidates if candidate.dataset)
    if not counts or group in TELL_DATASETS:
        return candidates, []
    (dataset, _), *others = counts.most_common()
    rest = "; ".join(f"{count} of {name}" for name, count in others)
    flag = TELL_DATASETS[0] if group != "source" else TELL_DATASETS[1]
    left_out = f" Left out, of other data sets: {rest}; --group {flag} shows them together."
    remark = f"Accuracies are of {dataset}.{left_out if rest else ''}"
    return [each for each in candidates if each.dataset in ("", dataset)], [remark]


def _proposals(candidates: Sequence[Candidate]) -> list[str]:
    """A remark on networks that differ in the number of regions which their second stage sees."""
    counts = Counter(candidate.proposals for candidate in candidates)
    if len(counts) < 2:
        return []
    numbers = sorted(filter(None, counts), key=float)
    told = ", ".join(f"{number} ({counts[number]})" for number in numbers)
    return [f"Numbers of proposals differ: {told}; the others have their detectors' own."]


def _published(material: Material) -> Plots:
    choice = material.choice
    group = choice.group or "source"
    if group not in ("source", "dataset"):
        raise UsageError(
            f"--group {group}: published figures are grouped by their source or by dataset alone"
        )
    words = tuple(
        quoted(word) for word in (choice.x or PUBLISHED_AXES[0], choice.y or PUBLISHED_AXES[1])
    )
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    networks: dict[tuple[str, ...], tuple[str, ...]] = {}
    datasets: dict[tuple[str, ...], str] = {}
    for figure in figures():
        word, value = value_in_our_units(figure)
        key = (figure.source, *figure.row, figure.input, figure.options)
        rows.setdefault(key, {})[f"published_{word}"] = value
        datasets[key] = figure.dataset
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
    x, y = ([Value(row[word] * scale_of(word).factor) for row in there.values()] for word in words)
    are_accuracies = any(map(is_accuracy, words))
    candidates = [
        Candidate(
            key[3],
            at,
            height,
            group=key[0] if group == "source" else datasets[key],
            dataset=datasets[key] if are_accuracies else "",
        )
        for key, at, height in zip(there, x, y, strict=True)
    ]
    candidates, remarks = _of_one_dataset(candidates, group)
    quoted_from = (
        "Quoted, each from its paper's own device: speeds of different tables are not to be "
        "compared."
    )
    return [_plot(material, words, candidates, ("as published", group), [quoted_from, *remarks])]


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
            settings = configuration.newest.settings or DEFAULT
            are_accuracies = any(map(is_accuracy, words))
            candidates.append(
                Candidate(
                    named[spec],
                    x,
                    y,
                    own,
                    configuration.setup,
                    _call(spec),
                    str(row["published_dataset"] or "") if are_accuracies else "",
                    str(dict(spec.options).get("proposals", "")),
                    _flags(configuration, words),
                    settings.engine,
                    settings.precision,
                )
            )
    return candidates


def _flags(configuration: Configuration, words: Sequence[str]) -> tuple[Flag, ...]:
    """The flags of the measured ones of some figures."""
    estimates = (configuration.estimate(word) for word in words if word in MEASURED)
    return tuple(dict.fromkeys(flag for each in estimates if each for flag in each.flags))


def _alike(candidates: Sequence[Candidate], setup: str, group: str) -> list[Candidate]:
    """Those that may stand beside a setup's under a group that tells setups: of one engine, or
    where engines are asked for, of one precision.
    """
    apart = attrgetter("precision" if group == "engine" else "engine")
    usual = next(apart(candidate) for candidate in candidates if candidate.setup == setup)
    return [candidate for candidate in candidates if apart(candidate) == usual]


def _call(spec: Spec) -> str:
    return f"{'training steps, ' if spec.mode == 'train' else ''}batch {spec.batch}"


def _value(configuration: Configuration, word: str, value: float) -> Value:
    scale = scale_of(word).factor
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
        )
        for candidate in candidates
        if candidate.x.value is not None and candidate.y.value is not None
    ]
    best = _frontier(marks, words)
    marks = [replace(mark, is_named=len(marks) <= FEW or mark in best) for mark in marks]
    line = tuple(dict.fromkeys((float(mark.x), float(mark.y)) for mark in best))
    guides = (Guide(FRONTIER, line),) if len(line) > 1 else ()
    values = ([float(mark.x) for mark in marks], [float(mark.y) for mark in marks])
    x, y = (
        Axis(
            heading(word),
            scale_of(word).unit,
            is_log=_is_log(material.choice.log, letter, numbers),
        )
        for letter, word, numbers in zip("xy", words, values, strict=True)
    )
    key = Key(tuple(dict.fromkeys(groups.values())), group.replace("_", " "))
    title = f"Trade-off: {y.words} over {x.words}"
    return Plot(
        _name(material),
        title,
        where,
        (Panel("", x, y, tuple(marks), guides),),
        tuple(remarks),
        key,
        key,
        columns=1,
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


def _name(material: Material) -> str:
    """What the figure's files are called: after its axes where those were chosen."""
    chosen = [word for word in (material.choice.y, material.choice.x) if word]
    return "-".join([NAME, *chosen])


def _is_log(asked: str, letter: str, values: Sequence[float]) -> bool:
    """Whether an axis is logarithmic: as it was asked for, or where its values are far apart."""
    return letter in asked if asked else min(values) > 0 and max(values) / min(values) > WIDE_RANGE
