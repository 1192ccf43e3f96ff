"""The file of a gate: networks with limits, in TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archbench.files import parse_toml, read_text
from archbench.papers.member import resolved
from archbench.papers.suite_file import NETWORK, Table
from archbench.quantities import QUANTITIES
from archbench.report.data.accuracies import FULL_PRECISION
from archbench.report.data.conditions import Condition
from archbench.report.data.names import short_name
from archbench.report.data.narrowing import figure_column
from archbench.report.data.ties import is_more_better
from archbench.report.data.units import value_in
from archbench.settings import PRECISIONS
from archbench.spec import Spec, UsageError

OPERATORS = {"max_": "<=", "min_": ">="}
KNOWN = (*NETWORK, "options", "name", "engine", "precision", "not_above_baseline", "tolerance")
TOLERANCE = 0.05
"""How far beyond the range of the baseline's figure one may be, as a share of it."""
EXAMPLE = '[[network]] with backbone = "snet49" and max_params = "2M"'


@dataclass(frozen=True)
class Limit:
    """What a figure may be at most, or at least."""

    key: str
    """As the file has it: max_total_ms."""
    condition: Condition

    @property
    def column(self) -> str:
        """The figure's column."""
        return self.condition.column


@dataclass(frozen=True)
class Rise:
    """That a figure may not be above the baseline's by more than a share of it, beyond its range;
    below it, where more is better.
    """

    column: str
    tolerance: float

    @property
    def key(self) -> str:
        """What it is called among limits."""
        return f"not_above_baseline {self.column}"


@dataclass(frozen=True)
class Guarded:
    """A network with the limits that it must keep."""

    name: str
    spec: Spec
    engine: str
    precision: str
    limits: tuple[Limit | Rise, ...]

    @property
    def is_measured(self) -> bool:
        """Whether any of its limits is on a figure that is measured."""
        return any(QUANTITIES[limit.column].group == "measured" for limit in self.limits)


@dataclass(frozen=True)
class Gate:
    """The networks of a file, and the folder of records that some are held against."""

    file: Path
    networks: tuple[Guarded, ...]
    baseline: Path | None = None


def read_gate(file: Path) -> Gate:
    """Read a gate's file; raises UsageError, with the place in it, for what cannot be."""
    try:
        data = parse_toml(read_text(file, "gate file"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no TOML: {error}") from None
    table = Table(str(file), data, str(file.parent))
    table.check_keys("network", "baseline", "tolerance")
    networks = tuple(
        _guarded(each, _tolerance(table, TOLERANCE)) for each in table.tables("network")
    )
    if not networks:
        raise table.error(f"it has no network; it takes {EXAMPLE}")
    names = [network.name for network in networks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise table.error(f"two networks are called {twice!r}: name says which is which")
    folder = table.text("baseline")
    baseline = file.parent / folder if folder else None
    needs = next((each.name for each in networks for limit in each.limits if _is_rise(limit)), None)
    if needs and not baseline:
        raise table.error(f"{needs} is held against a baseline: baseline = FOLDER says which")
    if baseline and not baseline.is_dir():
        raise table.error(f"baseline: there is no folder {baseline}")
    return Gate(file, networks, baseline)


def _is_rise(limit: Limit | Rise) -> bool:
    return isinstance(limit, Rise)


def _guarded(table: Table, tolerance: float) -> Guarded:
    limited = {key: value for key, value in table.data.items() if key[:4] in OPERATORS}
    plain = Table(
        table.where,
        {key: value for key, value in table.data.items() if key not in limited},
        table.folder,
    )
    plain.check_keys(*KNOWN)
    spec, tolerance = _spec(plain), _tolerance(plain, tolerance)
    limits = [_limit(table, key, value) for key, value in limited.items()]
    rises = [
        Rise(_column(plain, name, "not_above_baseline"), tolerance)
        for name in plain.values("not_above_baseline", (str,))
    ]
    if not limits and not rises:
        raise table.error("it has no limit: max_COLUMN, min_COLUMN or not_above_baseline")
    (engine, *others), precision = plain.engines(), plain.text("precision") or FULL_PRECISION
    if others:
        raise plain.error("engine takes one engine")
    if precision not in PRECISIONS:
        raise plain.error(f"invalid precision {precision!r} (choose from {', '.join(PRECISIONS)})")
    name = plain.text("name") or short_name(spec)
    return Guarded(name, spec, engine, precision, (*limits, *rises))


def _spec(table: Table) -> Spec:
    if "backbone" not in table.data:
        raise table.error(f"it has no backbone; it takes {EXAMPLE}")
    combinations = table.combinations()
    if len(combinations) > 1:
        raise table.error(f"{len(combinations)} networks: it takes one, a table each")
    row = resolved(*combinations[0])
    if row.spec is None:
        raise table.error(row.why)
    return row.spec


def _limit(table: Table, key: str, value: Any) -> Limit:
    column = _column(table, key[4:], key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise table.error(f"{key} is {value!r}: it takes a number, or a text with a unit")
    try:
        number = value_in(column, str(value))
    except UsageError as error:
        raise table.error(f"{key}: {error}") from None
    return Limit(key, Condition(column, OPERATORS[key[:4]], number))


def _column(table: Table, name: str, key: str) -> str:
    try:
        column = figure_column(name, key)
    except UsageError as error:
        raise table.error(str(error)) from None
    if column not in QUANTITIES:
        raise table.error(f"{key}: {column} is neither counted nor measured")
    return column


def _tolerance(table: Table, otherwise: float) -> float:
    for value in table.values("tolerance", (int, float)):
        if not 0 <= value < 1:
            raise table.error(f"tolerance is {value}: it takes a share from 0 to 1, such as 0.05")
        return float(value)
    return otherwise


def bounded(rise: Rise, ends: tuple[float, float]) -> Condition:
    """The limit that a rise sets by the range of the baseline's figure."""
    if is_more_better(rise.column):
        return Condition(rise.column, ">=", ends[0] * (1 - rise.tolerance))
    return Condition(rise.column, "<=", ends[1] * (1 + rise.tolerance))
