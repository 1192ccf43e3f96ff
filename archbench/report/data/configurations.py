"""Records put together: the repeats of one network under the same conditions, and one figure out of
them with its interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from archbench.engine_names import EAGER
from archbench.quantities import COUNTED, MEASURED, is_of_one_card, time_of
from archbench.reasons import Flag, Reason, Status
from archbench.records import Metric, Record
from archbench.report.data.comparable import COUNTED_ONLY, card_of, flaws, setups
from archbench.report.data.counts import recorded
from archbench.report.data.statistics import Interval, apart
from archbench.spec import Spec

REPEATABLE = 0.03
"""How far the medians of several processes may lie apart, as a share of the middle one."""


@dataclass(frozen=True)
class Estimate:
    """A figure of one configuration: what was counted, or the median of the medians of `processes`.

    `interval` is the range of the processes' medians, or the 95 % interval of the only one's; None
    where it has none.
    """

    value: float
    interval: Interval | None
    processes: int = 0
    flags: tuple[Flag, ...] = ()

    @property
    def is_counted(self) -> bool:
        """Whether it is exact."""
        return not self.processes

    @property
    def flaws(self) -> list[Flag]:
        """The flags for which it is not compared by default."""
        return flaws(self.flags)


@dataclass(frozen=True)
class Configuration:
    """One network as it ended under the same conditions: its records, oldest first, one for each
    process.
    """

    spec: Spec
    setup: str
    records: tuple[Record, ...] = field(repr=False)
    earlier: tuple[Record, ...] = field(default=(), repr=False)
    """Records of earlier versions of archbench or the network, of which no figure is taken."""
    _estimates: dict[str, Estimate | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def newest(self) -> Record:
        """The newest of its records."""
        return self.records[-1]

    @property
    def card(self) -> str:
        """The very card, or machine, that the newest of its records is of."""
        return card_of(self.newest)

    @property
    def engine(self) -> str:
        """What ran the network, or would have; eager where it was only counted."""
        return engine_of(self.newest)

    @property
    def is_eager(self) -> bool:
        """Whether PyTorch ran it operator by operator."""
        return self.engine == EAGER

    @property
    def status(self) -> str:
        """How all of them ended."""
        return self.newest.status

    def estimate(self, name: str) -> Estimate | None:
        """A figure by its word; None where there is none.

        Records with a flaw are taken where there are no others, energy of the newest record's card
        alone.
        """
        if name not in self._estimates:
            self._estimates[name] = self._estimate(name)
        return self._estimates[name]

    def _estimate(self, name: str) -> Estimate | None:
        if name in COUNTED:
            value = self._count(name)
            return None if value is None else Estimate(value, (value, value))
        records = self._sound(name)
        if not records:
            return None
        values = [value for record in records if (value := record.metrics[name].value) is not None]
        warnings = dict.fromkeys(metric_flags(record, name) for record in records)
        flags = dict.fromkeys(flag for each in warnings for flag in each)
        if len(values) == 1:
            return Estimate(values[0], interval_of(records[0], name), 1, tuple(flags))
        if apart(values) > REPEATABLE:
            flags[Flag.NOT_REPEATABLE] = None
        return Estimate(
            _middle(name, records, values), (min(values), max(values)), len(values), tuple(flags)
        )

    def _sound(self, name: str) -> list[Record]:
        """The records whose figure is taken."""
        records = self._having.get(name, [])
        if is_of_one_card(name):
            records = [record for record in records if card_of(record) == self.card]
        return [record for record in records if not flaws(metric_flags(record, name))] or records

    @cached_property
    def _having(self) -> Mapping[str, list[Record]]:
        """The records that have a measured figure, by its word."""
        having: dict[str, list[Record]] = {}
        for record in self.records:
            for name, metric in record.metrics.items():
                if metric.value is not None:
                    having.setdefault(name, []).append(record)
        return having

    def _count(self, name: str) -> float | None:
        """What was counted, of the newest record that has it; repeats mostly share their counts."""
        differing: dict[int, Record] = {}
        for record in reversed(self.records):
            differing.setdefault(id(record.counts), record)
        counts = (recorded(record, name) for record in differing.values())
        return next((value for value in counts if value is not None), None)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags of all its figures."""
        estimates = filter(None, map(self.estimate, MEASURED))
        return tuple(dict.fromkeys(flag for estimate in estimates for flag in estimate.flags))

    def reason(self, name: str) -> Reason:
        """Why a figure is missing: its own reason, how the job ended, or that it was not asked
        for.
        """
        metrics = [record.metrics.get(name) for record in reversed(self.records)]
        own = next((metric.reason for metric in metrics if metric and metric.reason), None)
        if own:
            return own
        return self.newest.reason.code if self.newest.reason else Reason.NOT_ASKED_FOR


