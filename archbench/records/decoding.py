"""Sound records out of their lines, quickly: what many have in common is read and held once.

Many records share their network and its counts, settings, machine, and the figures that are missing
for the same reason. A part whose text was read before is the same object again, which nobody
changes. A line with anything unusual in it is left to `reading`, whose types hold here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder as JsonDecoder

from archbench.engine_names import renewed
from archbench.quantities import completed
from archbench.reasons import Flag, Reason, Status
from archbench.records.conditions import (
    Conditions,
    Count,
    Environment,
    Number,
    Seconds,
    Spread,
    Whole,
)
from archbench.records.reading import (
    CAUSE,
    Counted,
    Name,
    Reader,
    RecordError,
    check_values,
    refuse,
)
from archbench.records.schema import SCHEMA_VERSION, Metric, Record
from archbench.settings import SETTINGS, Settings
from archbench.spec import Spec

ESCAPE = b"\\"
"""What a line has in it whose texts may hold lone surrogates."""
Scalar: Any = bool | Whole | float | str | None
Plain: Any = Scalar
for _ in range(5):
    Plain = Scalar | list[Plain] | dict[str, Plain]
"""Plain data without a flaw: no number is too large, no table too deep."""


class Line(Struct, forbid_unknown_fields=True):
    """A line in its parts; those that lines have in common, and the figures, stay text."""

    spec: Raw
    settings: Raw
    status: Status
    reason: Raw
    counted: Raw
    measured: dict[str, Raw]
    environment: Raw
    conditions: dict[str, Plain]
    phases: dict[str, Plain]
    record_id: Name
    time_utc: Name
    schema_version: int
    command: str = ""
    samples: str = ""
    run_id: str = ""
    attempt: Count = 1


class StoredMetric(Struct, forbid_unknown_fields=True):
    """A measured figure."""

    value: Number | None
    unit: str
    source: str = ""
    protocol: str = ""
    reason: Reason | None = None
    flags: tuple[Flag, ...] = ()
    spread: dict[str, Plain] | None = None


_sound = Reader(refuse, is_sound=True)


def _spec(data: Any) -> Spec:
    return _sound.spec(data)


def _settings(data: Any) -> Settings | None:
    settings: Settings | None = _sound.fit(_known(renewed(data), SETTINGS.keys()), Settings | None)
    return settings


def _counted(data: Any) -> dict[str, Any] | None:
    _sound.fit(data, Counted | None)
    counted: dict[str, Any] | None = data
    return counted


def _completed(data: Any) -> Mapping[str, Any]:
    return completed(data or {})


def _environment(data: Any) -> Environment:
    environment: Environment = _sound.entries(_sound.fit(data, dict[str, Any]), Environment)
    return environment


class Decoder:
    """Decodes lines, and holds what they have in common."""

    def __init__(self) -> None:
        self._line, self._plain = JsonDecoder(Line), JsonDecoder(Plain)
        self._stored = JsonDecoder(StoredMetric)
        self._lacking: dict[bytes, Metric] = {}
        self._held: dict[tuple[Callable[[Any], Any], bytes], Any] = {}

    def record(self, line: bytes) -> Record | None:
        """Read a record; None where its line has something unusual in it."""
        if not line.isascii() or ESCAPE in line:
            return None
        try:
            parts = self._line.decode(line)
            return self._record(parts) if parts.schema_version <= SCHEMA_VERSION else None
        except (ValueError, RecursionError):
            return None

    def _record(self, parts: Line) -> Record:
        record = Record(
            spec=self._once(_spec, parts.spec),
            settings=self._once(_settings, parts.settings),
            status=parts.status,
            reason=_sound.cause(_known(self._plain.decode(parts.reason), CAUSE)),
            counted=self._once(_counted, parts.counted),
            measured=self._measured(parts.measured),
            environment=self._once(_environment, parts.environment),
            conditions=_sound.entries(parts.conditions, Conditions),
            phases=_sound.entries(parts.phases, dict[str, Seconds]),
            samples=parts.samples,
            run_id=parts.run_id,
            attempt=parts.attempt,
            record_id=parts.record_id,
            time_utc=parts.time_utc,
            schema_version=parts.schema_version,
        )
        # Records with the same counts share what follows from them, too.
        vars(record)["counts"] = self._once(_completed, parts.counted)
        return record

    def _measured(self, parts: Mapping[str, Raw]) -> dict[str, Metric]:
        measured = {name: self._metric(bytes(part)) for name, part in parts.items()}
        spreads = [metric.spread for metric in measured.values() if metric.spread]
        _sound.fit(spreads, list[Spread])
        check_values(measured.values())
        return measured

    def _metric(self, text: bytes) -> Metric:
        lacking = self._lacking.get(text)
        if lacking:
            return lacking
        stored = self._stored.decode(text)
        metric = Metric(
            stored.value,
            stored.unit,
            stored.source,
            stored.protocol,
            stored.reason,
            stored.flags,
            stored.spread,
        )
        if metric.value is None:
            self._lacking[text] = metric
        return metric

    def _once(self, read: Callable[[Any], Any], text: bytes | Raw) -> Any:
        """Read a part, or give what was read of the same text."""
        key = (read, bytes(text))
        if key not in self._held:
            self._held[key] = read(self._plain.decode(text))
        return self._held[key]


def _known(data: Any, names: Set[str]) -> Any:
    """The data, in which nothing is of a later version."""
    if isinstance(data, dict) and not data.keys() <= names:
        raise RecordError("of a later version")
    return data
