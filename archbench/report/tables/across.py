"""Networks across settings, as rows and as tables for people: a row a network, a column a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archbench.quantities import QUANTITIES
from archbench.reasons import Status
from archbench.report.data.across import NOT_COMPARED, TIE, Across, Row, why_not
from archbench.report.data.names import short_names, wrap_name
from archbench.report.tables.compare import WIDTH, name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table

COLUMNS = (
    "setup",
    "backbone",
    "detector",
    "input",
    "options",
    "batch",
    "mode",
    "figure",
    "across",
    "value",
    "lo",
    "hi",
    "processes",
    "ratio",
    "ratio_to",
    "standing",
    "status",
    "flags",
)
FLAWED = "*"
MOST_NAMED = 6
"""Of how many figures with one flaw each is named."""
RULE = (
    f"tie: within {100 * TIE:.0f} %, unless the ranges of several processes do not overlap; or "
    "overlapping ranges."
)


def rows(found: Sequence[Across]) -> list[dict[str, Any]]:
    """Give a row for each network in each column, figures in base units."""
    return [
        _plain(table, row, column)
        for table in found
        for row in table.rows
        for column in table.columns
        if column in row.configurations
    ]


def tables(found: Sequence[Across], *, width: int | None = WIDTH) -> list[Table]:
    """Give a table for each setup, no wider than `width`; None leaves names whole."""
    drawn = [part for each in found for part in _table(each, width)]
    return [
        Table(table.columns, table.rows, table.title, [*table.notes, RULE])
        if table is drawn[-1]
        else table
        for table in drawn
    ]


def _plain(table: Across, row: Row, column: str) -> dict[str, Any]:
    configuration, estimate = row.configurations[column], row.estimates.get(column)
    spec = row.spec
    lo, hi = (estimate.interval if estimate else None) or (None, None)
    return {
        "setup": table.setup,
        "backbone": spec.backbone,
        "detector": spec.detector,
        "input": spec.size,
        "options": spec.options_text or None,
        "batch": spec.batch,
        "mode": spec.mode,
        "figure": row.word,
        "across": column,
        "value": estimate.value if estimate else None,
        "lo": lo,
        "hi": hi,
        "processes": estimate.processes if estimate else None,
        "ratio": row.ratio(column, table.reference),
        "ratio_to": table.reference,
        "standing": row.standings.get(column) or None,
        "status": configuration.status,
        "flags": ";".join(estimate.flags) or None if estimate else None,
    }


def _table(found: Across, width: int | None) -> list[Table]:
    names = short_names(row.spec for row in found.rows)
    cells = [[_cell(row, column) for column in found.columns] for row in found.rows]
    columns = [Column(column) for column in found.columns]
    left = name_width(columns, cells, width)
    lines = [
        line
        for row, texts in zip(found.rows, cells, strict=True)
        for line in named_lines(wrap_name(names[row.spec], left), texts)
    ]
    heads = [Column("network", "left"), *columns]
    whole = Table(heads, lines, f"{_figure(found)}, {found.setup}", [*_notes(found)])
    return whole.split(width) if width else [whole]


def _figure(found: Across) -> str:
    """The figure in words; the forward pass is the whole of what has no postprocessing."""
    row = QUANTITIES[found.rows[0].word]
    title = QUANTITIES["total_ms"].title if found.is_of_whole else row.title
    return f"{title} ({row.scale.unit})" if row.scale.unit else title


def _cell(row: Row, column: str) -> str:
    """A figure and how it stands, or how the job ended."""
    if column not in row.configurations:
        return MISSING
    estimate = row.estimates.get(column)
    if estimate is None:
        ended = row.configurations[column]
        return MISSING if ended.status == Status.OK else why_not(ended)
    flawed = FLAWED if estimate.flaws else ""
    shown = QUANTITIES[row.word].show(estimate.value)
    return f"{row.standings.get(column, '')} {shown}{flawed}".lstrip()


def _notes(found: Across) -> Iterator[str]:
    means = [(column, mean) for column in found.columns[1:] if (mean := found.mean_ratio(column))]
    if means:
        told = ", ".join(f"{column} {ratio:.2f} (of {count})" for column, (ratio, count) in means)
        yield f"Relative to {found.reference}, geometric mean over the networks in both: {told}."
    names = short_names(row.spec for row in found.rows)
    forward = [names[row.spec] for row in found.rows if row.word == "latency_ms"]
    if forward and found.is_of_whole:
        yield f"Forward pass only (no postprocessing): {'; '.join(forward)}."
    elsewhere = [
        f"{names[row.spec]} in {column}"
        for row in found.rows
        for column, each in row.configurations.items()
        if each.status == Status.OK and column not in row.estimates and each.estimate(row.word)
    ]
    if elsewhere:
        yield f"Of another card, not compared: {'; '.join(elsewhere)}."
    flags: dict[str, dict[str, None]] = {}
    for row in found.rows:
        for column, estimate in row.estimates.items():
            for flag in estimate.flaws:
                flags.setdefault(flag, {})[f"{names[row.spec]} in {column}"] = None
    count = sum(len(row.estimates) for row in found.rows)
    for name, cells in flags.items():
        told = ", never the best" if name == NOT_COMPARED else ""
        yield f"{FLAWED} {name}{told}: {_which([*cells], count)}"


def _which(cells: Sequence[str], count: int) -> str:
    """Name the cells that share a flaw; of many only how many they are, as they are marked."""
    if len(cells) == count:
        return "all"
    return f"{len(cells)} of {count}" if len(cells) > MOST_NAMED else "; ".join(cells)
