"""Networks across settings that are asked to differ, such as the engine: which of them is best for
each network, and which cannot be told apart. All else is alike, as in any other table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, fsum, log
from typing import Any, Literal

from archbench.engine_names import place_of
from archbench.reasons import Flag, Status
from archbench.records import Record
from archbench.report.data.comparable import (
    DEFINING,
    ENGINE_VERSION,
    conditions,
    setups,
    version_of,
)
from archbench.report.data.configurations import Configuration, Estimate
from archbench.report.data.ties import Ranges, is_more_better
from archbench.settings import DEFAULT, PRECISIONS, SETTINGS
from archbench.spec import Spec, UsageError
from archbench.spelling import did_you_mean

Standing = Literal["best", "tie", ""]
ENGINE = "engine"
TIE = 0.05
"""How far apart two figures are a tie, unless the ranges of several processes part them."""
OF_DEVICE = {"device", *(name for name, declared in DEFINING.items() if declared.cuda_only)}
"""What a job that ended early does not know."""
NOT_COMPARED = Flag.ENGINE_DIFFERS
"""The flag of a figure of something else than the network."""


@dataclass(frozen=True)
class Row:
    """One network: its figure in each column that has a configuration of it."""

    spec: Spec
    word: str
    """The figure."""
    configurations: Mapping[str, Configuration]
    ranges: Ranges

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The figures that there are, by column."""
        found = {
            column: self.ranges.figure(each, self.word)
            for column, each in self.configurations.items()
            if each.status == Status.OK
        }
        return {column: estimate for column, estimate in found.items() if estimate}

    @cached_property
    def ranked(self) -> dict[str, Estimate]:
        """Those that may be set against one another."""
        return {
            column: estimate
            for column, estimate in self.estimates.items()
            if NOT_COMPARED not in estimate.flags and estimate.value > 0
        }

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """How each column stands: the best one, one of those that tie for it, or neither."""
        if len(self.ranked) < 2:
            return {}
        choose = max if is_more_better(self.word) else min
        best = choose(self.ranked, key=lambda column: self.ranked[column].value)
        level = [
            column
            for column, estimate in self.ranked.items()
            if column == best or not are_parted(estimate, self.ranked[best])
        ]
        standing: Standing = "tie" if len(level) > 1 else "best"
        return dict.fromkeys(level, standing)

    def ratio(self, column: str, reference: str) -> float | None:
        """A column's figure over that of another; None where either may not be compared."""
        if column not in self.ranked or reference not in self.ranked:
            return None
        return self.ranked[column].value / self.ranked[reference].value


@dataclass(frozen=True)
class Across:
    """Networks that were measured alike but for the settings asked for, and a column for each of
    their values.
    """

    setup: str
    columns: Sequence[str]
    rows: Sequence[Row]
    is_of_whole: bool
    """Whether its figure is the time of the whole call."""

    @property
    def reference(self) -> str:
        """The column that ratios are to: eager and the defaults where they are there."""
        return self.columns[0]

    def mean_ratio(self, column: str) -> tuple[float, int] | None:
        """The geometric mean of a column's ratios to the reference, and over how many networks;
        None where no network has both.
        """
        ratios = [
            ratio for row in self.rows if (ratio := row.ratio(column, self.reference)) is not None
        ]
        return (exp(fsum(map(log, ratios)) / len(ratios)), len(ratios)) if ratios else None


def settings_named(text: str) -> list[str]:
    """The settings that are meant to differ, as they are written: engine,precision."""
    names = [name.strip() for name in text.split(",") if name.strip()] or [text]
    for name in names:
        if name not in DEFINING:
            choices = f"choose from {', '.join(DEFINING)}"
            raise UsageError(f"invalid --across {name!r} ({did_you_mean(name, DEFINING, choices)})")
    return list(dict.fromkeys(names))


def across(
    configurations: Iterable[Configuration], settings: Sequence[str], word: str = ""
) -> list[Across]:
    """Set each network's figure across settings, one table for each setup without them in which
    they differ; no word: the time of the whole call.
    """
    there = [each for each in configurations if each.newest.settings]
    ended = {each.newest.record_id: each for each in there if each.status == Status.OK}
    failed = [each for each in there if each.status != Status.OK]
    ignored = {*settings, *({ENGINE_VERSION} if ENGINE in settings else ())}
    groups = setups((each.newest for each in ended.values()), ignore=ignored)
    tables = []
    for title, records in groups.items():
        group = [ended[record.record_id] for record in records]
        beside = [each for each in failed if _belongs(each.newest, records[0], ignored)]
        tables.append(_across(title, [*beside, *group], settings, word))
    return [table for table in tables if len(table.columns) > 1]


