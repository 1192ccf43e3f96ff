"""Conditions that rows must meet, read from text and never evaluated: `total_ms<=50ms and
detector=ssd`, and the bounds of a budget, `latency=50ms`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from archbench.papers.accuracies import DATASET
from archbench.quantities import MEASURED
from archbench.records import Record
from archbench.report.data.columns import unit_of
from archbench.report.data.configurations import configurations
from archbench.report.data.narrowing import of
from archbench.report.data.rows import COLUMNS, merged, rows
from archbench.report.data.selection import column
from archbench.report.data.units import limit_in, value_in
from archbench.spec import UsageError

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": le,
    ">=": ge,
    "!=": ne,
    "<": lt,
    ">": gt,
    "=": eq,
}
"""How a column may stand to a value; of two that begin alike the longer one first."""
JOINED = " and "
QUOTES = ("'", '"')
EXAMPLE = "precision=fp16 or 'total_ms<50ms and detector=ssd'"


@dataclass(frozen=True)
class Condition:
    """What a column of a row must be."""

    column: str
    operator: str
    value: float | str | None
    """In the column's own unit; None: nothing, the column is to be empty, or not to be."""

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row meets it; what has no value is other than any, and neither less nor
        more.
        """
        there = row[self.column]
        if isinstance(there, str):
            there = there.casefold()
        if self.value is not None and there is None:
            return self.operator == "!="
        return OPERATORS[self.operator](there, self.value)

    @property
    def is_of_repeats(self) -> bool:
        """Whether it is about the figure of all repeats together, so that it takes or leaves them
        as one.
        """
        return self.operator != "=" and self.column in MEASURED

    def __str__(self) -> str:
        """The condition as it may be written."""
        value = f"{self.value:.10g}" if isinstance(self.value, float) else self.value or ""
        return f"{self.column} {self.operator} {value} {unit_of(self.column)}".rstrip()


def conditions(text: str) -> list[Condition]:
    """Read conditions joined by `and`; raises UsageError for a column, an operator or a value that
    cannot be.
    """
    return [_condition(part, text) for part in _parts(text)]


def meeting(
    records: Sequence[Record], asked: Iterable[Condition], dataset: str = DATASET
) -> list[Record]:
    """Give the records that meet all conditions, in their order; accuracies are of a data set."""
    asked = list(asked)
    together = [condition for condition in asked if condition.is_of_repeats]
    alone = [condition for condition in asked if not condition.is_of_repeats]
    kept = list(records)
    if alone:
        kept = [
            record
            for record, row in zip(records, rows(records, dataset), strict=True)
            if all(condition.holds(row) for condition in alone)
        ]
    if not together:
        return kept
    fitting = (
        each
        for each in configurations(kept)
        if all(condition.holds(merged(each, dataset)) for condition in together)
    )
    return of(kept, fitting)


def bound(text: str, operator: str, flag: str) -> Condition:
    """Read a bound of a budget, COLUMN=VALUE, of a column of numbers."""
    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"invalid {flag} {text} (COLUMN=VALUE, such as latency=50ms)")
    name = column(key)
    if COLUMNS[name] is str:
        raise UsageError(f"invalid {flag} {text} ({name} is not a number)")
    return Condition(name, operator, limit_in(name, value))


def _parts(text: str) -> list[str]:
    """The conditions of a text. What stands behind an `and` is of the value before it where it has
    no operator, or where that value has a quotation mark that is not closed yet.
    """
    parts: list[str] = []
    for part in text.split(JOINED):
        if parts and (not _operator(part) or _is_open(_split(parts[-1])[2])):
            parts[-1] += JOINED + part
        else:
            parts.append(part)
    return parts


def _split(text: str) -> tuple[str, str, str]:
    """The column, the operator and the value of a condition; a second = says no more than one."""
    operator = _operator(text)
    key, _, wanted = text.partition(operator) if operator else (text, "", "")
    return key, operator, wanted.removeprefix("=").strip() if operator == "=" else wanted.strip()


def _is_open(value: str) -> bool:
    """Whether a value begins with a quotation mark and does not end with it."""
    return value.startswith(QUOTES) and (len(value) == 1 or not value.endswith(value[0]))


def _operator(text: str) -> str:
    """The first operator in a text; empty where it has none."""
    places = {operator: text.find(operator) for operator in OPERATORS if operator in text}
    first = min(places.values(), default=-1)
    return next((operator for operator, place in places.items() if place == first), "")


def _condition(text: str, whole: str) -> Condition:
    key, operator, wanted = _split(text)
    if not operator:
        raise UsageError(f"invalid --where {whole} (COLUMN=VALUE, such as {EXAMPLE})")
    if _is_open(wanted):
        raise UsageError(f"invalid --where {whole} ({wanted[0]} is not closed)")
    name, wanted = column(key), wanted[1:-1] if wanted.startswith(QUOTES) else wanted
    if operator not in ("=", "!="):
        if COLUMNS[name] is str:
            raise UsageError(f"invalid --where {whole} ({name} is text: use = or !=)")
        if not wanted:
            raise UsageError(f"invalid --where {whole} ({operator} takes a number)")
    if not wanted:
        return Condition(name, operator, None)
    if COLUMNS[name] is str:
        return Condition(name, operator, wanted.casefold())
    try:
        return Condition(name, operator, value_in(name, wanted))
    except UsageError as error:
        raise UsageError(f"invalid --where {whole}: {error}") from None
