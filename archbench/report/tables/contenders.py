"""Networks that nobody has measured and that could still win, with what measures them."""

from __future__ import annotations

from archbench.report.data.choice import ACCURACY, Choice
from archbench.report.data.contenders import Contender, Contenders, predicted_words
from archbench.report.data.names import wrap_name
from archbench.report.data.prediction import Prediction
from archbench.report.tables.choice_words import heading_of, scale_of
from archbench.report.tables.compare import name_width, named_lines
from archbench.report.tables.deciding import accuracy_text
from archbench.report.tables.predict import MARK, MARK_NOTE, rounded
from archbench.report.tables.table import MISSING, Column, Table

MOST = 8
"""Networks that a table names."""
TITLE = "not measured here, but could win"


def contender_tables(choice: Choice, found: Contenders, width: int | None) -> list[Table]:
    """Give a table of the most accurate ones, none where no network
    could win.
    """
    if not found.found:
        return []
    shown = found.found[:MOST]
    predicted = predicted_words(choice.asked)
    columns = [Column(heading_of(ACCURACY, choice))]
    for column in predicted:
        heading = f"{heading_of(column, choice)}\n({scale_of(column).unit})"
        columns += [Column(heading), Column("90 % range", "left")]
    cells = [
        [
            accuracy_text(each.accuracy),
            *(cell for column in predicted for cell in _predicted(each, column)),
        ]
        for each in shown
    ]
    left = name_width(columns, cells, width)
    lines = [
        line
        for each, row in zip(shown, cells, strict=True)
        for line in named_lines(wrap_name(each.name, left), row)
    ]
    rest = len(found.found) - len(shown)
    is_any = any(
        isinstance(each.predicted[name], Prediction) for each in shown for name in predicted
    )
    notes = [
        *([f"And {rest} more, which --json lists."] if rest else []),
        *([MARK_NOTE] if is_any else []),
    ]
    whole = Table([Column("network", "left"), *columns], lines, title=TITLE, notes=notes)
    return whole.split(width) if width else [whole]


def _predicted(each: Contender, column: str) -> list[str]:
    """What is predicted, marked as that, and its interval."""
    found = each.predicted[column]
    if not isinstance(found, Prediction):
        return [MISSING, ""]
    low, high = map(rounded, found.interval)
    return [f"{MARK}{rounded(found.value)}", f"{low} to {high}"]


def contender_commands(found: Contenders) -> list[str]:
    """The commands that measure those that the table names."""
    return [each.command for each in found.found[:MOST]]


def ruled_out(found: Contenders) -> list[str]:
    """Say what could win but for what is known without a measurement."""
    said = [
        *([f"{found.predicted_out} by prediction"] if found.predicted_out else []),
        *([f"{found.outdone} with more work than one beyond the budget"] if found.outdone else []),
    ]
    errors = [
        f"Predictions cross-validated on {error.networks} networks of other families: error "
        f"{100 * error.median:.0f} % (median), {100 * error.p90:.0f} % (90th percentile); the "
        f"interval is at most x/÷ {error.factor:.2f}."
        for error in found.errors[-1:]
    ]
    return [*([f"Ruled out unmeasured: {', '.join(said)}."] if said else []), *errors]
