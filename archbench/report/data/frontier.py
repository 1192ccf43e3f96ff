"""The frontier of networks over two or more figures: those that no other is better than."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archbench.report.data.configurations import Estimate
from archbench.report.data.ties import differ, is_more_better

Figures = Mapping[str, Estimate | None]
"""The figures of one network by their columns."""


def frontier(networks: Sequence[Figures], columns: Sequence[str]) -> list[bool]:
    """Say of each network whether it is on the frontier of some columns; one that lacks a figure is
    not.

    Another one keeps it off where it is nowhere the worse and somewhere the better by more than
    can be mistaken.
    """
    whole = [network for network in networks if _has_all(network, columns)]
    return [
        _has_all(network, columns) and not any(_beats(other, network, columns) for other in whole)
        for network in networks
    ]


def better(left: Estimate, right: Estimate, column: str) -> bool:
    """Whether one figure of a column is, by its value, better than another."""
    return left.value > right.value if is_more_better(column) else left.value < right.value


def _has_all(network: Figures, columns: Sequence[str]) -> bool:
    return all(network.get(column) is not None for column in columns)


def _beats(other: Figures, network: Figures, columns: Sequence[str]) -> bool:
    is_certain = False
    for column in columns:
        ours, theirs = network[column], other[column]
        assert ours is not None
        assert theirs is not None
        if better(ours, theirs, column):
            return False
        is_certain = is_certain or (ours.value != theirs.value and differ(ours, theirs))
    return is_certain
