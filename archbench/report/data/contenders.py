"""Networks that nobody has measured on a device and that could still win there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from archbench.engine_names import EAGER
from archbench.papers.counts import shipped_counts
from archbench.quantities import COUNTED, QUANTITIES
from archbench.report.data.accuracies import FULL_PRECISION, key_of
from archbench.report.data.choice import ACCURACY, ANY, Asked, Candidate, Choice
from archbench.report.data.comparable import DEFINING
from archbench.report.data.conditions import Condition
from archbench.report.data.configurations import Configuration
from archbench.report.data.counts import recorded
from archbench.report.data.frontier import better
from archbench.report.data.names import in_order, short_names
from archbench.report.data.prediction import (
    PREDICTED,
    Error,
    Networks,
    Prediction,
    Refusal,
    SetupPredictor,
)
from archbench.report.data.ties import differ, exact, is_more_better
from archbench.settings import DEFAULT
from archbench.spec import Spec, UsageError

Families: TypeAlias = Callable[[Spec], frozenset[str]]
"""Names the families of a network, by which none is predicted that is of them."""


COMES_FROM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("time", "energy"), ("macs", "bytes_all")),
    **dict.fromkeys(
        ("device memory", "allocator", "host memory"), ("params", "activation_peak_bytes")
    ),
}
"""What grows figures, by what they are about."""
SHARED = {*DEFINING, "device", "threads"} - {"weights"}
"""The settings with which a network is measured as others were; weights are one network's."""


@dataclass(frozen=True)
class Contender:
    """A network that could still win, its accuracy, and what is predicted of it."""

    name: str
    spec: Spec
    accuracy: float
    predicted: dict[str, Prediction | Refusal]
    """By the bounded or best figures that can be predicted."""
    command: str
    """What measures it as the others were measured."""


@dataclass(frozen=True)
class Contenders:
    """The networks that could still win, the most accurate first, and how many could have but for
    what is predicted of them, or for doing more than others that are beaten.
    """

    found: Sequence[Contender]
    predicted_out: int = 0
    outdone: int = 0
    errors: Sequence[Error] = ()
    """How far off predictions like these lie, the largest last."""


def contenders(choice: Choice, families: Families) -> Contenders:
    """Find the networks with a known accuracy that were not measured and could be better than the
    chosen one.

    No bound is known to be broken, and what is to be the best is not known to be worse; neither is
    predicted with all of the interval, and none does more of all that a figure comes from than a
    network that was measured and is beyond what is asked.
    """
    predictor = SetupPredictor(_like_asked(choice), Networks(_shipped, families))
    # An accuracy of one's own does not tell the classes.
    measured = {key_of(each.configuration.spec) for each in choice.candidates}
    specs = [spec for spec in choice.accuracies.networks() if key_of(spec) not in measured]
    named = short_names(specs)
    found, predicted_out, outdone = [], 0, 0
    errors: dict[Error, None] = {}
    wanted, flags = predicted_words(choice.asked), _flags(choice)
    for spec in specs:
        accuracy = choice.accuracies.of(spec)
        if accuracy is None or not _may_win(choice, spec, accuracy.value):
            continue
        predicted = {column: predictor.predict(spec, column) for column in wanted}
        made = (each for each in predicted.values() if isinstance(each, Prediction))
        errors |= dict.fromkeys(each.error for each in made)
        if _is_beyond(choice, predicted):
            predicted_out += 1
        elif _is_outdone(choice, spec):
            outdone += 1
        else:
            command = spec.command() + flags
            found.append(Contender(named[spec], spec, accuracy.value, predicted, command))
    found.sort(key=lambda each: (-each.accuracy, in_order(each.name)))
    by_size = sorted(errors, key=lambda error: error.factor)
    return Contenders(found, predicted_out, outdone, by_size)


def predicted_words(asked: Asked) -> list[str]:
    """The figures that decide and can be predicted; of images a second their time."""
    times = (_time_of(column) or column for column in asked.columns)
    return [word for word in dict.fromkeys(times) if word in PREDICTED]


def _time_of(column: str) -> str:
    """The time that a rate of single images is the inverse of; empty for what is no such rate."""
    is_rate = column in QUANTITIES and QUANTITIES[column].unit == "images/s"
    return QUANTITIES[column].time if is_rate else ""