def configurations(records: Iterable[Record]) -> list[Configuration]:
    """Put together the records of one network, one ending and the same conditions, in the order of
    their first.

    Of records of several versions of archbench, or of a network whose file has changed under its
    name, the newest version's are taken, since the code that is timed is its own.
    """
    return put_together(setups(records))


def alone(by_setup: Mapping[str, Iterable[Record]]) -> list[Configuration]:
    """Give each record of each setup as a configuration of its own."""
    return [
        Configuration(record.spec, setup, (record,))
        for setup, records in by_setup.items()
        for record in records
    ]


def put_together(by_setup: Mapping[str, Iterable[Record]]) -> list[Configuration]:
    """Put together the records of each setup, as `configurations` does."""
    together = []
    for setup, records in by_setup.items():
        groups: dict[tuple[Spec, str], list[Record]] = {}
        for record in records:
            groups.setdefault((record.spec, record.status), []).append(record)
        together += [
            Configuration(spec, setup, *_by_version(group)) for (spec, _), group in groups.items()
        ]
    return together


def measured_setups(configurations: Iterable[Configuration]) -> dict[str, list[Configuration]]:
    """The configurations that ended well, by setup; those that ran eager first, then that with most
    of them, then the newest.
    """
    by_setup: dict[str, list[Configuration]] = {}
    for configuration in configurations:
        if configuration.setup != COUNTED_ONLY and configuration.status == Status.OK:
            by_setup.setdefault(configuration.setup, []).append(configuration)

    def rank(setup: str) -> tuple[bool, int, str]:
        members = by_setup[setup]
        return (
            members[0].is_eager,
            len(members),
            max(configuration.newest.time_utc for configuration in members),
        )

    return {setup: by_setup[setup] for setup in sorted(by_setup, key=rank, reverse=True)}


def of_one_card(configurations: Iterable[Configuration], word: str) -> list[Configuration]:
    """Give those of which a figure may be set against one another: where it holds for one card
    alone, those of the card that has it of most of them, then the newest.
    """
    every = list(configurations)
    if not is_of_one_card(word):
        return every
    having: dict[str, list[str]] = {}
    for each in every:
        if each.estimate(word):
            having.setdefault(each.card, []).append(each.newest.time_utc)
    if not having:
        return every
    card = max(having, key=lambda card: (len(having[card]), max(having[card])))
    return [each for each in every if each.card == card]


def engine_of(record: Record) -> str:
    """What ran a record's network, or would have; eager where it was only counted."""
    return record.settings.engine if record.settings else EAGER


def interval_of(record: Record, name: str) -> Interval | None:
    """The 95 % interval of a figure's median; what is inverse to a time has its interval from the
    time's.
    """
    metric = record.metrics.get(name)
    if metric is None or metric.value is None:
        return None
    own = _interval(metric)
    time = record.metrics.get(time_of(name))
    times = _interval(time) if time else None
    if own or time is None or time.value is None or times is None or times[0] <= 0:
        return own
    return metric.value * time.value / times[1], metric.value * time.value / times[0]


def metric_flags(record: Record, name: str) -> tuple[Flag, ...]:
    """The flags of a figure and of the time that it is computed from."""
    metrics, time = record.metrics, time_of(name)
    own = metrics[name].flags if name in metrics else ()
    return tuple(dict.fromkeys(own + metrics[time].flags)) if time in metrics else own


def _middle(name: str, records: Sequence[Record], values: list[float]) -> float:
    """The median; of what is computed from a time that of the median time, so that both are of one
    process or of the same two.
    """
    word = time_of(name)
    positive = [time for record in records if word and (time := record.value(word))]
    if len(positive) < len(values):
        return median(values)
    return values[0] * positive[0] / median(positive)


def _interval(metric: Metric) -> Interval | None:
    bounds = (metric.spread or {}).get("ci95")
    return (bounds[0], bounds[1]) if bounds else None


def _by_version(records: list[Record]) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """The records of the newest version, oldest first, and those of the others."""
    by_time = sorted(records, key=lambda record: record.time_utc)
    version = _version(by_time[-1])
    newest = [record for record in by_time if _version(record) == version]
    earlier = [record for record in by_time if _version(record) != version]
    return tuple(newest), tuple(earlier)


def _version(record: Record) -> tuple[str | None, str | None]:
    """Of which code a record's figures are: archbench's, and the network's own."""
    environment = record.environment
    return environment.get("archbench"), environment.get("network_hash")
