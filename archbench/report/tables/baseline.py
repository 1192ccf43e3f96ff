"""Records as tables of ratios to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archbench.quantities import COUNTED, FIGURES
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.baseline import Baseline
from archbench.report.data.configurations import REPEATABLE, Configuration, configurations
from archbench.report.data.names import short_names, wrap_name
from archbench.report.tables.compare import Layout, grouped, in_layout, name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table
from archbench.report.tables.words import heading, in_base_units
from archbench.spec import UsageError

DEFAULT_COLUMNS = ("params", "macs", "latency_ms")
FORCED = "!"
RULE = (
    "x: times the baseline. less, more: the ranges (of the processes' medians, or a single "
    "process's 95 % confidence interval) do not overlap and the ratio is beyond "
    f"{100 * REPEATABLE:.0f} %; otherwise alike."
)


def ratio_tables(records: Sequence[Record], baseline: Baseline, layout: Layout) -> list[Table]:
    """Give records as tables of ratios to the baseline, one for each setup.

    Raises UsageError, naming what differs, where nothing may be compared and it is not forced.
    """
    words = layout.columns or DEFAULT_COLUMNS
    wrong = [word for word in words if word not in FIGURES]
    if wrong:
        raise UsageError(f"invalid --columns {','.join(wrong)}: --baseline compares figures only")
    shown = in_layout(configurations(records), layout)
    refused = [
        baseline.against_any(configuration, words)
        for configuration in shown
        if configuration.status == Status.OK and not baseline.has(configuration)
    ]
    if refused and all(refused) and not baseline.is_forced:
        keys = "; ".join(dict.fromkeys(key for keys in refused for key in keys))
        raise UsageError(
            f"nothing is comparable with {baseline.name}; differing or flagged: {keys}; --force "
            "compares anyway"
        )
    drawn = [
        _table(title, group, baseline, words, layout.width)
        for title, group in grouped(shown, layout).items()
    ]
    drawn = drawn[:-1] + [replace(table, notes=[*table.notes, RULE]) for table in drawn[-1:]]
    return [
        part for table in drawn for part in (table.split(layout.width) if layout.width else [table])
    ]


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
