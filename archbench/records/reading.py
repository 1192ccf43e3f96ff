"""Records out of plain data of any origin. What fits its type is read; of the rest, what spoils the
whole record is an error, and what spoils one entry is dropped and told.

A bad value in spec, settings, status or counted spoils the record: a part of them would be another
network, or would read as never counted. What is not known here, such as the fields of a later
version, is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta, ValidationError, convert

from archbench.engine_names import renewed
from archbench.escaping import storable
from archbench.quantities import QUANTITIES
from archbench.quantity import Quantity
from archbench.reasons import Reason, Status
from archbench.records.conditions import Conditions, Count, Environment, Number, Seconds, Spread
from archbench.records.schema import SCHEMA_VERSION, Cause, Metric, Record
from archbench.settings import SETTINGS, Settings
from archbench.spec import MAX_BATCH, MAX_SIDE, Spec
from archbench.spelling import plainly

Tell = Callable[[str], None]
"""Hears what of a record is dropped, and why."""
DEEPEST = 16
"""How deep lists and tables may lie in one another; archbench itself writes half as deep."""
BIGGEST = 2**63
NEVER_BELOW_ZERO = ("ms", "images/s", "1e9/s", "1/s")
"""Units of times and rates."""

Name = Annotated[str, Meta(min_length=1)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class SpecData(TypedDict):
    """A spec as records hold it."""

    backbone: Name
    detector: Name | None
    width: Side
    height: Side
    classes: Count | None
    batch: NotRequired[Annotated[int, Meta(ge=1, lt=MAX_BATCH)]]
    mode: NotRequired[Literal["infer", "train"]]
    options: dict[Name, bool | Number | str]


class Identity(TypedDict):
    """What tells a record from others."""

    record_id: Name
    time_utc: Name


class Circumstances(TypedDict, total=False):
    """What a record belongs to, and what of it lies elsewhere."""

    run_id: str
    attempt: Count
    samples: str


class Sampled(TypedDict, total=False):
    """What of a metric is a table."""

    spread: Spread | None


def _type_of(row: Quantity) -> Any:
    tables: dict[type, Any] = {dict: dict[str, Count], list: list[tuple[str, Count]], str: str}
    return tables.get(row.type, Number | None)


Counted = TypedDict(  # type: ignore[misc]
    "Counted",
    {row.name: _type_of(row) for row in QUANTITIES.values() if row.group == "counted"},
    total=False,
)
SPEC, SETTING, METRIC, CAUSE = map(
    frozenset, (SpecData.__annotations__, SETTINGS, Metric.__match_args__, Cause.__match_args__)
)
KNOWN = frozenset({*Record.__match_args__, "command"} - {"extra"})
"""The fields of each table that this version knows."""


class RecordError(ValueError):
    """Something is no record: says what is wrong with it."""


def read_line(line: bytes, tell: Tell) -> Record:
    """Read a record out of a line of JSON; raises RecordError where it holds none."""
    try:
        return read_record(_parse(line), tell)
    except RecursionError:
        raise RecordError("nested too deeply") from None


def read_record(data: Any, tell: Tell) -> Record:
    """Read a record that JSON gave; `tell` hears of every entry that is dropped.

    Raises RecordError where no record is left.
    """
    return Reader(tell, is_sound=not flaw(data)).record(data)


def read_metric(data: Any) -> Metric:
    """Read one measured figure; raises RecordError where it is none."""
    (metric,) = Reader(refuse).metrics({"": data}).values()
    return metric


def read_cause(data: Any) -> Cause:
    """Read why a job did not end well; raises RecordError where it says nothing."""
    cause: Cause = Reader(refuse).fit(data, Cause)
    return cause


def flaw(value: Any) -> str:
    """Say what in plain data nothing could show: numbers that are none or too large, too deep a
    nesting. Empty where all is sound.
    """
    return _flaw_among([value], DEEPEST)


def _flaw_among(parts: Iterable[Any], depth: int) -> str:
    for part in parts:
        if isinstance(part, str):
            continue
        if isinstance(part, float):
            wrong = "" if isfinite(part) else f"{part} is not a finite number"
        elif isinstance(part, int):
            wrong = "" if -BIGGEST <= part < BIGGEST else "a number is too large"
        elif not part:
            continue
        elif not depth:
            wrong = f"nested deeper than {DEEPEST}"
        else:
            wrong = _flaw_among(part.values() if isinstance(part, dict) else part, depth - 1)
        if wrong:
            return wrong
    return ""


@dataclass(frozen=True)
class Reader:
    """Reads the parts of a record; `is_sound` says that nothing in it has a flaw."""

    tell: Tell
    is_sound: bool = False

    def record(self, data: Any) -> Record:
        """Read all of it."""
        if not isinstance(data, dict):
            raise RecordError("not a record")
        version = self.fit(data.get("schema_version"), int, "schema_version")
        if version > SCHEMA_VERSION:
            raise RecordError(
                f"schema version {version}, this archbench reads up to {SCHEMA_VERSION}"
            )
        data = data | {"settings": renewed(data.get("settings"))}
        measured = self.table(data, "measured")
        self.optional(data, "counted", Counted)
        return Record(
            spec=self.spec(data.get("spec")),
            settings=self.optional(data, "settings", Settings),
            status=self.fit(data.get("status"), Status, "status"),
            reason=self.cause(data.get("reason")),
            counted=data.get("counted"),
            measured=self.metrics(measured),
            environment=self.entries(self.table(data, "environment"), Environment, "environment "),
            conditions=self.entries(self.table(data, "conditions"), Conditions, "conditions "),
            phases=self.entries(self.table(data, "phases"), dict[str, Seconds], "phases "),
            schema_version=version,
            extra=self.entries(_without(data, KNOWN) | _unknown(data, measured), dict[str, Any]),
            **self.fit(_among(data, Identity.__annotations__), Identity),
            **self.entries(_among(data, Circumstances.__annotations__), Circumstances),
        )

    def spec(self, data: Any) -> Spec:
        """Read a spec. What this version does not know of it makes it another network."""
        known = self.fit(data, SpecData, "spec")
        unknown = _without(data, SPEC)
        return Spec(
            **{**known, "options": tuple(sorted(known["options"].items()))},
            unknown=json.dumps(unknown, sort_keys=True) if unknown else "",
        )

    def metrics(self, data: Mapping[str, Any]) -> dict[str, Metric]:
        """Read the measured figures; one that is no figure is missing for that reason."""
        if self.is_sound:
            with suppress(RecordError):
                return self._metrics(data)
        metrics: dict[str, Metric] = {}
        for name, metric in data.items():
            try:
                metrics |= self._metrics({name: metric})
            except RecordError as error:
                self.tell(f"measured {name} dropped, {error}")
                if name in QUANTITIES:
                    metrics |= Metric.lacking([name], Reason.UNREADABLE)
        return metrics

    def _metrics(self, data: Mapping[str, Any]) -> dict[str, Metric]:
        """Read measured figures, all of which are some."""
        metrics: dict[str, Metric] = self.fit(data, dict[str, Metric])
        self.fit({name: data[name] for name in metrics if metrics[name].spread}, dict[str, Sampled])
        check_values(metrics.values())
        return metrics

    def cause(self, data: Any) -> Cause | None:
        """Read why a job did not end well."""
        try:
            return None if data is None else self.fit(data, Cause)
        except RecordError as error:
            self.tell(f"reason dropped, {error}")
            return Cause(Reason.UNREADABLE)

    def table(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Give a table of a record; an empty one where it is something else."""
        part = data.get(name, {})
        if isinstance(part, dict):
            return part
        self.tell(f"{name} dropped, not a table")
        return {}

    def entries(self, data: dict[str, Any], kind: Any, where: str = "") -> Any:
        """Give the entries of a table that fit their types."""
        if self.is_sound:
            with suppress(ValidationError):
                convert(data, kind)
                return data
        kept = {}
        for key, value in data.items():
            try:
                self.fit({key: value}, kind)
            except RecordError as error:
                self.tell(f"{where}{key} dropped, {error}")
            else:
                kept[key] = value
        return kept

    def optional(self, data: Mapping[str, Any], name: str, kind: Any) -> Any:
        """Give a part of a record that may be null."""
        part = data.get(name)
        return None if part is None else self.fit(part, kind, name)

    def fit(self, value: Any, kind: Any, where: str = "") -> Any:
        """Give a value as one of a type; raise RecordError where it is none."""
        wrong = "" if self.is_sound else flaw(value)
        if not wrong:
            try:
                return convert(value, kind)
            except ValidationError as error:
                wrong = plainly(error)
        raise RecordError(f"{where}: {wrong}" if where else wrong)


