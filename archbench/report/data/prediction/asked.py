"""Predictions that were asked for: each network and figure on each setup, found or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archbench.quantities import QUANTITIES
from archbench.report.data.configurations import Configuration, Estimate, of_one_card
from archbench.report.data.prediction.predictor import Prediction, Refusal
from archbench.report.data.prediction.setup import PREDICTED, Networks, SetupPredictor
from archbench.spec import Spec


@dataclass(frozen=True)
class Answer:
    """One figure of one network on one setup, and what measures it there."""

    spec: Spec
    setup: str
    word: str
    found: Prediction | Refusal
    measured: Estimate | None
    """What it was measured to be there, where it was."""
    command: str

    def row(self) -> dict[str, Any]:
        """Give it as plain data, in base units."""
        found = self.found if isinstance(self.found, Prediction) else None
        error = found and found.error
        return {
            "network": str(self.spec),
            "setup": self.setup,
            "figure": self.word,
            "unit": QUANTITIES[self.word].unit,
            "predicted": found and found.value,
            "interval90": found and list(found.interval),
            "fitted_on": found and found.networks,
            "error_median": error and error.median,
            "error_p90": error and error.p90,
            "refused": self.found.why if isinstance(self.found, Refusal) else None,
            "measured": self.measured and self.measured.value,
            "command": self.command,
        }


def answers(
    specs: Sequence[Spec], by_setup: Mapping[str, Sequence[Configuration]], networks: Networks
) -> list[Answer]:
    """Predict every network on every setup, each figure that is measured there."""
    given = []
    for setup, configurations in by_setup.items():
        predictor = SetupPredictor(configurations, networks)
        newest = max((each.newest for each in configurations), key=lambda record: record.time_utc)
        measured = {word: _measured(configurations, word) for word in PREDICTED}
        # Loaded weights are another network's.
        flags = replace(newest.settings, weights=None).flags() if newest.settings else ""
        given += [
            Answer(
                spec,
                setup,
                word,
                predictor.predict(spec, word),
                measured[word].get(spec),
                spec.command() + flags,
            )
            for spec in specs
            for word in predictor.words(spec.mode)
        ]
    return given


def _measured(configurations: Sequence[Configuration], word: str) -> dict[Spec, Estimate | None]:
    """A figure of each network, on the card by which it is predicted."""
    return {each.spec: each.estimate(word) for each in of_one_card(configurations, word)}
