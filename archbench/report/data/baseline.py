"""Figures against those of one configuration, the baseline: how many times as much, and whether
that is a difference at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from archbench.quantities import COUNTED, FIGURES
from archbench.reasons import Flag, Status
from archbench.records import Record
from archbench.report.data.comparable import conditions, differing
from archbench.report.data.configurations import REPEATABLE, Configuration, configurations
from archbench.report.data.names import folded, short_name, short_names, wrap_name
from archbench.report.data.rows import heading, in_base_units, merged
from archbench.report.data.selection import ordered
from archbench.report.data.statistics import Interval, ratio_interval
from archbench.report.tables.compare import Layout, grouped, name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table
from archbench.spec import UsageError

DEFAULT_COLUMNS = ("params", "macs", "latency_ms")
FORCED = "!"
SHORTEST_ID = 6
RULE = (
    "x: times the baseline's. less, more: the ranges (of the processes' medians, or the 95 % "
    "interval of the only one's) do not "
    f"overlap and the ratio is beyond {100 * REPEATABLE:.0f} %; else alike."
)


@dataclass(frozen=True)
class Ratio:
    """A figure of one configuration over that of another, with the range that both ranges allow
    (None: one has no range).
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
        if not certain or (abs(self.value - 1) <= REPEATABLE and not self.is_counted):
            return "alike" if self.interval else "?"
        return "more" if self.value > 1 else "less"


def ratio(configuration: Configuration, other: Configuration, word: str) -> Ratio | None:
    """The figure of one configuration over that of another; None where either has none above 0."""
    left, right = configuration.estimate(word), other.estimate(word)
    if left is None or right is None or left.value <= 0 or right.value <= 0:
        return None
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
        against = (
            obstacles(configuration, base, word)
            if word not in COUNTED or word == "activation_peak_bytes"
            else []
        )
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
    """Find the configurations that a name (vovnet39+refinedet320) or the beginning of a record_id
    stands for, or raise UsageError.
    """
    candidates = [each for each in configurations(records) if each.status == Status.OK]
    by_id = [
        candidate
        for candidate in candidates
        if len(name) >= SHORTEST_ID
        and any(record.record_id.startswith(name) for record in candidate.records)
    ]
    named = short_names(candidate.spec for candidate in candidates)
    spellings = (
        lambda spec: named[spec],
        short_name,
        lambda spec: f"{spec.backbone} {spec.detector or ''}",
        lambda spec: spec.backbone,
    )
    chosen = by_id or next(
        filter(
            None,
            (
                [
                    candidate
                    for candidate in candidates
                    if folded(spell(candidate.spec)) == folded(name)
                ]
                for spell in spellings
            ),
        ),
        [],
    )
    specs = dict.fromkeys(candidate.spec for candidate in chosen)
    if not specs:
        there = "; ".join(list(dict.fromkeys(named.values()))[:4]) or "none that ended well"
        raise UsageError(
            f"no record is called {name!r}: --baseline takes a record_id or a network, of which "
            f"there are {there}"
        )
    if len(specs) > 1:
        raise UsageError(
            f"--baseline {name} may be {'; '.join(named[spec] for spec in specs)}: say which"
        )
    return Baseline(named[next(iter(specs))], chosen, is_forced)


def ratio_tables(records: Sequence[Record], baseline: Baseline, layout: Layout) -> list[Table]:
    """Give records as tables of ratios to the baseline, one for each setup.

    Raises UsageError, naming what differs, where nothing may be compared and it is not forced.
    """
    words = layout.columns or DEFAULT_COLUMNS
    wrong = [word for word in words if word not in FIGURES]
    if wrong:
        raise UsageError(f"--baseline needs figures, and {', '.join(wrong)} is none")
    shown = ordered(configurations(records), layout.sort, merged)
    refused = [
        baseline.against_any(configuration, words)
        for configuration in shown
        if configuration.status == Status.OK and not baseline.has(configuration)
    ]
    if refused and all(refused) and not baseline.is_forced:
        keys = "; ".join(dict.fromkeys(key for keys in refused for key in keys))
        raise UsageError(
            f"nothing is comparable with {baseline.name}, for this differs or is flagged: {keys}; "
            "--force shows it, marked"
        )
    drawn = [
        _table(title, group, baseline, words, layout.width)
        for title, group in grouped(shown, layout.group).items()
    ]
    drawn = drawn[:-1] + [replace(table, notes=[*table.notes, RULE]) for table in drawn[-1:]]
    return [
        part for table in drawn for part in (table.split(layout.width) if layout.width else [table])
    ]


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


def _table(
    title: str,
    configurations: Sequence[Configuration],
    baseline: Baseline,
    words: Sequence[str],
    width: int | None,
) -> Table:
    named = short_names(configuration.spec for configuration in configurations)
    columns = [column for word in words for column in _columns(word)]
    cells = [
        [cell for word in words for cell in _cells(configuration, word, baseline)]
        for configuration in configurations
    ]
    left = name_width(columns, cells, width)
    lines = [
        line
        for configuration, row in zip(configurations, cells, strict=True)
        for line in named_lines(wrap_name(named[configuration.spec], left), row)
    ]
    refused = {
        named[configuration.spec]: baseline.against_any(configuration, words)
        for configuration in configurations
        if not baseline.has(configuration)
    }
    how = f"{FORCED} forced" if baseline.is_forced else "not comparable"
    by_reason: dict[str, list[str]] = {}
    for name, against in refused.items():
        by_reason.setdefault(", ".join(against), []).append(name)
    notes = [f"{how}, {reason}: {'; '.join(who)}" for reason, who in by_reason.items() if reason]
    return Table(
        [Column(f"network, against\n  {baseline.name}", "left"), *columns],
        lines,
        title=title,
        notes=notes,
    )


def _columns(word: str) -> list[Column]:
    if word in COUNTED:
        return [Column(f"{heading(word)}\nx")]
    return [Column(heading(word)), Column("x"), Column("range", "left")]


def _cells(configuration: Configuration, word: str, baseline: Baseline) -> list[str]:
    estimate = configuration.estimate(word)
    times, against = baseline.against(configuration, word)
    mark = FORCED if against and not baseline.has(configuration) else ""
    text = f"{times.value:.3f}{mark}" if times else MISSING
    if word in COUNTED:
        return [text]
    shown = in_base_units(estimate.value if estimate else None)
    if baseline.has(configuration):
        return [shown, "1", "baseline"]
    span = f"{times.interval[0]:.2f}-{times.interval[1]:.2f}" if times and times.interval else ""
    return [shown, text, f"{span} {times.verdict}".strip() if times else ""]
