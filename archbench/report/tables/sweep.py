"""What a sweep is going to do and what it has found, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from archbench.engine_names import place_of
from archbench.papers.member import Member
from archbench.quantities import QUANTITIES
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.configurations import REPEATABLE
from archbench.report.data.names import short_names, wrap_name
from archbench.report.data.rows import flags_of
from archbench.report.data.statistics import apart
from archbench.report.tables.compare import WIDTH, endings, name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table
from archbench.settings import DEFAULT, PRECISIONS, Settings
from archbench.spec import Spec

NETWORK = Column("network", "left")


class Way(NamedTuple):
    """What a network is measured in."""

    engine: str
    precision: str

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands among others."""
        return (*place_of(self.engine), PRECISIONS.index(self.precision))

    @classmethod
    def of(cls, settings: Settings | None) -> Way:
        """The way that settings name."""
        settings = settings or DEFAULT
        return cls(settings.engine, settings.precision)


def way_names(ways: Sequence[Way]) -> list[str]:
    """Name ways by their engines, and by their precisions where there are several; by nothing where
    all are eager in one.
    """
    tells_precision = len({way.precision for way in ways}) > 1
    if {way.engine for way in ways} <= {DEFAULT.engine} and not tells_precision:
        return ["" for _ in ways]
    return [" ".join(way) if tells_precision else way.engine for way in ways]


@dataclass(frozen=True)
class Share:
    """One network of a sweep in one way: how many jobs it still needs, how many it has, and the
    seconds that they are expected to take.
    """

    spec: Spec
    way: Way
    left: int
    done: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What the processes that measured one network in one way found."""

    spec: Spec
    way: Way
    records: tuple[Record, ...]

    @property
    def times_ms(self) -> list[float]:
        """The median of each process that has one, ascending."""
        return sorted(time for record in self.records if (time := record.time_ms) is not None)

    @property
    def is_of_whole_calls(self) -> bool:
        """Whether these are total times: the network gives final detections."""
        forward = any(record.value("latency_ms") is not None for record in self.records)
        return bool(self.times_ms) and not forward

    @property
    def ok(self) -> int:
        """How many ended well."""
        return sum(record.status == Status.OK for record in self.records)

    @property
    def is_repeatable(self) -> bool:
        """Whether the medians lie within 3 % of one another, as a share of the middle one."""
        return not self.times_ms or apart(self.times_ms) <= REPEATABLE


def outcomes(records: Iterable[Record]) -> list[Outcome]:
    """Group records by network, in the order of their first, and by way."""
    groups: dict[tuple[Spec, Way], list[Record]] = {}
    for record in records:
        groups.setdefault((record.spec, Way.of(record.settings)), []).append(record)
    networks = list(dict.fromkeys(spec for spec, _ in groups))
    ordered = sorted(groups, key=lambda each: (networks.index(each[0]), each[1].place))
    return [Outcome(*each, tuple(groups[each])) for each in ordered]


def plan_table(
    shares: Sequence[Share],
    members: Sequence[Member],
    *,
    title: str,
    notes: Sequence[str],
    width: int | None = WIDTH,
) -> Table:
    """A row for each network and way, names broken to fit a width; notes on the rows that have
    none.
    """
    names = short_names([share.spec for share in shares])
    figures = [
        [str(share.left), str(share.done), duration(share.seconds) if share.left else MISSING]
        for share in shares
    ]
    columns, cells = _with_ways(
        [share.way for share in shares],
        [Column("jobs"), Column("done"), Column("about")],
        figures,
    )
    rows = _rows([names[share.spec] for share in shares], columns, cells, width)
    return Table([NETWORK, *columns], rows, title, [*notes, *rows_notes(members)])


def summary_table(
    ended: Sequence[Outcome], members: Sequence[Member], *, title: str, width: int | None = WIDTH
) -> Table:
    """A row for each network and way: how its processes ended, the median of their medians and
    how far these lie apart.
    """
    names = short_names([outcome.spec for outcome in ended])
    figures = [
        [f"{outcome.ok} of {len(outcome.records)}", *_times(outcome.times_ms)] for outcome in ended
    ]
    has_whole = any(outcome.is_of_whole_calls for outcome in ended)
    columns, cells = _with_ways(
        [outcome.way for outcome in ended],
        [
            Column("ok"),
            Column("time\n(ms)" if has_whole else "forward\n(ms)"),
            Column("min"),
            Column("max"),
        ],
        figures,
    )
    rows = _rows([names[outcome.spec] for outcome in ended], columns, cells, width)
    notes = [*_outcome_notes(ended, names), *rows_notes(members)]
    return Table([NETWORK, *columns], rows, title, notes)


def _outcome_notes(ended: Sequence[Outcome], names: Mapping[Spec, str]) -> Iterator[str]:
    """What is not repeatable, what is flagged, and what did not end well and why."""
    labelled = [
        (measured_in(names[outcome.spec], way), outcome)
        for way, outcome in zip(way_names([each.way for each in ended]), ended, strict=True)
    ]
    if whole := [label for label, outcome in labelled if outcome.is_of_whole_calls]:
        yield f"total time, as the forward pass includes postprocessing: {'; '.join(whole)}"
    shaky = [label for label, outcome in labelled if not outcome.is_repeatable]
    if shaky:
        yield f"not_repeatable, more than {100 * REPEATABLE:.0f} % apart: {'; '.join(shaky)}"
    records = [record for outcome in ended for record in outcome.records]
    flags = Counter(flag for record in records for flag in flags_of(record))
    for flag, count in flags.items():
        yield f"{flag}: {count} of {len(records)} records"
    yield from dict.fromkeys(
        ending
        for label, outcome in labelled
        for ending in endings(outcome.records, {outcome.spec: label})
    )


def measured_in(name: str, way: str) -> str:
    """A network's name, with what it is measured in where that is told."""
    return f"{name}, {way}" if way else name


