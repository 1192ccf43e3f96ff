"""The record of one job: what was asked, where it ran, what was counted, what was measured, how it
ended. Torch-free.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from sys import intern
from typing import Any

from archbench.escaping import storable
from archbench.quantities import DERIVED, MEASURED, QUANTITIES, completed
from archbench.quantity import Quantity, Rule
from archbench.reasons import Flag, Reason, Status
from archbench.records.conditions import Conditions, Environment, Number
from archbench.settings import Settings
from archbench.spec import Spec

SCHEMA_VERSION = 1
RULES = [
    (row, rule, MEASURED.keys() & rule.sources) for row, rule in DERIVED if row.group == "measured"
]
"""The measured figures that follow from others, with those of the others that are measured."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure, or why there is none: `value` is null exactly where there is a `reason`.

    `protocol` is model (the forward pass) or model+post (with decoding and suppression). `spread`
    holds n, median, ci95 and what else `sampling.spread` gives of the samples; `flags` warn of the
    figure without taking it back.
    """

    value: Number | None
    unit: str
    source: str = ""
    protocol: str = ""
    reason: Reason | None = None
    flags: tuple[Flag, ...] = ()
    spread: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError("a metric has a value or a reason why not, never both or neither")
        # Many records repeat few texts: each is held once.
        object.__setattr__(self, "unit", intern(self.unit))
        object.__setattr__(self, "source", intern(self.source))
        object.__setattr__(self, "protocol", intern(self.protocol))

    @classmethod
    def of(
        cls, name: str, value: float, source: str = "", protocol: str = "", **notes: Any
    ) -> Metric:
        """Make the figure of a declared word in its unit; `notes` are its flags and spread."""
        return cls(value, QUANTITIES[name].unit, source, protocol, **notes)

    @classmethod
    def derived(cls, name: str, known: Mapping[str, Any], protocol: str = "") -> Metric:
        """Make the figure of a declared word by its rule out of what is known, all of it there."""
        rule = QUANTITIES[name].rule
        assert rule
        return cls.of(name, rule.value(known), rule.text, protocol)

    @classmethod
    def lacking(cls, names: Iterable[str], reason: Reason) -> dict[str, Metric]:
        """Make figures of declared words that are missing for a reason."""
        return {name: cls(None, QUANTITIES[name].unit, reason=reason) for name in names}


@dataclass(frozen=True)
class Cause:
    """Why a job did not end well, the phase that it had reached, and a message for people."""

    code: Reason
    phase: str = ""
    message: str = ""


@dataclass(frozen=True)
class Record:
    """One job. `counted` and `measured` hold what had been found when the job ended, however it
    ended.
    """

    spec: Spec
    settings: Settings | None
    status: Status
    reason: Cause | None = None
    counted: dict[str, Any] | None = None
    measured: dict[str, Metric] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    conditions: Conditions = field(default_factory=Conditions)
    phases: dict[str, float] = field(default_factory=dict)
    """Wall time of each phase of the job, seconds."""
    samples: str = ""
    """File of the sample arrays, relative to the results folder; empty where there are none."""
    run_id: str = ""
    """What the records of one sweep have in common."""
    attempt: int = 1
    """Which try this was: a job whose device was busy or lost is tried once more."""
    record_id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    time_utc: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    )
    schema_version: int = SCHEMA_VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What a later version wrote besides, where it stood; of the spec the spec itself keeps it."""

    def value(self, name: str) -> float | None:
        """A figure by its word, counted or measured; None where it was not found."""
        if name in self.metrics:
            return self.metrics[name].value
        return self.counts.get(name)

    @property
    def time_ms(self) -> float | None:
        """The median time of a call: in total where the forward pass gives final detections."""
        forward = self.value("latency_ms")
        return self.value("total_ms") if forward is None else forward

    @cached_property
    def counts(self) -> Mapping[str, Any]:
        """What was counted, and what follows from it by a rule where the record lacks it."""
        return completed(self.counted or {})

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """What was measured, and what follows from it by a rule where the record lacks it."""
        known = self.measured
        for row, rule, sources in RULES:
            if row.name not in known and sources <= known.keys():
                derived = self._derived(row, rule, known)
                known = {**known, row.name: derived} if derived else known
        return known

    def _derived(self, row: Quantity, rule: Rule, known: Mapping[str, Metric]) -> Metric | None:
        """A figure by its rule, with the reason, flags and protocol of the figures that it follows
        from.
        """
        sources = {name: known[name] for name in rule.sources if name in known}
        others = {
            name: self.spec.batch if name == "batch" else self.counts.get(name)
            for name in rule.sources
            if name not in known
        }
        if None in others.values() or (rule.is_of_inference and self.spec.mode == "train"):
            return None
        reasons = [metric.reason for metric in sources.values() if metric.value is None]
        if reasons:
            return Metric(None, row.unit, reason=reasons[0])
        value = rule.value(others | {name: metric.value for name, metric in sources.items()})
        if value is None:
            return None
        flags = dict.fromkeys(flag for metric in sources.values() for flag in metric.flags)
        protocol = [metric.protocol for metric in sources.values()][-1]
        return Metric.of(row.name, value, rule.text, protocol, flags=tuple(flags))

    def command(self) -> str:
        """The command line that makes such a record: of the same network, with the same
        settings.
        """
        network = self.spec.command(self.conditions.get("plugins", ()))
        allowed = " --allow-code" if self.environment.get("code_allowed") else ""
        measured = self.settings.flags() if self.settings else " --no-measure"
        return f"{network}{allowed}{measured}"

    def to_dict(self) -> dict[str, Any]:
        """Give the record as plain data, ready for JSON and UTF-8."""
        data = asdict(self) | {
            "spec": self.spec.to_dict(),
            "command": self.command(),
            "settings": self.settings.to_dict() if self.settings else None,
            "measured": {
                name: _without_blanks(asdict(metric)) for name, metric in self.measured.items()
            },
        }
        return storable(_merged(data, data.pop("extra")))


def _without_blanks(metric: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metric.items() if key in ("value", "unit") or value}


def _merged(data: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Give tables with the entries of others of the same form put in."""
    return data | {
        key: _merged(data[key], value)
        if isinstance(data.get(key), dict) and isinstance(value, dict)
        else value
        for key, value in more.items()
    }
