"""Which counted figure explains measured time and energy best: the papers' question, asked of all
records of one setup.

Spearman's rank correlation of each counted figure with what was measured, over the configurations
that share device, settings, batch and mode. Networks that are only near a paper's count too: what
is counted of them and what is measured are of one build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archbench.quantities import explaining
from archbench.report.data.configurations import Configuration, measured_setups
from archbench.report.data.statistics import Correlation, correlations

EXPLAINING = explaining()
EXPLAINED = ("latency_ms", "energy_per_image_j")
LEAST_NETWORKS = 3


@dataclass(frozen=True)
class Explanation:
    """How well each counted figure orders one measured one, over `n` networks of a setup."""

    setup: str
    engine: str
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
                    explained.append(
                        Explanation(setup, group[0].engine, mode, batch, word, counted, n)
                    )
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
