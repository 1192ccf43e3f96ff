"""Figures against those of one configuration, the baseline: how many times as much, and whether
that is a difference at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from archbench.quantities import FIGURES
from archbench.reasons import Flag, Status
from archbench.records import Record
from archbench.report.data.comparable import conditions, differing
from archbench.report.data.configurations import REPEATABLE, Configuration, Estimate, configurations
from archbench.report.data.names import folded, short_name, short_names
from archbench.report.data.statistics import Interval, ratio_interval
from archbench.spec import Spec, UsageError, without_hash

SHORTEST_ID = 6
LAST = "last"
"""What stands for the newest record that ended well."""


@dataclass(frozen=True)
class Ratio:
    """A figure of one configuration over that of another, with the range that both ranges allow
    (None: one has no range, or one that reaches 0).
    """

    value: float
    interval: Interval | None
    flags: tuple[Flag, ...] = ()
    is_counted: bool = False

    @property
    def verdict(self) -> str:
        """less or more where the ranges do not overlap and the ratio is beyond what repeats lie
        apart, else alike.
        """
        certain = self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]
        if not certain:
            return "alike" if self.interval else "?"
        # As far whichever of the two is named first.
        beyond = max(self.value, 1 / self.value) - 1
        if beyond <= REPEATABLE and not self.is_counted:
            return "alike"
        return "more" if self.value > 1 else "less"


def ratio(configuration: Configuration, other: Configuration, word: str) -> Ratio | None:
    """The figure of one configuration over that of another; None where either has none above 0."""
    left, right = configuration.estimate(word), other.estimate(word)
    if left is None or right is None or left.value <= 0 or right.value <= 0:
        return None
    return ratio_of(left, right)


def ratio_of(left: Estimate, right: Estimate) -> Ratio:
    """One figure over another, both above 0."""
    interval = (
        ratio_interval(left.interval, right.interval) if left.interval and right.interval else None
    )
    return Ratio(
        left.value / right.value,
        interval,
        tuple(dict.fromkeys(left.flags + right.flags)),
        left.is_counted,
    )


def obstacles(
    configuration: Configuration, other: Configuration, word: str, *, ignore: Collection[str] = ()
) -> list[str]:
    """In words, why a figure of two configurations is not to be compared: what they differ in, and
    flaws of either.
    """
    both = configuration.estimate(word), other.estimate(word)
    flaws = dict.fromkeys(flaw for estimate in both if estimate for flaw in estimate.flaws)
    return [*differing(configuration.newest, other.newest, word, ignore=ignore), *flaws]


@dataclass(frozen=True)
class Baseline:
    """The configurations that a name stands for, one for each setup that it was measured with;
    `is_forced` compares what differs too.
    """

    name: str
    configurations: Sequence[Configuration]
    is_forced: bool = False

    def has(self, configuration: Configuration) -> bool:
        """Whether a configuration is the baseline itself."""
        return any(configuration.newest in base.records for base in self.configurations)

    def of(self, configuration: Configuration) -> Configuration:
        """The baseline that a configuration is set against: that of its own setup, else the
        newest.
        """
        there = conditions(configuration.newest)
        return max(
            self.configurations,
            key=lambda base: (conditions(base.newest) == there, base.newest.time_utc),
        )

    def against(self, configuration: Configuration, word: str) -> tuple[Ratio | None, list[str]]:
        """A figure's ratio to the baseline's, and what stands against it; no ratio then, unless it
        is forced.
        """
        base = self.of(configuration)
        against = obstacles(configuration, base, word)
        return (
            ratio(configuration, base, word) if self.is_forced or not against else None
        ), against

    def against_any(self, configuration: Configuration, words: Iterable[str]) -> list[str]:
        """What stands against comparing some of the figures that both have."""
        base = self.of(configuration)
        shared = [word for word in words if ratio(configuration, base, word)]
        against = (self.against(configuration, word)[1] for word in shared)
        return list(dict.fromkeys(chain.from_iterable(against)))


def find_baseline(records: Sequence[Record], name: str, *, is_forced: bool = False) -> Baseline:
    """Find the configurations that a name (vovnet39+refinedet320), the beginning of a record_id or
    `LAST` stands for, or raise UsageError.
    """
    candidates = [each for each in configurations(records) if each.status == Status.OK]
    named = short_names(candidate.spec for candidate in candidates)
    chosen = _by_id(candidates, name) or _by_name(candidates, name, named)
    specs = dict.fromkeys(candidate.spec for candidate in chosen)
    if not specs:
        there = "; ".join(list(dict.fromkeys(named.values()))[:4]) or "none that ended well"
        raise UsageError(
            f"unknown baseline {name!r} (a record id, {LAST}, or a network measured here: {there})"
        )
    if len(specs) > 1:
        raise UsageError(f"ambiguous --baseline {name}: {'; '.join(named[spec] for spec in specs)}")
    return Baseline(named[next(iter(specs))], chosen, is_forced)


def _by_id(candidates: Sequence[Configuration], name: str) -> list[Configuration]:
    """That with the record whose id begins so, or with the last; raises UsageError where several
    ids do. A record of an earlier version stands for those of that version.
    """
    versions = chain.from_iterable(map(_versions, candidates))
    by_id = {record.record_id: each for each in versions for record in each.records}
    if name == LAST and candidates:
        return [max(candidates, key=lambda each: each.newest.time_utc)]
    if len(name) < SHORTEST_ID:
        return []
    fitting = [record_id for record_id in by_id if record_id.startswith(name)]
    if len(fitting) > 1 and name not in by_id:
        raise UsageError(f"ambiguous --baseline {name}: {', '.join(fitting)}")
    return [by_id[name if name in by_id else fitting[0]]] if fitting else []


def _versions(configuration: Configuration) -> Iterator[Configuration]:
    """A configuration, and those that its earlier records make."""
    yield configuration
    for before in configurations(configuration.earlier):
        yield from _versions(before)


def _by_name(
    candidates: Sequence[Configuration], name: str, named: Mapping[Spec, str]
) -> list[Configuration]:
    """Those of the network that a name is of, in the first of the spellings that fits any; of a
    user's own code without a hash, the version that was measured last.
    """
    spellings: tuple[Callable[[Spec], str], ...] = (
        named.__getitem__,
        short_name,
        lambda spec: f"{spec.backbone} {spec.detector or ''}",
        lambda spec: spec.backbone,
    )
    for spell in spellings:
        fitting = [each for each in candidates if folded(spell(each.spec)) == folded(name)]
        if fitting:
            return fitting
    for spell in spellings[1:]:
        fitting = [
            each for each in candidates if folded(spell(_any_version(each.spec))) == folded(name)
        ]
        if fitting:
            return _newest_version(fitting)
    return []


def _any_version(spec: Spec) -> Spec:
    """A network of a user's own code, whatever that was."""
    return replace(spec, backbone=without_hash(spec.backbone))


def _newest_version(candidates: Sequence[Configuration]) -> list[Configuration]:
    """Those of the code that was measured last."""
    last = max(candidates, key=lambda candidate: candidate.newest.time_utc)
    return [each for each in candidates if each.spec.backbone == last.spec.backbone]


def ratio_columns(columns: Sequence[str]) -> list[str]:
    """The columns of `against`: those of the figures among some columns, or of all."""
    return [
        "baseline",
        "not_comparable",
        *(f"ratio_{word}" for word in columns or FIGURES if word in FIGURES),
    ]


def against(record: Record, baseline: Baseline, columns: Sequence[str]) -> dict[str, Any]:
    """What a record's row has more with a baseline: its record_id, what is not comparable, and
    ratios.
    """
    (configuration,) = configurations([record])
    words = [word for word in columns or FIGURES if word in FIGURES]
    ratios = {f"ratio_{word}": baseline.against(configuration, word)[0] for word in words}
    return {
        "baseline": baseline.of(configuration).newest.record_id,
        "not_comparable": "; ".join(baseline.against_any(configuration, words)) or None,
        **{name: times.value if times else None for name, times in ratios.items()},
    }