def check_values(metrics: Iterable[Metric]) -> None:
    """Raise RecordError where a time or a rate is below 0, or an interval ends before it begins."""
    for metric in metrics:
        low, high = (metric.spread or {}).get("ci95") or (0, 0)
        if low > high:
            raise RecordError(f"an interval from {low} to {high}")
        if metric.unit in NEVER_BELOW_ZERO and metric.value is not None and metric.value < 0:
            raise RecordError(f"{metric.value} {metric.unit} is below 0")


def _parse(line: bytes) -> Any:
    """Read JSON, with every text in it as UTF-8 can hold it."""
    try:
        data = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise RecordError("not JSON, truncated or corrupt") from None
    except ValueError:
        # Python refuses to read an integer of some thousand digits.
        data = json.loads(line, parse_int=_integer)
    # A lone surrogate stands in the line as an escape, or in bytes that are no ASCII.
    return storable(data) if b"\\ud" in line.lower() or not line.isascii() else data


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 20 else float(digits)


def _unknown(data: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a later version wrote into the tables whose fields are known."""
    tables = {
        "settings": _without(data.get("settings"), SETTING),
        "reason": _without(data.get("reason"), CAUSE),
        "measured": {
            name: unknown
            for name, metric in measured.items()
            if (unknown := _without(metric, METRIC))
        },
    }
    return {name: unknown for name, unknown in tables.items() if unknown}


def _among(data: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}


def _without(data: Any, known: frozenset[str]) -> dict[str, Any]:
    """Give the entries of a table that are not known; none where it is no table."""
    if not isinstance(data, dict) or data.keys() <= known:
        return {}
    return {key: value for key, value in data.items() if key not in known}


def refuse(what: str) -> None:
    raise RecordError(what)
