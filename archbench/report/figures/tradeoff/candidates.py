"""What may be a point of a trade-off: networks that were measured, and rows of the papers'
tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archbench.papers import Published, figures, value_in_our_units
from archbench.quantities import FIGURES, MEASURED
from archbench.reasons import Flag
from archbench.report.data.configurations import Configuration
from archbench.report.data.names import short_names
from archbench.report.data.rows import merged
from archbench.report.figures.columns import ACCURACY, is_accuracy, is_quoted_speed, scale_of
from archbench.report.figures.material import Value, value_of
from archbench.report.tables.deciding import whole_word
from archbench.settings import DEFAULT
from archbench.spec import Spec

NO_GROUP = {"detector": "classifier", "options": "defaults", "flags": "no flags"}
"""What has none of a column."""


@dataclass(frozen=True)
class Candidate:
    """What may be a point: its name, where and how it was called, its two values, its group, and
    what ran it.
    """

    label: str
    x: Value
    y: Value
    group: str
    setup: str = ""
    """That of a paper is the table, whose speeds are of a device of its own."""
    call: str = ""
    dataset: str = ""
    """Of the accuracy, where one of the values is one."""
    proposals: str = ""
    """Their number, where it is not the detector's own."""
    flags: tuple[Flag, ...] = ()
    engine: str = ""
    precision: str = ""
    is_forward: bool = False
    """Whether its total time is that of the forward pass."""


def of_configurations(
    configurations: Sequence[Configuration],
    columns: tuple[str, str],
    group: str,
    *,
    is_whole: bool = False,
) -> list[Candidate]:
    """The configurations that have both values; `is_whole`: the second is total time, which is the
    forward pass of what is not postprocessed.
    """
    named = short_names(configuration.spec for configuration in configurations)
    candidates = []
    for configuration in configurations:
        row = merged(configuration)
        words = (columns[0], whole_word(configuration)) if is_whole else columns
        if any(row[word] is None for word in words):
            continue
        x, y = (_value(configuration, word, row[word]) for word in words)
        spec, settings = configuration.spec, configuration.newest.settings or DEFAULT
        candidates.append(
            Candidate(
                named[spec],
                x,
                y,
                str(row[group]) if row[group] is not None else NO_GROUP.get(group, "none"),
                configuration.setup,
                call_of(spec),
                _dataset(row, words),
                str(dict(spec.options).get("proposals", "")),
                _flags(configuration, words),
                settings.engine,
                settings.precision,
                is_forward=words != columns,
            )
        )
    return candidates


def call_of(spec: Spec) -> str:
    """How a network is called, in words."""
    return f"{'training steps, ' if spec.mode == 'train' else ''}batch {spec.batch}"


def _value(configuration: Configuration, word: str, value: float) -> Value:
    scale = scale_of(word).factor
    return value_of(configuration, word, scale=scale) if word in FIGURES else Value(value * scale)


def _dataset(row: Mapping[str, Any], words: Sequence[str]) -> str:
    """The data set that an accuracy among the values is of; empty where none is one."""
    if ACCURACY in words:
        return str(row["accuracy_dataset"] or "")
    return str(row["published_dataset"] or "") if any(map(is_accuracy, words)) else ""


def _flags(configuration: Configuration, words: Sequence[str]) -> tuple[Flag, ...]:
    """The flags of the measured ones of some figures."""
    estimates = (configuration.estimate(word) for word in words if word in MEASURED)
    return tuple(dict.fromkeys(flag for each in estimates if each for flag in each.flags))


@dataclass(frozen=True)
class _Row:
    """A row of a paper's table: its first figure, and the values of all by our columns."""

    figure: Published
    values: dict[str, float] = field(default_factory=dict)

    @property
    def network(self) -> tuple[str | None, ...]:
        """What it is of, wherever the paper prints it."""
        figure = self.figure
        return figure.paper, figure.backbone, figure.detector, figure.input, figure.options

    def candidate(self, words: Sequence[str], group: str) -> Candidate:
        """Give it as what may be a point."""
        x, y = (Value(self.values[word] * scale_of(word).factor) for word in words)
        source, dataset = self.figure.source, self.figure.dataset
        return Candidate(
            self.figure.label,
            x,
            y,
            group=source if group == "source" else dataset,
            setup=source if any(map(is_quoted_speed, words)) else "",
            dataset=dataset if any(map(is_accuracy, words)) else "",
        )


def of_papers(words: Sequence[str], group: str) -> list[Candidate]:
    """The rows of the papers' tables that have both values; what a paper prints twice stands at its
    first place.
    """
    first: dict[tuple[Any, ...], Candidate] = {}
    for row in _rows():
        if all(word in row.values for word in words):
            printed = (row.network, *(row.values[word] for word in words))
            first.setdefault(printed, row.candidate(words, group))
    return list(first.values())


def _rows() -> Iterable[_Row]:
    rows: dict[tuple[str, ...], _Row] = {}
    for figure in figures():
        word, value = value_in_our_units(figure)
        row = rows.setdefault((*figure.row, figure.input, figure.options), _Row(figure))
        row.values[f"published_{word}"] = value
    return rows.values()