def _with_ways(
    ways: Sequence[Way], columns: Sequence[Column], cells: Sequence[Sequence[str]]
) -> tuple[list[Column], list[list[str]]]:
    """Columns and cells with the ways before them, where they are told."""
    names = way_names(ways)
    if not any(names):
        return [*columns], [[*row] for row in cells]
    with_way = [[name, *row] for name, row in zip(names, cells, strict=True)]
    return [Column("engine", "left"), *columns], with_way


def counted_table(
    records: Sequence[Record], members: Sequence[Member], *, width: int | None = WIDTH
) -> Table:
    """A row for each network that was counted, in the order of the records."""
    names = short_names([record.spec for record in records])
    cells = [[_shown(record, word) for word in ("params", "macs")] for record in records]
    columns = [Column("params\n(M)"), Column("multiply-\nadds (G)")]
    notes = [*endings(records, names), *rows_notes(members)]
    return Table(
        [NETWORK, *columns],
        _rows([names[record.spec] for record in records], columns, cells, width),
        notes=notes,
    )


def rows_notes(members: Iterable[Member]) -> list[str]:
    """In words, which rows of a suite have no network, and which one that is only near the paper's,
    and why.
    """
    notes: dict[str, dict[str, None]] = {}
    for member in members:
        if member.why:
            notes.setdefault(f"not built, {member.why}", {})[member.label] = None
        if member.approximate:
            notes.setdefault(f"approximate, {member.approximate}", {})[member.label] = None
    return [f"{note}: {'; '.join(labels)}" for note, labels in notes.items()]


def duration(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _times(times_ms: Sequence[float]) -> list[str]:
    return (
        [f"{value:,.2f}" for value in (median(times_ms), times_ms[0], times_ms[-1])]
        if times_ms
        else [MISSING] * 3
    )


def _rows(
    names: Sequence[str],
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    width: int | None,
) -> list[list[str]]:
    """Cells beside names that are broken so that the table fits a width; None leaves names
    whole.
    """
    left = name_width(columns, cells, width)
    return [
        line
        for name, row in zip(names, cells, strict=True)
        for line in named_lines(wrap_name(name, left), row)
    ]


def _shown(record: Record, word: str) -> str:
    value = record.value(word)
    return MISSING if value is None else QUANTITIES[word].show(value)
