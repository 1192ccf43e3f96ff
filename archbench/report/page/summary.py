"""What the page opens on: where it was measured, which networks no other one beats there, and what
holds of the papers' claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archbench.papers.accuracies import DATASET
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.claims import Verdict
from archbench.report.data.configurations import Configuration
from archbench.report.data.counts import network
from archbench.report.data.frontier import frontier
from archbench.report.data.names import short_names
from archbench.report.data.narrowing import called_alike
from archbench.report.data.ties import Ranges, differ
from archbench.report.tables.deciding import (
    AXES,
    NOTES,
    TIED,
    accuracy_text,
    by_whole_time,
    flaw_note,
    metric_of,
    shown,
)
from archbench.report.tables.table import Column, Table

VERDICTS = ("holds", "fails", "undecided")
COUNTS = {"params": "params (M)", "macs": "multiply-adds (G)"}


@dataclass(frozen=True)
class Summary:
    """The tables that a page opens on; no frontier where no network has a time and an accuracy."""

    devices: Table
    frontiers: Sequence[Table]
    claims: Table

    @property
    def dataset(self) -> str:
        """The data set of the accuracies."""
        return DATASET


def summary(
    setups: Mapping[str, Sequence[Record]],
    configurations: Sequence[Configuration],
    verdicts: Sequence[Verdict],
) -> Summary:
    """Sum up records by their setups, their configurations, and verdicts on claims."""
    return Summary(_devices(setups), _frontiers(configurations), _claims(verdicts))


def _devices(setups: Mapping[str, Sequence[Record]]) -> Table:
    columns = [
        Column("device and settings", "left"),
        Column("networks, inference"),
        Column("training"),
        Column("records"),
        Column("failed"),
        Column("made", "left"),
    ]
    rows = [[name, *_totals(records), days(records)] for name, records in setups.items()]
    filled = [
        index for index in range(len(columns)) if index < 2 or any(row[index] for row in rows)
    ]
    return Table([columns[index] for index in filled], [[row[i] for i in filled] for row in rows])


def _totals(records: Sequence[Record]) -> list[str]:
    """The networks by mode, the records and those that failed; empty for none."""
    modes = Counter(mode for _, mode in {(network(r.spec), r.spec.mode) for r in records})
    failed = sum(record.status != Status.OK for record in records)
    counts = (modes["infer"], modes["train"], len(records), failed)
    return [f"{count:,}" if count else "" for count in counts]


def days(records: Iterable[Record]) -> str:
    """The first and the last day on which records were made."""
    known = sorted({record.time_utc[:10] for record in records})
    return f"{known[0]} to {known[-1]}" if len(known) > 1 else known[0]


def _frontiers(configurations: Sequence[Configuration]) -> list[Table]:
    """A table for each frontier of total time and accuracy, of one setup, batch and mode."""
    tables = (_frontier(group) for group in called_alike(by_whole_time(configurations)))
    return [table for table in tables if table]


def _frontier(group: Sequence[Configuration]) -> Table | None:
    ranges = Ranges(group, Accuracies(DATASET))
    figures = [{axis: ranges.figure(each, axis) for axis in AXES} for each in group]
    found = frontier(figures, AXES)
    best = [each for each, is_best in zip(group, found, strict=True) if is_best]
    if not best:
        return None
    names = short_names(each.spec for each in best)
    rows = [[names[each.spec], *_figures(each, ranges)] for each in best]
    for row, (before, each) in zip(rows[1:], pairwise(best), strict=True):
        row[1] += TIED if _is_tied(ranges, before, each) else ""
    both = sum(all(each.values()) for each in figures)
    notes = [
        f"{both} of {len(group)} networks have a total time and a published accuracy.",
        *([NOTES[TIED]] if any(row[1].endswith(TIED) for row in rows) else []),
        *flaw_note(rows),
    ]
    columns = [Column("network", "left"), Column("total (ms)"), Column(metric_of(DATASET))]
    columns += [Column(heading) for heading in COUNTS.values()]
    return Table(columns, rows, title=_title(group[0]), notes=notes)


def _figures(configuration: Configuration, ranges: Ranges) -> list[str]:
    accuracy = ranges.figure(configuration, "accuracy")
    assert accuracy is not None
    counts = [shown(word, configuration, ranges) for word in COUNTS]
    return [shown("total_ms", configuration, ranges), accuracy_text(accuracy.value), *counts]


def _is_tied(ranges: Ranges, left: Configuration, right: Configuration) -> bool:
    before, time = (ranges.figure(each, "total_ms") for each in (left, right))
    return before is not None and time is not None and not differ(before, time)


def _title(configuration: Configuration) -> str:
    spec = configuration.spec
    words = [f"batch {spec.batch}"] if spec.batch != 1 else []
    words += ["training"] if spec.mode == "train" else []
    return ", ".join([configuration.setup, *words])


def _claims(verdicts: Iterable[Verdict]) -> Table:
    """How many claims of each paper hold, fail, are undecided or have no verdict."""
    papers: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        outcome = verdict.outcome if verdict.outcome in VERDICTS else ""
        papers.setdefault(verdict.claim.paper, Counter())[outcome] += 1
    columns = [Column("paper", "left"), Column("hold"), Column("fail"), Column("undecided")]
    columns.append(Column("without a verdict"))
    rows = [
        [paper, *(f"{counts[outcome]}" for outcome in (*VERDICTS, ""))]
        for paper, counts in papers.items()
    ]
    return Table(columns, rows)
