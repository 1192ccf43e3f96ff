"""Predictions that were asked for: each network and figure on each setup, found or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archbench.quantities import QUANTITIES
from archbench.report.data.configurations import Configuration, Estimate
from archbench.report.data.prediction.predictor import Prediction, Refusal
from archbench.report.data.prediction.setup import Networks, SetupPredictor
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
        there = {each.spec: each for each in configurations}
        # Loaded weights are another network's.
        flags = replace(newest.settings, weights=None).flags() if newest.settings else ""
        given += [
            Answer(
                spec,
                setup,
                word,
                predictor.predict(spec, word),
                there[spec].estimate(word) if spec in there else None,
                spec.command() + flags,
            )
            for spec in specs
            for word in predictor.words(spec.mode)
        ]
    return given
