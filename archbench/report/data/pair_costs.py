"""What every published pair of backbone and detector costs and how accurate it is, known without
counting anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archbench.papers import Published, figures
from archbench.papers.accuracies import DATASET, accuracy_for, datasets
from archbench.papers.counts import shipped_counts
from archbench.report.data.names import in_order, short_names
from archbench.spec import Spec


@dataclass(frozen=True)
class PairCost:
    """One pair at one input: what it counts to, and its accuracies, each of a data set of its
    own, the usual one first.
    """

    name: str
    spec: Spec
    counts: Mapping[str, int]
    accuracies: tuple[Published, ...]

    def row(self) -> dict[str, Any]:
        """Give it as plain data, in base units."""
        spec = self.spec
        return {
            "network": self.name,
            "backbone": spec.backbone,
            "detector": spec.detector,
            "input": spec.size,
            "classes": spec.classes,
            "options": spec.options_text or None,
            **self.counts,
            "accuracies": [
                {
                    "dataset": figure.dataset,
                    "metric": figure.metric,
                    "value": figure.value,
                    "source": figure.source,
                }
                for figure in self.accuracies
            ],
        }


def pair_costs() -> list[PairCost]:
    """Every published pair that can be built, by name."""
    published = (figure.spec() for figure in figures() if figure.detector)
    specs = list(dict.fromkeys(spec for spec in published if spec))
    named = short_names(specs)
    return [
        PairCost(named[spec], spec, shipped_counts(spec) or {}, _accuracies(spec))
        for spec in sorted(specs, key=lambda spec: in_order(named[spec]))
    ]


def _accuracies(spec: Spec) -> tuple[Published, ...]:
    usual_first = sorted(datasets(), key=lambda name: name != DATASET)
    found = (accuracy_for(spec, name) for name in usual_first)
    return tuple(figure for figure in found if figure)
