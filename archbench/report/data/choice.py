"""Which network to take within a budget, by what one device measured: what is within it, the best
of that, what cannot be told from it, and what nobody has measured that could be better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from archbench.engine_names import EAGER
from archbench.reasons import Flag, Status
from archbench.records import Record
from archbench.report.data.accuracies import FULL_PRECISION, Accuracies
from archbench.report.data.comparable import COUNTED_ONLY, ENGINE_VERSION, setups, where
from archbench.report.data.conditions import Condition
from archbench.report.data.configurations import Configuration, Estimate, configurations
from archbench.report.data.frontier import Figures, better, frontier
from archbench.report.data.names import in_order, short_names
from archbench.report.data.ties import Ranges, differ

ANY = "any"
WHOLE, ACCURACY = "total_ms", "accuracy"
WITHIN, PERHAPS, BEYOND = "yes", "perhaps", "no"


@dataclass(frozen=True)
class Asked:
    """What is to be chosen: bounds, all of which must hold, the figure that is to be the best, and
    the records that it is chosen from.
    """

    bounds: Sequence[Condition] = ()
    best: str = ACCURACY
    device: str = ""
    """A part of the device's name."""
    engine: str = EAGER
    precision: str = FULL_PRECISION

    @property
    def columns(self) -> list[str]:
        """The figures that decide, the best first: at least two."""
        columns = [self.best, *(bound.column for bound in self.bounds)]
        other = ACCURACY if self.best == WHOLE else WHOLE
        distinct = list(dict.fromkeys(columns))
        return distinct if len(distinct) > 1 else [*distinct, other]

    @property
    def is_of_several(self) -> bool:
        """Whether a network may be there more than once, in several engines or precisions."""
        return ANY in (self.engine, self.precision)


@dataclass(frozen=True)
class Candidate:
    """A network that was measured with all that decides, and how it stands."""

    name: str
    configuration: Configuration
    figures: Figures
    within: str
    """Whether it is within the budget: `WITHIN`, `PERHAPS` where the range of a figure reaches
    beyond, or `BEYOND`.
    """
    is_on_frontier: bool

    def figure(self, column: str) -> Estimate:
        """One of the figures that decide."""
        estimate = self.figures[column]
        assert estimate is not None
        return estimate

    @property
    def flaws(self) -> list[Flag]:
        """The flags for which it is never called a win."""
        estimates = (estimate for estimate in self.figures.values() if estimate)
        return list(dict.fromkeys(flaw for estimate in estimates for flaw in estimate.flaws))


@dataclass(frozen=True)
class Choice:
    """What was found on one device: candidates, the best first; the first that is within the budget
    is chosen.
    """

    asked: Asked
    setup: str
    accuracies: Accuracies
    candidates: Sequence[Candidate]
    measured: Sequence[Configuration]
    """All that was measured there, with all that decides or not."""
    others: dict[str, int]
    """Other devices and settings that records would fit, with how many networks they have."""

    @property
    def shown(self) -> list[Candidate]:
        """Those within the budget and those on the frontier."""
        return [each for each in self.candidates if each.within != BEYOND or each.is_on_frontier]

    @property
    def within(self) -> list[Candidate]:
        """Those within the budget, by their figures."""
        return [each for each in self.candidates if each.within != BEYOND]

    @property
    def chosen(self) -> Candidate | None:
        """The best within the budget; None where nothing is."""
        return self.within[0] if self.within else None

    @property
    def tied(self) -> list[Candidate]:
        """Those within the budget that cannot be told from the chosen one."""
        best = self.asked.best
        return [
            each
            for each in self.within[1:]
            if self.chosen and not differ(each.figure(best), self.chosen.figure(best))
        ]

    @property
    def runner_up(self) -> Candidate | None:
        """The best of those within the budget that are not tied; None where there is none."""
        tied = self.tied
        return next((each for each in self.within[1:] if each not in tied), None)


