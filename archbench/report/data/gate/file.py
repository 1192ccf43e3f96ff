"""The file of a gate: networks with limits, in TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from archbench.engine_names import OF_GRAPHS
from archbench.files import parse_toml, read_text
from archbench.papers.member import resolved
from archbench.papers.suite_file import NETWORK, Table
from archbench.quantities import QUANTITIES
from archbench.report.data.accuracies import FULL_PRECISION
from archbench.report.data.conditions import Condition
from archbench.report.data.names import short_name
from archbench.report.data.narrowing import figure_column
from archbench.report.data.ties import is_more_better
from archbench.report.data.units import limit_in
from archbench.settings import PRECISIONS
from archbench.spec import ONNX, OptionValue, Spec, UsageError, origin_of

OPERATORS = {"max_": "<=", "min_": ">="}
KNOWN = (*NETWORK, "options", "name", "engine", "precision", "not_above_baseline", "tolerance")
TOLERANCE = 0.05
"""How far beyond the range of the baseline's figure one may be, as a share of it."""
EXAMPLE = '[[network]] with backbone = "snet49" and max_params = "2M"'
OF_A_GRAPH = ("backbone", "size", "batch")
"""What is said of an exported graph; all else it says itself."""


class ReadGraph(Protocol):
    """Reads what an exported graph is, or raises UsageError."""

    def __call__(self, path: str, *, size: int | str | None, batch: int | None) -> Spec: ...


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


def read_gate(file: Path, read_graph: ReadGraph) -> Gate:
    """Read a gate's file; raises UsageError, with the place in it, for what cannot be."""
    try:
        data = parse_toml(read_text(file, "gate file"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from None
    table = Table(str(file), data, str(file.parent))
    table.check_keys("network", "baseline", "tolerance")
    tolerance = _tolerance(table, TOLERANCE)
    networks = tuple(_guarded(each, tolerance, read_graph) for each in table.tables("network"))
    if not networks:
        raise table.error(f"it has no network; it takes {EXAMPLE}")
    names = [network.name for network in networks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise table.error(f"two networks are called {twice!r}: tell them apart with name")
    folder = table.text("baseline")
    baseline = file.parent / folder if folder else None
    needs = next((each.name for each in networks for limit in each.limits if _is_rise(limit)), None)
    if needs and not baseline:
        raise table.error(f"{needs} needs a baseline: baseline = FOLDER")
    if baseline and not baseline.is_dir():
        raise table.error(f"baseline: no folder {baseline}")
    return Gate(file, networks, baseline)


def _is_rise(limit: Limit | Rise) -> bool:
    return isinstance(limit, Rise)


def _guarded(table: Table, tolerance: float, read_graph: ReadGraph) -> Guarded:
    limited = {key: value for key, value in table.data.items() if key[:4] in OPERATORS}
    plain = Table(
        table.where,
        {key: value for key, value in table.data.items() if key not in limited},
        table.folder,
    )
    plain.check_keys(*KNOWN, *(f"{start}COLUMN" for start in OPERATORS))
    spec, tolerance = _spec(plain, read_graph), _tolerance(plain, tolerance)
    limits = [_limit(table, key, value) for key, value in limited.items()]
    rises = [
        Rise(_column(plain, name, "not_above_baseline"), tolerance)
        for name in plain.values("not_above_baseline", (str,))
    ]
    if not limits and not rises:
        raise table.error("it has no limit: max_COLUMN, min_COLUMN or not_above_baseline")
    name = plain.text("name") or short_name(spec)
    return Guarded(name, spec, *_ran(plain, spec), (*limits, *rises))


def _ran(table: Table, spec: Spec) -> tuple[str, str]:
    """The engine and the precision that figures are taken of."""
    engine, *others = table.engines()
    if others:
        raise table.error("engine takes one engine")
    if "engine" not in table.data and spec.origin == ONNX:
        engine = OF_GRAPHS
    precision = table.text("precision") or FULL_PRECISION
    if precision not in PRECISIONS:
        raise table.error(f"invalid precision {precision!r} (choose from {', '.join(PRECISIONS)})")
    return engine, precision


def _spec(table: Table, read_graph: ReadGraph) -> Spec:
    if "backbone" not in table.data:
        raise table.error(f"it has no backbone; it takes {EXAMPLE}")
    combinations = table.combinations()
    if len(combinations) > 1:
        raise table.error(f"{len(combinations)} networks: it takes one; give each its own table")
    given, options = combinations[0]
    if origin_of(given["backbone"]) == ONNX:
        return _graph(table, given, options, read_graph)
    row = resolved(given, options)
    if row.spec is None:
        raise table.error(row.why)
    return row.spec


def _graph(
    table: Table,
    given: dict[str, Any],
    options: dict[str, OptionValue],
    read_graph: ReadGraph,
) -> Spec:
    """The spec of an exported graph, whose file is read for it."""
    idle = [key for key in (*given, *options) if key not in OF_A_GRAPH]
    if idle:
        raise table.error(f"a graph runs as exported: leave out {', '.join(idle)}")
    try:
        return read_graph(given["backbone"], size=given.get("size"), batch=given.get("batch"))
    except UsageError as error:
        raise table.error(str(error)) from None


def _limit(table: Table, key: str, value: Any) -> Limit:
    column = _column(table, key[4:], key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise table.error(f"{key} is {value!r}: it takes a number, or a text with a unit")
    try:
        number = limit_in(column, str(value))
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
    value = table.value("tolerance", (int, float))
    if value is None:
        return otherwise
    if not 0 <= value < 1:
        raise table.error(f"tolerance is {value}: it takes a fraction, such as 0.05")
    return float(value)


def bounded(rise: Rise, ends: tuple[float, float]) -> Condition:
    """The limit that a rise sets by the range of the baseline's figure."""
    if is_more_better(rise.column):
        return Condition(rise.column, ">=", ends[0] - rise.tolerance * abs(ends[0]))
    return Condition(rise.column, "<=", ends[1] + rise.tolerance * abs(ends[1]))
