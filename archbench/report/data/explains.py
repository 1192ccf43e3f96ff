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
from archbench.report.data.configurations import Configuration, measured_setups, of_one_card
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
    of_other_cards: int = 0
    """Networks besides, whose figures another card's sensors measured."""


def explanations(
    configurations: Iterable[Configuration], *, device: str = "", with_flawed: bool = False
) -> list[Explanation]:
    """Correlate counts with times and energies, one setup, mode and batch after the other; too few
    networks make none.
    """
    explained: list[Explanation] = []
    for setup, there in measured_setups(configurations).items():
        if device.casefold() not in setup.casefold():
            continue
        groups: dict[tuple[str, int], list[Configuration]] = {}
        for configuration in there:
            spec = configuration.spec
            groups.setdefault((spec.mode, spec.batch), []).append(configuration)
        explained += [
            _explanation(setup, group, word, with_flawed=with_flawed)
            for group in groups.values()
            for word in EXPLAINED
        ]
    return [explanation for explanation in explained if explanation.n >= LEAST_NETWORKS]


def considered(
    configurations: Iterable[Configuration], word: str, *, with_flawed: bool
) -> list[Configuration]:
    """Give the configurations with a sound figure and all that explains it; where the figure holds
    for one card alone, those of the card that has most of them, then the newest.
    """
    return of_one_card(_sound(configurations, word, with_flawed=with_flawed), word)


def _sound(
    configurations: Iterable[Configuration], word: str, *, with_flawed: bool
) -> list[Configuration]:
    return [
        configuration
        for configuration in configurations
        if (measured := configuration.estimate(word))
        and (with_flawed or not measured.flaws)
        and all(map(configuration.estimate, EXPLAINING))
    ]


def _explanation(
    setup: str, configurations: Sequence[Configuration], word: str, *, with_flawed: bool
) -> Explanation:
    """Correlate counts with a figure of configurations that were called alike."""
    spec = configurations[0].spec
    sound = _sound(configurations, word, with_flawed=with_flawed)
    there = of_one_card(sound, word)
    found = correlations([_values(there, name) for name in EXPLAINING], _values(there, word))
    return Explanation(
        setup,
        configurations[0].engine,
        spec.mode,
        spec.batch,
        word,
        dict(zip(EXPLAINING, found, strict=True)),
        len(there),
        len(sound) - len(there),
    )


def _values(configurations: Iterable[Configuration], word: str) -> list[float]:
    estimates = (configuration.estimate(word) for configuration in configurations)
    return [estimate.value for estimate in estimates if estimate]
