"""What explains measured figures, as rows and as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archbench.quantities import QUANTITIES
from archbench.report.data.explains import Explanation
from archbench.report.tables.table import MISSING, Column, Table

COLUMNS = (
    "place",
    "mode",
    "batch",
    "measured",
    "counted",
    "rho",
    "rho_lo",
    "rho_hi",
    "best",
    "n",
    "engine",
)
RULE = (
    "rho: Spearman's rank correlation (1: the same order, 0: no relation), its 95 % confidence "
    "interval, and the share of 1,000 resamples of the networks in which the figure is the best "
    "of these. Which explains best is settled only if one of them nearly always wins."
)


def rows(explained: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Give a row for each correlation."""
    return [
        {
            "place": explanation.setup,
            "mode": explanation.mode,
            "batch": explanation.batch,
            "measured": explanation.measured,
            "counted": name,
            "rho": correlation.rho,
            "rho_lo": correlation.interval[0] if correlation.interval else None,
            "rho_hi": correlation.interval[1] if correlation.interval else None,
            "best": correlation.best,
            "n": explanation.n,
            "engine": explanation.engine,
        }
        for explanation in explained
        for name, correlation in explanation.counted.items()
    ]


def tables(explained: Sequence[Explanation]) -> list[Table]:
    """Give a table for each measured figure of a setup, the best explanation first."""
    drawn = [_table(explanation) for explanation in explained]
    return [
        Table(table.columns, table.rows, table.title, [RULE] if table is drawn[-1] else ())
        for table in drawn
    ]


def _table(explanation: Explanation) -> Table:
    ranked = sorted(
        explanation.counted.items(),
        key=lambda item: -(item[1].rho if item[1].rho is not None else -2),
    )
    lines = [
        [
            QUANTITIES[name].title,
            MISSING if correlation.rho is None else f"{correlation.rho:.2f}",
            f"{correlation.interval[0]:.2f} - {correlation.interval[1]:.2f}"
            if correlation.interval
            else "",
            MISSING if correlation.best is None else f"{100 * correlation.best:.0f} %",
        ]
        for name, correlation in ranked
    ]
    steps = "training steps, " if explanation.mode == "train" else ""
    call = f"{steps}batch {explanation.batch}"
    measured = QUANTITIES[explanation.measured].heading
    heading = f"what explains {measured}\nof {explanation.n} networks, {call}"
    return Table(
        [Column(heading, "left"), Column("rho"), Column("95 % interval"), Column("best in")],
        lines,
        title=explanation.setup,
    )
