"""What was counted of networks: out of records, or counted when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import InvalidOperation
from typing import Any

from archbench.papers.published import by_formula, paper_params
from archbench.quantities import completed, is_of_batch
from archbench.records import Record
from archbench.spec import Spec

Count = Callable[[Spec], Mapping[str, Any]]
"""Counts a network that no record has: its figures by our words."""


def recorded(record: Record, name: str) -> float | None:
    """A record's figure by its word; None where it was not found.

    Parameters as a paper counts them are made of the kinds that were counted where a record of an
    earlier version lacks them.
    """
    value, counted = record.value(name), record.counts
    if value is None and name == "paper_params" and "param_kinds" in counted:
        return paper_params(record.spec, {"params": counted["params"], **counted["param_kinds"]})
    return value


def counted_networks(records: Iterable[Record]) -> dict[Spec, Mapping[str, Any]]:
    """Give what was counted of one image of each network, of several records the last's.

    A record of a larger batch says nothing of the bytes that one image takes.
    """
    counted: dict[Spec, Mapping[str, Any]] = {}
    for record in records:
        if record.counted:
            key = network(record.spec)
            is_of_image = record.spec.batch == 1
            counted[key] = (
                record.counts if is_of_image else _merged(record.counts, counted.get(key, {}))
            )
    return counted


def _merged(of_batch: Mapping[str, Any], of_image: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a batch, those that hold for it alone taken from those of one image."""
    return {word: value for word, value in of_batch.items() if not is_of_batch(word)} | {
        word: value for word, value in of_image.items() if is_of_batch(word)
    }


class Counts:
    """The counts of networks, of those that were counted by `network`; `count` counts others,
    without it they are missing.
    """

    def __init__(
        self, counted: Mapping[Spec, Mapping[str, Any]], count: Count | None = None
    ) -> None:
        self._by_network = dict(counted)
        self._count = count
        self._counted: set[Spec] = set()

    def value(self, spec: Spec, word: str, formula: str = "") -> float | None:
        """A counted figure, by a paper's formula if there is one; None where there is none.

        A record of an earlier version may lack it: the network is then counted anew.
        """
        key = network(spec)
        figure = _value(self._by_network.get(key), word, formula)
        if figure is None and self._count and key not in self._counted:
            self._counted.add(key)
            self._by_network[key] = completed(self._count(key))
            figure = _value(self._by_network[key], word, formula)
        return figure


def _value(counted: Mapping[str, Any] | None, word: str, formula: str) -> float | None:
    if counted is None:
        return None
    try:
        figure = (
            by_formula(formula, {"params": counted["params"], **counted["param_kinds"]})
            if formula
            else counted.get(word)
        )
    except (KeyError, InvalidOperation):
        return None
    return None if figure is None else float(figure)


def network(spec: Spec) -> Spec:
    """The network alone: counts are of one image and of the forward pass."""
    return replace(spec, batch=1, mode="infer")
