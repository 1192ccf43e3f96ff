"""A paper's table as printed, ours beside each figure: what was counted, and what one device
measured.

Times, memory and energy of the paper belong to its card. What can be held against it from any
device is the order in which the rows lie: the rank agreement below a column is Spearman's rho
between the paper's figures and ours.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archbench.engine_names import EAGER
from archbench.papers import own_rule
from archbench.reasons import Reason
from archbench.report.data.headings import PUBLISHED
from archbench.report.data.reproduction import (
    Cell,
    Line,
    Reproduction,
)
from archbench.report.tables.compare import named_lines
from archbench.report.tables.launching import launch_notes
from archbench.report.tables.table import MISSING, Column, Table

WIDTH = 80
LABEL_WIDTH = 32
APPROXIMATE = "~"
FLAWED = "*"
COLUMNS = (
    "source",
    "label",
    "dataset",
    "backbone",
    "detector",
    "input",
    "options",
    "approximate",
    "not_built",
    "metric",
    "published",
    "ours",
    "ratio",
    "column",
    "missing",
    "device",
    "processes",
    "flags",
    "rho",
    "rho_n",
    "engine",
)


def rows(reproduction: Reproduction) -> list[dict[str, Any]]:
    """Give a row for each published figure, in the paper's units, with ours beside it."""
    data = []
    for line in reproduction.lines:
        for key, cell in line.cells.items():
            estimate, published = cell.estimate, cell.published
            rho, n = reproduction.agreement(key) if cell.column else (None, 0)
            data.append(
                {
                    "source": published.source,
                    "label": published.label,
                    "dataset": published.dataset or None,
                    "backbone": published.backbone or None,
                    "detector": published.detector,
                    "input": published.input or None,
                    "options": published.options or None,
                    "approximate": line.member.approximate or None,
                    "not_built": line.member.why or None,
                    "metric": published.metric,
                    "published": published.value,
                    "ours": cell.ours,
                    "ratio": cell.ratio,
                    "column": cell.column or None,
                    "missing": cell.missing or None,
                    "device": cell.setup or None,
                    "processes": estimate.processes if estimate else None,
                    "flags": ";".join(estimate.flags) or None if estimate else None,
                    "rho": rho,
                    "rho_n": n or None,
                    "engine": reproduction.engine if cell.estimate else None,
                }
            )
    return data


def tables(reproduction: Reproduction, *, width: int | None = WIDTH) -> list[Table]:
    """Give the table for people: ours and the ratio below each row of the paper's figures, then
    what is quoted alone.
    """
    drawn = []
    title = f"{reproduction.suite.name}: {reproduction.suite.title}".rstrip(": ")
    if reproduction.compared:
        compared = _compared(reproduction, title, width)
        drawn += compared.split(width) if width else [compared]
        drawn = [*drawn[:-1], replace(drawn[-1], notes=_notes(reproduction))]
    quoted = [key for key in reproduction.columns if key not in reproduction.compared]
    if quoted:
        lines = [
            row
            for line in reproduction.lines
            for row in named_lines(_label(line.label, width), [_paper(line, key) for key in quoted])
        ]
        heading = (
            "quoted from the paper, no figures of ours yet"
            if reproduction.compared
            else f"{title}; all quoted"
        )
        table = Table([Column("", "left"), *(_column(key) for key in quoted)], lines, title=heading)
        drawn += table.split(width) if width else [table]
    return drawn


def _compared(reproduction: Reproduction, title: str, width: int | None) -> Table:
    """The rows as printed with ours below, and the rank agreement of each column."""
    lines: list[list[str]] = []
    for line in reproduction.lines:
        if not any(key in line.cells for key in reproduction.compared):
            continue
        mark = f" {APPROXIMATE}" if line.member.approximate else ""
        ours = [_ours(line, key) for key in reproduction.compared]
        lines += [[text, *[""] * len(ours)] for text in _label(f"{line.label}{mark}", width)]
        lines += [["  paper", *(_paper(line, key) for key in reproduction.compared)]]
        lines += [["  ours", *ours]] if line.member.spec else [["  not built", *[""] * len(ours)]]
        ratios = [_ratio(line, key) for key in reproduction.compared]
        lines += [["  ours / paper", *ratios]] if any(ratios) else []
        lines.append([])
    agreement = [reproduction.agreement(key) for key in reproduction.compared]
    lines.append(
        ["rank agreement", *(MISSING if rho is None else f"{rho:.2f}" for rho, _ in agreement)]
    )
    lines.append(["  of rows", *(str(n) if n else "" for _, n in agreement)])
    return Table(
        [Column("", "left"), *(_column(key) for key in reproduction.compared)], lines, title=title
    )


