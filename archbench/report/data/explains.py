"""Which counted figure explains measured time and energy best: the papers' question, asked of all
records of one place.

Spearman's rank correlation of each counted figure with what was measured, over the configurations
that share device, settings, batch and mode. Networks that are only near a paper's count too: what
is counted of them and what is measured are of one build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from archbench.quantities import QUANTITIES, explaining
from archbench.report.data.configurations import Configuration, measured_places
from archbench.report.data.statistics import Correlation, correlations
from archbench.report.tables.table import MISSING, Column, Table

EXPLAINING = explaining()
EXPLAINED = ("latency_ms", "energy_per_image_j")
LEAST_NETWORKS = 3
COLUMNS = ("place", "mode", "batch", "measured", "counted", "rho", "rho_lo", "rho_hi", "best", "n")
RULE = (
    "rho: Spearman's rank correlation, 1: the same order, 0: none. Its 95 % interval, and in how "
    "many of 1,000 resamples of the networks "
    "the figure is the best of these: which one explains best is settled only where one of them "
    "nearly always is."
)


@dataclass(frozen=True)
class Explanation:
    """How well each counted figure orders one measured one, over `n` networks of a place."""

    place: str
    mode: str
    batch: int
    measured: str
    counted: dict[str, Correlation]
    n: int


def explanations(
    made: Iterable[Configuration], *, device: str = "", with_flawed: bool = False
) -> list[Explanation]:
    """Correlate counts with times and energies, one place, mode and batch after the other; too few
    networks make none.
    """
    found = []
    for place, there in measured_places(made).items():
        if device.casefold() not in place.casefold():
            continue
        groups: dict[tuple[str, int], list[Configuration]] = {}
        for one in there:
            groups.setdefault((one.spec.mode, one.spec.batch), []).append(one)
        for (mode, batch), group in groups.items():
            for word in EXPLAINED:
                counted, n = _explain(group, word, with_flawed=with_flawed)
                if n >= LEAST_NETWORKS:
                    found.append(Explanation(place, mode, batch, word, counted, n))
    return found


def _explain(
    made: Sequence[Configuration], word: str, *, with_flawed: bool
) -> tuple[dict[str, Correlation], int]:
    columns: list[list[float]] = [[] for _ in EXPLAINING]
    target = []
    for one in made:
        measured, counted = one.figure(word), [one.figure(name) for name in EXPLAINING]
        values = [figure.value for figure in counted if figure]
        if measured and len(values) == len(EXPLAINING) and (with_flawed or not measured.flaws):
            target.append(measured.value)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    return dict(zip(EXPLAINING, correlations(columns, target), strict=True)), len(target)


def rows(explained: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Give a row for each correlation."""
    return [
        {
            "place": one.place,
            "mode": one.mode,
            "batch": one.batch,
            "measured": one.measured,
            "counted": name,
            "rho": found.rho,
            "rho_lo": found.interval[0] if found.interval else None,
            "rho_hi": found.interval[1] if found.interval else None,
            "best": found.best,
            "n": one.n,
        }
        for one in explained
        for name, found in one.counted.items()
    ]


def tables(explained: Sequence[Explanation]) -> list[Table]:
    """Give a table for each measured figure of a place, the best explanation first."""
    drawn = [_table(one) for one in explained]
    return [
        Table(table.columns, table.rows, table.title, [RULE] if table is drawn[-1] else ())
        for table in drawn
    ]


def _table(one: Explanation) -> Table:
    ranked = sorted(
        one.counted.items(), key=lambda item: -(item[1].rho if item[1].rho is not None else -2)
    )
    lines = [
        [
            QUANTITIES[name].title,
            MISSING if found.rho is None else f"{found.rho:.2f}",
            f"{found.interval[0]:.2f} - {found.interval[1]:.2f}" if found.interval else "",
            MISSING if found.best is None else f"{100 * found.best:.0f} %",
        ]
        for name, found in ranked
    ]
    call = "training steps" if one.mode == "train" else f"batch {one.batch}"
    heading = f"what explains {QUANTITIES[one.measured].heading}\nof {one.n} networks, {call}"
    return Table(
        [Column(heading, "left"), Column("rho"), Column("95 % interval"), Column("best in")],
        lines,
        title=one.place,
    )
