"""The accuracies of networks on one data set: those that papers printed, and a user's own. An
accuracy belongs to exactly one backbone, detector, input and options, in full precision.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TypeAlias

from archbench.files import read_text
from archbench.papers.accuracies import (
    DATASET,
    accuracy_for,
    dataset_named,
    network_named,
    networks_on,
)
from archbench.records import Record
from archbench.spec import Spec, UsageError, origin_of, parse_options, without_hash

FULL_PRECISION = "fp32"
NEEDED = ("value", "dataset")
TAKEN = ("network", "backbone", "detector", "input", "options", *NEEDED)
EXAMPLE = "network, dataset, value and, where not the defaults, input and options"

Key: TypeAlias = tuple[str, str | None, int, int, str]
"""Backbone, detector, width, height and options."""


@dataclass(frozen=True)
class Accuracy:
    """An accuracy, %, or in the unit of the user's own, and who says so."""

    value: float
    source: str


@dataclass(frozen=True)
class Accuracies:
    """The accuracies on one data set; the user's own stand before published ones."""

    dataset: str = DATASET
    own: Mapping[Key, Accuracy] = field(default_factory=dict)

    def of(self, spec: Spec) -> Accuracy | None:
        """The accuracy of a network in full precision; None where nobody says."""
        own = self.own.get(key_of(spec)) or self.own.get(key_of(spec, without_hash(spec.backbone)))
        if own:
            return own
        figure = accuracy_for(spec, self.dataset)
        return Accuracy(figure.value, figure.source) if figure else None

    def of_record(self, record: Record) -> Accuracy | None:
        """The accuracy of a record's network as it ran; None in a reduced precision, where it is
        not known.
        """
        settings = record.settings
        if settings and settings.precision != FULL_PRECISION:
            return None
        return self.of(record.spec)

    def networks(self) -> list[Spec]:
        """The networks of the zoo that have one, measured or not."""
        own = [_resolved(key) for key in self.own if not origin_of(key[0])]
        return list(dict.fromkeys([*own, *networks_on(self.dataset)]))


def accuracies(file: Path | None, dataset: str | None) -> Accuracies:
    """Give the published accuracies on a data set, with those of a user's file, if there is one.

    Without a data set it is that of the file, where it has one alone, or the usual one. Raises
    UsageError for a data set without any accuracy, or a file that cannot be read.
    """
    if file is None:
        return Accuracies(dataset_named(dataset or DATASET))
    rows = _read(file)
    there = list(dict.fromkeys(row["dataset"] for _, row in rows))
    if dataset is None:
        if len(there) > 1 and DATASET not in there:
            raise UsageError(f"{file} covers {', '.join(there)}: choose one with --dataset")
        dataset = there[0] if len(there) == 1 else DATASET
    if dataset not in there:
        raise UsageError(f"{file} has no accuracies on {dataset}, only on {', '.join(there)}")
    own: dict[Key, Accuracy] = {}
    for number, row in rows:
        if row["dataset"] == dataset:
            accuracy = Accuracy(_value(file, number, row["value"]), file.name)
            key = _row_key(file, number, row)
            if own.setdefault(key, accuracy) != accuracy:
                raise UsageError(f"{file}:{number}: the network already has another accuracy")
    return Accuracies(dataset, own)


def _read(file: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a user's file with their lines, by the names of columns in one spelling."""
    lines = read_text(file, "accuracy file").removeprefix("\ufeff").splitlines()
    reader = csv.reader(lines)
    try:
        names = [_spelled(name) for name in next(reader, [])]
        numbered = [(reader.line_num, [*map(str.strip, cells)]) for cells in reader]
    except csv.Error as error:
        raise UsageError(f"accuracy file {file} cannot be read: {error}") from None
    filled = [(number, cells) for number, cells in numbered if any(cells)]
    _check_columns(file, names, is_empty=not filled)
    rows = []
    for number, cells in filled:
        if any(cells[len(names) :]):
            raise UsageError(f"{file}:{number}: more cells than columns; 36,6 is written 36.6")
        row = dict(zip(names, cells, strict=False))
        if not all(map(row.get, NEEDED)):
            raise UsageError(f"{file}:{number}: the value or the data set is missing")
        rows.append((number, row))
    return rows


def _check_columns(file: Path, names: Sequence[str], *, is_empty: bool) -> None:
    """Raise UsageError where a column is missing or there twice, and for a file without a row."""
    lacking = [name for name in NEEDED if name not in names]
    if not {"network", "backbone"} & {*names}:
        lacking.insert(0, "network")
    if lacking or is_empty:
        what = f"has no column {', '.join(lacking)}" if lacking else "has no rows"
        raise UsageError(f"{file} {what} (columns: {EXAMPLE})")
    twice = next((name for name in TAKEN if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"{file} has two columns {twice}: leave one out")


def _spelled(name: str) -> str:
    """A column's name in one spelling: data set, Data_Set and dataset are one."""
    return "".join(filter(str.isalpha, name.casefold()))


def _value(file: Path, number: int, text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise UsageError(f"{file}:{number}: invalid accuracy {text!r}")
    return value


def _row_key(file: Path, number: int, row: Mapping[str, str]) -> Key:
    backbone, detector = row.get("backbone", ""), row.get("detector", "")
    if row.get("network"):
        backbone, _, detector = (part.strip() for part in row["network"].partition("+"))
    try:
        options = parse_options([text for text in row.get("options", "").split(";") if text])
        return key_of(network_named(backbone, detector or None, row.get("input") or None, options))
    except UsageError as error:
        raise UsageError(f"{file}:{number}: {error}") from None


def key_of(spec: Spec, backbone: str = "") -> Key:
    """What tells a network from others for its accuracy: all but classes, batch and mode."""
    return (
        backbone or spec.backbone,
        spec.detector,
        spec.width,
        spec.height,
        spec.options_text,
    )


def _resolved(key: Key) -> Spec:
    """The network of a key of the zoo, with the classes that it was published with."""
    backbone, detector, width, height, options = key
    given = parse_options(options.split(";") if options else [])
    return network_named(backbone, detector, f"{width}x{height}", given)