def _of_time(bound: Condition) -> Condition:
    """A bound on a rate as one on its time; any other as it is."""
    time = _time_of(bound.column)
    if not time or not isinstance(bound.value, float) or bound.value <= 0:
        return bound
    return Condition(time, {"<=": ">=", ">=": "<="}[bound.operator], 1e3 / bound.value)


def _shipped(spec: Spec) -> Mapping[str, int]:
    counts = shipped_counts(spec)
    if counts is None:
        raise UsageError(f"{spec} is not published, and nothing is counted here")
    return counts


def _like_asked(choice: Choice) -> list[Configuration]:
    """What was measured as a contender would be, were it measured now: in one engine."""
    engine = EAGER if choice.asked.engine == ANY else choice.asked.engine
    precision = FULL_PRECISION if choice.asked.precision == ANY else choice.asked.precision
    return [
        each
        for each in choice.measured
        if (settings := each.newest.settings)
        and (settings.engine, settings.precision) == (engine, precision)
    ]


def _flags(choice: Choice) -> str:
    """The flags that measure a network as those of a choice were measured last."""
    alike = [each.newest for each in _like_asked(choice)]
    newest = max(alike, key=lambda record: record.time_utc).settings if alike else None
    shared = {name: getattr(newest, name) for name in SHARED} if newest else {}
    return replace(DEFAULT, **shared).flags()


def _may_win(choice: Choice, spec: Spec, accuracy: float) -> bool:
    """Whether what is known of a network without a measurement leaves it a chance."""
    counts = shipped_counts(spec) or {}
    known: dict[str, float] = {ACCURACY: accuracy} | {
        word: value for word, value in counts.items() if word in COUNTED
    }
    if any(bound.column in known and not bound.holds(known) for bound in choice.asked.bounds):
        return False
    best, chosen = choice.asked.best, choice.chosen
    if chosen is None or best not in known:
        return True
    return better(exact(known[best]), chosen.figure(best), best)


def _is_beyond(choice: Choice, predicted: dict[str, Prediction | Refusal]) -> bool:
    """Whether all of a predicted interval breaks a bound, or is worse than the chosen one."""
    best, chosen = choice.asked.best, choice.chosen
    bounds = [_of_time(bound) for bound in choice.asked.bounds]
    for column, found in predicted.items():
        if isinstance(found, Refusal):
            continue
        if any(_breaks(found, bound) for bound in bounds if bound.column == column):
            return True
        if chosen and column in (best, _time_of(best)):
            value = chosen.figure(best).value
            if found.interval[0] > (value if column == best else 1e3 / value):
                return True
    return False


def _is_outdone(choice: Choice, spec: Spec) -> bool:
    """Whether a network does more of all that a figure comes from than one that was measured and is
    beyond what is asked of that figure.
    """
    counts = shipped_counts(spec)
    return counts is not None and any(
        all(
            recorded(each.configuration.newest, word) is not None
            and counts[word] >= (recorded(each.configuration.newest, word) or 0)
            for word in _comes_from(column)
        )
        for column in choice.asked.columns
        if _comes_from(column)
        for each in choice.candidates
        if _is_lost(choice, each, column)
    )


def _comes_from(column: str) -> tuple[str, ...]:
    topic = QUANTITIES[column].topic if column in QUANTITIES else "note"
    return COMES_FROM.get(topic, ())


def _is_lost(choice: Choice, each: Candidate, column: str) -> bool:
    """Whether a figure is beyond a bound with all of its range, or surely worse than that of the
    chosen network where it is to be the best.
    """
    figure = each.figure(column)
    ends = figure.interval or (figure.value,)
    at_best = max(ends) if is_more_better(column) else min(ends)
    bounds = [bound for bound in choice.asked.bounds if bound.column == column]
    if any(not bound.holds({column: at_best}) for bound in bounds):
        return True
    chosen = choice.chosen
    if chosen is None or column != choice.asked.best:
        return False
    theirs = chosen.figure(column)
    return differ(figure, theirs) and better(theirs, figure, column)


def _breaks(found: Prediction, bound: Condition) -> bool:
    return not any(bound.holds({bound.column: end}) for end in found.interval)
