"""What networks are predicted to take, as tables: a setup each."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from archbench.quantities import QUANTITIES
from archbench.report.data.names import short_names
from archbench.report.data.prediction import Answer, Prediction, Refusal
from archbench.report.tables.table import MISSING, Column, Table

MARK = "~"
"""What stands before every predicted figure."""
DIGITS = 3
"""The digits that a prediction is shown with: its interval is a tenth of it at the least."""
COLUMNS = (Column("figure", "left"), Column("predicted"), Column("90 % from"), Column("to"))
MARK_NOTE = f"{MARK} predicted, not measured."


def tables(answers: Sequence[Answer]) -> list[Table]:
    """Give a table for each setup; its notes say how far such predictions lie off, what was refused
    and why, and how to measure.
    """
    by_setup: dict[str, list[Answer]] = {}
    for answer in answers:
        by_setup.setdefault(answer.setup, []).append(answer)
    return [_table(setup, group) for setup, group in by_setup.items()]


def _table(setup: str, answers: Sequence[Answer]) -> Table:
    names = short_names([answer.spec for answer in answers])
    is_measured = any(answer.measured for answer in answers)
    columns = [Column("network", "left"), *COLUMNS, *([Column("measured")] if is_measured else [])]
    rows, before = [], ""
    for answer in answers:
        name = names[answer.spec]
        cells = [name if name != before else "", heading(answer.word), *_predicted(answer.found)]
        rows.append([*cells, *([_measured(answer)] if is_measured else [])])
        before = name
    return Table(columns, rows, setup, _notes(answers))


def heading(word: str) -> str:
    """A figure's heading with the unit that people read it in."""
    row = QUANTITIES[word]
    return f"{row.title} ({row.scale.unit})"


def _predicted(found: Prediction | Refusal) -> list[str]:
    if isinstance(found, Refusal):
        return [MISSING] * 3
    return [MARK + rounded(found.value), *map(rounded, found.interval)]


def rounded(value: float) -> str:
    """A figure with the digits that a prediction has."""
    decimals = DIGITS - 1 - floor(log10(value))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def _measured(answer: Answer) -> str:
    return QUANTITIES[answer.word].show(answer.measured.value) if answer.measured else MISSING


def _notes(answers: Sequence[Answer]) -> list[str]:
    names = short_names([answer.spec for answer in answers])
    made = dict.fromkeys(
        _error(QUANTITIES[each.word].title, each.found)
        for each in answers
        if isinstance(each.found, Prediction)
    )
    refused = dict.fromkeys(
        f"{names[each.spec]}, {QUANTITIES[each.word].title}: not predicted, {each.found.why}."
        for each in answers
        if isinstance(each.found, Refusal)
    )
    commands = dict.fromkeys(f"To measure: {each.command}" for each in answers)
    return [*([MARK_NOTE] if made else []), *made, *refused, *commands]


def _error(title: str, found: Prediction) -> str:
    """What a prediction of a figure stands on, in words."""
    error = found.error
    over = f" over {error.networks} of them" if error.networks != found.networks else ""
    return (
        f"{title}: fitted on {found.networks} networks of other families; cross-validated error "
        f"{100 * error.median:.0f} % (median), {100 * error.p90:.0f} % (90th percentile){over}; "
        f"the interval is x/÷ {error.factor:.2f}."
    )