def _belongs(record: Record, other: Record, ignored: Collection[str]) -> bool:
    """Whether a job that did not end well was one of another record's setup, by what it knew of its
    own.
    """
    known, there = conditions(record), conditions(other)
    unknown = set() if "device_name" in record.environment else OF_DEVICE
    return all(
        text == there.get(key)
        for key, text in known.items()
        if text and key not in ignored and key not in unknown
    )


def are_parted(left: Estimate, right: Estimate) -> bool:
    """Whether two figures can be told apart: within 5 % by the ranges of several processes alone,
    beyond it unless their ranges overlap.
    """
    low, high = sorted((left.value, right.value))
    overlap = (
        left.interval is not None
        and right.interval is not None
        and left.interval[0] <= right.interval[1]
        and right.interval[0] <= left.interval[1]
    )
    if high > low * (1 + TIE):
        return not overlap
    return not overlap and min(left.processes, right.processes) > 1


def why_not(configuration: Configuration) -> str:
    """Why a job has no figure, as a code."""
    reason = configuration.newest.reason
    return reason.code if reason else configuration.status


def whole_word(configurations: Iterable[Configuration]) -> str:
    """The time of the whole call, which is the forward pass where nothing is postprocessed."""
    ended = [each for each in configurations if each.status == Status.OK]
    return "total_ms" if all(each.estimate("total_ms") for each in ended) else "latency_ms"


def _across(
    setup: str, group: Sequence[Configuration], settings: Sequence[str], word: str
) -> Across:
    labels = _labels(group, settings)
    cells: dict[Spec, dict[str, Configuration]] = {}
    for each in sorted(group, key=lambda each: (each.status == Status.OK, each.newest.time_utc)):
        cells.setdefault(each.spec, {})[labels[id(each)]] = each
    ranges = Ranges(group)
    rows = [
        Row(each.spec, word or whole_word(cells[each.spec].values()), cells[each.spec], ranges)
        for each in {each.spec: each for each in group}.values()
    ]
    order = {labels[id(each)]: _place(each, settings) for each in group}
    columns = sorted(order, key=lambda label: (order[label], label))
    return Across(setup, columns, sorted(rows, key=_best_first), is_of_whole=not word)


def _place(configuration: Configuration, settings: Sequence[str]) -> tuple[Any, ...]:
    """Where a column stands: by its engine and precision in their order, a setting's default
    first.
    """
    there = configuration.newest.settings or DEFAULT
    changed = (getattr(there, name) != getattr(DEFAULT, name) for name in settings)
    return place_of(there.engine), PRECISIONS.index(there.precision), *changed


def _labels(group: Sequence[Configuration], settings: Collection[str]) -> dict[int, str]:
    """A column's name for each configuration: the values of the settings, and the version of an
    engine of which there are several.
    """
    versions: dict[str, set[str]] = {}
    for each in group:
        if _version(each):
            versions.setdefault(each.engine, set()).add(_version(each))
    return {
        id(each): " ".join(
            [
                *_told(each, settings),
                *([_version(each)] if len(versions.get(each.engine, ())) > 1 else []),
            ]
        )
        for each in group
    }


def _told(configuration: Configuration, settings: Collection[str]) -> list[str]:
    """The values of settings in a heading; a switch that is off needs none beside others."""
    values = {name: getattr(configuration.newest.settings, name) for name in settings}
    told = {name: value for name, value in values.items() if value is not False} or values
    return [SETTINGS[name].tell(value) for name, value in told.items()]


def _version(configuration: Configuration) -> str:
    return version_of(configuration.newest.environment, parts=2).rpartition(" ")[2]


def _best_first(row: Row) -> tuple[bool, float]:
    sign = -1 if is_more_better(row.word) else 1
    values = [sign * estimate.value for estimate in row.estimates.values()]
    return not values, min(values, default=0.0)
