"""Which counted figure explains measured time and energy best: the papers' question, asked of all
records of one setup.

Spearman's rank correlation of each counted figure with what was measured, over the configurations
that share device, settings, batch and mode. Networks that are only near a paper's count too: what
is counted of them and what is measured are of one build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from archbench.quantities import QUANTITIES, explaining
from archbench.report.data.configurations import Configuration, measured_setups
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
    """How well each counted figure orders one measured one, over `n` networks of a setup."""

    setup: str
    mode: str
    batch: int
    measured: str
    counted: dict[str, Correlation]
    n: int


def explanations(
    configurations: Iterable[Configuration], *, device: str = "", with_flawed: bool = False
) -> list[Explanation]:
    """Correlate counts with times and energies, one setup, mode and batch after the other; too few
    networks make none.
    """
    explained = []
    for setup, there in measured_setups(configurations).items():
        if device.casefold() not in setup.casefold():
            continue
        groups: dict[tuple[str, int], list[Configuration]] = {}
        for configuration in there:
            spec = configuration.spec
            groups.setdefault((spec.mode, spec.batch), []).append(configuration)
        for (mode, batch), group in groups.items():
            for word in EXPLAINED:
                counted, n = _explain(group, word, with_flawed=with_flawed)
                if n >= LEAST_NETWORKS:
                    explained.append(Explanation(setup, mode, batch, word, counted, n))
    return explained


def _explain(
    configurations: Sequence[Configuration], word: str, *, with_flawed: bool
) -> tuple[dict[str, Correlation], int]:
    columns: list[list[float]] = [[] for _ in EXPLAINING]
    target = []
    for configuration in configurations:
        measured = configuration.estimate(word)
        counted = [configuration.estimate(name) for name in EXPLAINING]
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
    call = "training steps" if explanation.mode == "train" else f"batch {explanation.batch}"
    measured = QUANTITIES[explanation.measured].heading
    heading = f"what explains {measured}\nof {explanation.n} networks, {call}"
    return Table(
        [Column(heading, "left"), Column("rho"), Column("95 % interval"), Column("best in")],
        lines,
        title=explanation.setup,
    )