def _label(text: str, width: int | None) -> list[str]:
    """A label in lines, where a table is narrow."""
    return textwrap.wrap(text, LABEL_WIDTH, subsequent_indent="  ") if width else [text]


def _column(key: str) -> Column:
    metric, _, dataset = key.partition(" ")
    return Column("\n".join(filter(None, [PUBLISHED.get(metric, metric), dataset])))


def _paper(line: Line, key: str) -> str:
    return f"{line.cells[key].published.value:.10g}" if key in line.cells else ""


def _ours(line: Line, key: str) -> str:
    """Our figure with as many decimals as the paper's and one more, an asterisk where it has a
    flaw.
    """
    cell = line.cells.get(key)
    if cell is None:
        return ""
    if cell.ours is None:
        return MISSING
    decimals = len(f"{cell.published.value:.10g}".partition(".")[2])
    decimals += cell.estimate is not None or decimals > 0
    return f"{cell.ours:.{decimals}f}{FLAWED if cell.flaws else ''}"


def _ratio(line: Line, key: str) -> str:
    ratio = line.cells[key].ratio if key in line.cells else None
    return "" if ratio is None else f"{ratio:.3f}" if ratio < 10 else f"{ratio:.1f}"


def _notes(reproduction: Reproduction) -> list[str]:
    """Where ours are from, what marks mean, what is missing and what would fill it."""
    cells = [cell for line in reproduction.lines for cell in line.cells.values()]
    notes = (
        [
            f"ours: measured on {' and '.join(reproduction.setups)}; the paper's on its own card, "
            "so compare ranks, not times."
        ]
        if reproduction.setups
        else []
    )
    notes += launch_notes(reproduction.timed)
    flagged = dict.fromkeys(flaw for cell in cells for flaw in cell.flaws)
    if flagged:
        ranked = (
            "ranked anyway" if reproduction.with_flawed else "not ranked (--flagged ranks them)"
        )
        notes.append(f"{FLAWED} {', '.join(flagged)}: {ranked}")
    notes += [
        f"{APPROXIMATE} {line.label}: approximate, not ranked: {line.member.approximate}"
        for line in reproduction.lines
        if line.member.approximate
    ]
    notes += _missing(reproduction, cells)
    if reproduction.others:
        elsewhere = "; ".join(
            f"{count} of its networks on {setup}" for setup, count in reproduction.others.items()
        )
        notes.append(
            f"Left out, measured on other devices or settings: {elsewhere}. Choose with --device."
        )
    rules = dict.fromkeys(
        rule.note for rule in (own_rule(cell.published) for cell in cells) if rule
    )
    return [*notes, *rules]


def _missing(reproduction: Reproduction, cells: Sequence[Cell]) -> list[str]:
    """Why figures are missing, and the command that makes those that a record would have."""
    notes = []
    unbuilt: dict[str, list[str]] = {}
    for line in reproduction.lines:
        if line.member.spec is None:
            why = line.member.kind_of_why or line.member.why
            unbuilt.setdefault(why, []).append(line.label)
    notes += [f"not built, {why}: {'; '.join(who)}" for why, who in unbuilt.items()]
    reasons: dict[Reason, dict[str, None]] = {}
    for cell in cells:
        if cell.missing and cell.missing != Reason.NOT_BUILT:
            reasons.setdefault(cell.missing, {})[
                PUBLISHED[cell.published.metric].replace("\n", " ")
            ] = None
    if reasons.pop(Reason.PROCEDURE, None):
        notes.append(
            "Rows that take several passes per image (multi-scale, several crops) have counts of "
            "one pass of the network."
        )
    counts, times = reasons.pop(Reason.NOT_COUNTED, {}), reasons.pop(Reason.NOT_MEASURED, {})
    if counts:
        notes.append(
            "Some rows have no counts: --count counts them now, archbench sweep "
            f"{reproduction.suite.name} records them."
        )
    if times:
        engine = "" if reproduction.engine == EAGER else f" --engine {reproduction.engine}"
        notes.append(
            f"Some rows have no measurements: archbench sweep {reproduction.suite.name}{engine} "
            "measures them."
        )
    return notes + [
        f"{reason.text} ({reason}): {', '.join(words)}" for reason, words in reasons.items()
    ]