def choose(records: Iterable[Record], asked: Asked, accuracies: Accuracies) -> Choice | None:
    """Choose a network by the records of the device with most of them, then the newest; None where
    no record fits what is asked.
    """
    groups = _groups(records, asked)
    if not groups:
        return None
    (setup, found), *rest = groups
    named = _names(found, asked)
    ranges = Ranges(found, accuracies)
    figures = [{column: ranges.figure(each, column) for column in asked.columns} for each in found]
    on_frontier = frontier(figures, asked.columns)
    candidates = [
        Candidate(name, each, its, _within(its, asked.bounds), is_best)
        for name, each, its, is_best in zip(named, found, figures, on_frontier, strict=True)
        if all(its.values())
    ]
    others = {title: len(group) for title, group in rest}
    return Choice(asked, setup, accuracies, _ranked(candidates, asked), found, others)


def _groups(records: Iterable[Record], asked: Asked) -> list[tuple[str, list[Configuration]]]:
    """What was measured of single images on each device, that with most networks first, then the
    newest.
    """
    free = {"engine", ENGINE_VERSION} if asked.engine == ANY else set()
    free |= {"precision"} if asked.precision == ANY else set()
    shared = [f"any {name}" for name in ("engine", "precision") if name in free]
    fitting = (record for record in records if _is_asked_for(record, asked))
    groups = {
        ", ".join((title, *shared)): _newest(configurations(group))
        for title, group in setups(fitting, ignore=free).items()
    }
    return sorted(groups.items(), key=lambda group: _rank(group[1]), reverse=True)


def _newest(found: Sequence[Configuration]) -> list[Configuration]:
    """Of each network in each engine and precision that of the newest version of the engine."""
    by_time = sorted(found, key=lambda each: each.newest.time_utc)
    newest = {(each.spec, where(each.newest)): each for each in by_time}
    return [each for each in found if newest[each.spec, where(each.newest)] is each]


def _rank(found: Sequence[Configuration]) -> tuple[int, str]:
    """How many networks a device has, and when the newest of them was measured."""
    return len(found), max(each.newest.time_utc for each in found)


def _is_asked_for(record: Record, asked: Asked) -> bool:
    settings, spec = record.settings, record.spec
    if settings is None or record.status != Status.OK or where(record) == COUNTED_ONLY:
        return False
    device = str(record.environment.get("device_name") or settings.device)
    return (
        (spec.batch, spec.mode) == (1, "infer")
        and asked.engine in (ANY, settings.engine)
        and asked.precision in (ANY, settings.precision)
        and asked.device.casefold() in device.casefold()
    )


def _names(found: Sequence[Configuration], asked: Asked) -> list[str]:
    """Short names; with what ran them, where that may differ."""
    named = short_names(each.spec for each in found)
    if not asked.is_of_several:
        return [named[each.spec] for each in found]
    ran = [each.newest.settings for each in found]
    return [
        f"{named[each.spec]}, {settings.engine} {settings.precision}"
        if settings
        else named[each.spec]
        for each, settings in zip(found, ran, strict=True)
    ]


def _within(figures: Figures, bounds: Iterable[Condition]) -> str:
    """Whether figures are within bounds: by their values, and by all of their ranges."""
    standing = WITHIN
    for bound in bounds:
        estimate = figures[bound.column]
        if estimate is None or not bound.holds({bound.column: estimate.value}):
            return BEYOND
        ends = estimate.interval or (estimate.value,)
        if not all(bound.holds({bound.column: end}) for end in ends):
            standing = PERHAPS
    return standing


def _ranked(candidates: Iterable[Candidate], asked: Asked) -> list[Candidate]:
    """The best first; of those with the same figure the one with the better next one."""

    def compare(left: Candidate, right: Candidate) -> int:
        for column in asked.columns:
            ours, theirs = left.figure(column), right.figure(column)
            if ours.value != theirs.value:
                return -1 if better(ours, theirs, column) else 1
        return -1 if in_order(left.name) < in_order(right.name) else 1

    return sorted(candidates, key=cmp_to_key(compare))
