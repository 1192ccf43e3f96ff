"""The verdicts on the papers' claims as rows and as tables for people."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from archbench.reasons import Reason
from archbench.report.data.claims import Verdict
from archbench.report.data.comparable import flaws
from archbench.report.tables.compare import name_width, named_lines
from archbench.report.tables.table import MISSING, Column, Table

PLURAL = {"holds": "hold", "fails": "fail"}
SIGNS = {"more": ">", "less": "<", "equal": "="}
WIDTH = 80
FLAWED = "*"
COLUMNS = (
    "paper",
    "where",
    "claim",
    "device",
    "metric",
    "kind",
    "left",
    "right",
    "direction",
    "reference",
    "tolerance",
    "published",
    "ours",
    "ours_lo",
    "ours_hi",
    "ours_over_published",
    "outcome",
    "reason",
    "figures",
    "of",
    "measured_on",
    "flags",
    "command",
    "engine",
)
RULE = (
    "holds: our whole range is on the paper's side of equality (or of the stated number); fails: "
    "on the other side; undecided: on both. Ranges: 95 % confidence intervals of the medians, or "
    "the medians of several processes; counts are exact."
)


def rows(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Give a row for each claim."""
    return [_row(verdict) for verdict in verdicts]


def _row(verdict: Verdict) -> dict[str, Any]:
    claim, ours = verdict.claim, verdict.ours
    pair = claim.pairs[0] if len(claim.pairs) == 1 else (None, None)
    return {
        "paper": claim.paper,
        "where": claim.where,
        "claim": claim.text,
        "device": claim.device,
        "metric": claim.metric or None,
        "kind": claim.kind,
        "left": str(pair[0]) if pair[0] else None,
        "right": str(pair[1]) if pair[1] else None,
        "direction": claim.direction,
        "reference": claim.reference,
        "tolerance": claim.tolerance if claim.direction == "equal" else None,
        "published": claim.published,
        "ours": ours,
        "ours_lo": verdict.interval[0] if verdict.interval else None,
        "ours_hi": verdict.interval[1] if verdict.interval else None,
        "ours_over_published": ours / claim.published
        if ours is not None and claim.published
        else None,
        "outcome": verdict.outcome,
        "reason": verdict.reason or None,
        "figures": verdict.known,
        "of": verdict.wanted,
        "measured_on": verdict.setup or None,
        "flags": ";".join(verdict.flags) or None,
        "command": verdict.command or None,
        "engine": verdict.engine if verdict.setup else None,
    }


def tables(verdicts: Sequence[Verdict], *, width: int | None = WIDTH) -> list[Table]:
    """Give the claims as tables for people, one for each paper, no wider than `width`; None leaves
    texts whole.
    """
    papers: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        papers.setdefault(verdict.claim.paper, []).append(verdict)
    drawn = [_table(paper, judged, width) for paper, judged in papers.items()]
    return [*drawn[:-1], *(replace(table, notes=[*table.notes, RULE]) for table in drawn[-1:])]


def _table(paper: str, verdicts: Sequence[Verdict], width: int | None) -> Table:
    sources = list(dict.fromkeys(verdict.claim.where for verdict in verdicts))
    ranked = sorted(verdicts, key=lambda verdict: sources.index(verdict.claim.where))
    columns = [Column("paper"), Column("ours"), Column("range"), Column("", "left")]
    cells = [_cells(verdict) for verdict in ranked]
    left = name_width(columns, cells, width)
    lines: list[list[str]] = []
    where = ""
    for verdict, row in zip(ranked, cells, strict=True):
        if verdict.claim.where != where:
            where = verdict.claim.where
            lines += [*([[]] if lines else []), [where, *[""] * len(columns)]]
        text = textwrap.wrap(
            verdict.claim.text,
            left,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        lines += named_lines(text, row)
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    counts = ", ".join(
        f"{count} {PLURAL.get(outcome, outcome) if count > 1 else outcome}"
        for outcome, count in outcomes.items()
    )
    return Table(
        [Column("claim", "left"), *columns],
        lines,
        title=f"{paper}: {counts}",
        notes=_notes(verdicts),
    )


def _cells(verdict: Verdict) -> list[str]:
    """What the paper says, our value, its range, and the verdict."""
    claim = verdict.claim
    if not claim.metric:
        return ["", "", "", verdict.outcome]
    sign = SIGNS[claim.direction]
    near = (
        f" ±{100 * claim.tolerance:.0f} %" if claim.direction == "equal" and claim.tolerance else ""
    )
    paper = (
        f"{claim.published:.3g}{near}"
        if claim.published is not None
        else f"{sign} {claim.reference:g}{near}"
    )
    interval = verdict.interval
    is_wide = interval is not None and interval[1] - interval[0] > 1e-9
    span = f"{_brief(interval[0])} - {_brief(interval[1])}" if interval and is_wide else ""
    some = (
        f" {verdict.known}/{verdict.wanted}"
        if verdict.ours is not None and verdict.known < verdict.wanted
        else ""
    )
    flawed = FLAWED if flaws(verdict.flags) else ""
    return [
        paper,
        MISSING if verdict.ours is None else f"{_brief(verdict.ours)}{flawed}",
        span,
        verdict.outcome + some,
    ]


def _brief(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    """Where figures are from, and for what is not tested the reason and the command."""
    notes = [
        f"measured on {setup}"
        for setup in dict.fromkeys(
            verdict.setup for verdict in verdicts if verdict.ours is not None
        )
        if setup
    ]
    flagged = dict.fromkeys(flag for verdict in verdicts for flag in flaws(verdict.flags))
    notes += [f"{FLAWED} from flagged figures: {', '.join(flagged)}"] if flagged else []
    notes += [*_untested_notes(verdicts), *_lacking_notes(verdicts)]
    valued = [verdict for verdict in verdicts if verdict.ours is not None]
    if any(verdict.known < verdict.wanted for verdict in valued):
        notes.append("n/m: tested on n of the claim's m networks")
    return [*notes, *dict.fromkeys(verdict.claim.note for verdict in valued if verdict.claim.note)]


def _untested_notes(verdicts: Sequence[Verdict]) -> list[str]:
    untested: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome == "not testable":
            why = verdict.claim.kind_of_why or verdict.claim.why
            untested.setdefault(why, []).append(verdict.claim.text)
    return [
        f"not testable, {why}: {len(texts)} claims" if len(texts) > 1 else f"not testable, {why}"
        for why, texts in untested.items()
    ]


def _lacking_notes(verdicts: Sequence[Verdict]) -> list[str]:
    """The commands that make what is missing, and of how many claims."""
    lacking: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        if verdict.command:
            lacking.setdefault(f"{verdict.outcome}{_because(verdict)}", Counter())[
                verdict.command
            ] += 1
    return [
        f"{what}: {'; '.join(f'{command} ({count})' for command, count in commands.items())}"
        for what, commands in lacking.items()
    ]


def _because(verdict: Verdict) -> str:
    """The reason after an outcome, where it says more than that."""
    if not verdict.reason or verdict.reason == Reason.NOT_COUNTED:
        return ""
    return f", {verdict.reason.text if isinstance(verdict.reason, Reason) else verdict.reason}"
