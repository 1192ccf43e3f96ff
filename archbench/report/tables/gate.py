"""What a gate found: a table of what does not hold, rows, and GitHub's annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from archbench.escaping import visible
from archbench.quantities import QUANTITIES
from archbench.report.data.columns import unit_of
from archbench.report.data.conditions import Condition
from archbench.report.data.configurations import Estimate
from archbench.report.data.gate import Finding, Standing
from archbench.report.data.names import wrap_name
from archbench.report.data.rounding import decimals_of_interval, rounded
from archbench.report.tables.compare import name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table

COLUMNS = (
    "network",
    "command",
    "limit",
    "column",
    "unit",
    "operator",
    "bound",
    "value",
    "lo",
    "hi",
    "flags",
    "standing",
    "why",
)
HEADINGS = [Column("figure", "left"), Column("limit"), Column("is"), Column("", "left")]
EXACT_DIGITS = 12
"""Digits of counts and their limits, which may differ in any of them."""
ENDS_NOTE = "Limits on measured figures apply to the worse end of their ranges."


def passes(finding: Finding, *, allow_missing: bool) -> bool:
    """Whether a finding lets the gate pass."""
    return finding.standing == Standing.HOLDS or (allow_missing and not finding.is_known)


def tables(findings: Sequence[Finding], *, width: int | None) -> list[Table]:
    """Give a table of what does not hold; none where all does."""
    shown = [finding for finding in findings if finding.standing != Standing.HOLDS]
    if not shown:
        return []
    cells = [
        [each.limit.column, limit_text(each), figure_text(each), each.standing.value]
        for each in shown
    ]
    left = name_width(HEADINGS, cells, width)
    lines = [
        line
        for each, row in zip(shown, cells, strict=True)
        for line in named_lines(wrap_name(each.network.name, left), row)
    ]
    notes = [f"{each.network.name}, {each.limit.column}: {each.why}" for each in shown if each.why]
    whole = Table(
        [Column("network", "left"), *HEADINGS],
        lines,
        title=summary(findings),
        notes=[ENDS_NOTE, *dict.fromkeys(notes)],
    )
    return whole.split(width) if width else [whole]


def summary(findings: Sequence[Finding]) -> str:
    """Say in a line how many limits hold, and how the others stand."""
    counts = Counter(finding.standing for finding in findings)
    words = {each: each.value for each in Standing} | {Standing.HOLDS: "hold"}
    parts = [f"{counts[each]} {words[each]}" for each in Standing if counts[each]]
    networks = len({finding.network.name for finding in findings})
    return f"limits: {len(findings)}, networks: {networks}; {', '.join(parts)}"


def rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Give each finding as a row, in base units."""
    return [_row(finding) for finding in findings]


def github_annotations(
    findings: Iterable[Finding], file: Path, *, allow_missing: bool
) -> list[str]:
    """Give GitHub's workflow commands that mark what does not hold: as errors, or as warnings where
    it passes.
    """
    return [
        f"::{'warning' if passes(each, allow_missing=allow_missing) else 'error'} "
        f"file={_property(str(file))},title={_property(f'archbench gate: {each.standing}')}::"
        f"{_escaped(sentence(each))}"
        for each in findings
        if each.standing != Standing.HOLDS
    ]


def sentence(finding: Finding) -> str:
    """Say one finding in a line."""
    why = f" ({finding.why})" if finding.why else ""
    return visible(
        f"{finding.network.name}: {finding.limit.column} is {figure_text(finding)}, limit "
        f"{limit_text(finding)}: {finding.standing}{why}"
    )


def limit_text(finding: Finding) -> str:
    """What the figure must be, in the unit that people read."""
    condition = finding.condition or getattr(finding.limit, "condition", None)
    if not isinstance(condition, Condition) or not isinstance(condition.value, float):
        return MISSING
    row = QUANTITIES[condition.column]
    digits = EXACT_DIGITS if row.group == "counted" else 6
    shown = f"{condition.value * row.scale.factor:,.{digits}g}"
    return f"{condition.operator} {shown} {row.scale.unit}".rstrip()


def figure_text(finding: Finding) -> str:
    """The figure with its range, in the unit that people read."""
    if finding.figure is None:
        return MISSING
    return _text(finding.limit.column, finding.figure)


def _text(column: str, estimate: Estimate) -> str:
    row = QUANTITIES[column]
    unit = f" {row.scale.unit}" if row.scale.unit else ""
    if estimate.is_counted:
        return f"{estimate.value * row.scale.factor:,.{EXACT_DIGITS}g}{unit}"
    factor, interval = row.scale.factor, estimate.interval
    scaled = (interval[0] * factor, interval[1] * factor) if interval else None
    text = rounded(estimate.value * factor, scaled, row.scale)
    if not scaled or scaled[0] == scaled[1]:
        return f"{text}{unit}"
    digits = decimals_of_interval(scaled)
    return f"{text}{unit}, {scaled[0]:,.{digits}f} to {scaled[1]:,.{digits}f}"


def _row(finding: Finding) -> dict[str, Any]:
    condition = finding.condition or getattr(finding.limit, "condition", None)
    figure = finding.figure
    low, high = (figure.interval if figure else None) or (None, None)
    return {
        "network": finding.network.name,
        "command": finding.network.spec.command(),
        "limit": finding.limit.key,
        "column": finding.limit.column,
        "unit": unit_of(finding.limit.column),
        "operator": condition.operator if condition else None,
        "bound": condition.value if condition else None,
        "value": figure.value if figure else None,
        "lo": low,
        "hi": high,
        "flags": ";".join(figure.flags) or None if figure else None,
        "standing": finding.standing.value,
        "why": finding.why or None,
    }


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(visible(text)).replace(":", "%3A").replace(",", "%2C")
