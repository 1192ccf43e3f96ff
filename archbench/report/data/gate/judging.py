"""Whether limits hold, by what is counted now and what records or a baseline's tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from archbench.quantities import QUANTITIES
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.comparable import VERSIONS, differing, setups
from archbench.report.data.conditions import Condition
from archbench.report.data.configurations import Configuration, Estimate, configurations
from archbench.report.data.gate.file import Gate, Guarded, Limit, Rise, bounded
from archbench.report.data.ties import Ranges, exact, measured_as
from archbench.spec import Spec, UsageError, without_hash


class Standing(StrEnum):
    """How a figure stands to its limit."""

    HOLDS = "holds"
    BROKEN = "broken"
    MISSING = "missing"
    """Nobody knows the figure."""
    FLAGGED = "flagged"
    """The figure has a flaw for which nothing is decided by it."""
    NOT_COMPARABLE = "not comparable"
    """The figure cannot be set against the baseline's, or it is not clear which is meant."""


@dataclass(frozen=True)
class Finding:
    """One limit of one network, and how its figure stands to it."""

    network: Guarded
    limit: Limit | Rise
    standing: Standing
    figure: Estimate | None = None
    condition: Condition | None = None
    """What the figure must be; None where the baseline does not say."""
    why: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the figure is there and decides."""
        return self.standing in (Standing.HOLDS, Standing.BROKEN)


@dataclass(frozen=True)
class Evidence:
    """What limits are judged by: a count that is made when it is asked for, or raises UsageError,
    records of now and of the baseline, of devices whose name has `device` in it.
    """

    count: Callable[[Spec], Mapping[str, Any]]
    records: Sequence[Record]
    baseline: Sequence[Record] = ()
    device: str = ""

    def current(self, network: Guarded) -> list[Configuration]:
        """What was measured of a network as it is."""
        return [
            each
            for each in configurations(filter(self._is_of_device, self.records))
            if each.spec == network.spec and _ran_as(each, network)
        ]

    def before(self, network: Guarded) -> list[Configuration]:
        """What the baseline has of a network, whatever its code was."""
        wanted = _any_code(network.spec)
        return [
            each
            for each in configurations(filter(self._is_of_device, self.baseline))
            if _any_code(each.spec) == wanted
        ]

    def _is_of_device(self, record: Record) -> bool:
        name = str(record.environment.get("device_name") or "")
        return record.settings is None or self.device.casefold() in name.casefold()


def judge(gate: Gate, evidence: Evidence) -> list[Finding]:
    """Judge every limit of every network."""
    return [
        _judged(network, limit, evidence) for network in gate.networks for limit in network.limits
    ]


class _UnknownError(Exception):
    """Why a figure does not decide."""

    def __init__(self, standing: Standing, why: str) -> None:
        super().__init__(why)
        self.standing, self.why = standing, why


def _judged(network: Guarded, limit: Limit | Rise, evidence: Evidence) -> Finding:
    found = Finding(network, limit, Standing.MISSING)
    try:
        figure, configuration = _figure(network, limit.column, evidence)
        found = replace(found, figure=figure)
        if isinstance(limit, Limit):
            condition = limit.condition
        else:
            condition = _of_baseline(network, limit, evidence, configuration)
    except _UnknownError as unknown:
        return replace(found, standing=unknown.standing, why=unknown.why)
    found = replace(found, condition=condition)
    ends = figure.interval or (figure.value, figure.value)
    worst, best = (ends[1], ends[0]) if condition.operator == "<=" else ends
    if not condition.holds({limit.column: best}):
        return replace(found, standing=Standing.BROKEN)
    if figure.flaws:
        flags = "; ".join(f"{flaw}: {flaw.text}" for flaw in figure.flaws)
        return replace(found, standing=Standing.FLAGGED, why=flags)
    holds = condition.holds({limit.column: worst})
    return replace(found, standing=Standing.HOLDS if holds else Standing.BROKEN)


def _figure(
    network: Guarded, column: str, evidence: Evidence
) -> tuple[Estimate, Configuration | None]:
    """A figure of a network as it is now; raises `_UnknownError` where there is none."""
    if QUANTITIES[column].group == "counted":
        return _counted(network, column, evidence), None
    there = evidence.current(network)
    well = [each for each in there if each.status == Status.OK and each.newest.settings]
    having = [(figure, each) for each in well if (figure := _estimate(each, column))]
    # Of setups that differ in versions alone, which no flag tells apart, the newest is meant.
    having.sort(key=lambda pair: pair[1].newest.time_utc)
    places = setups((each.newest for _, each in having), ignore=VERSIONS)
    if len(places) > 1:
        raise _UnknownError(
            Standing.NOT_COMPARABLE,
            f"measured on {'; '.join(sorted(places))}: choose one with --device or --results",
        )
    if having:
        return having[-1]
    measured = [each for each in there if each.newest.settings]
    if not measured:
        raise _UnknownError(Standing.MISSING, "no record of it: --measure measures it")
    raise _UnknownError(Standing.MISSING, measured[-1].reason(column).text)


def _estimate(configuration: Configuration, column: str) -> Estimate | None:
    """A figure, or a percentile of calls, which the newest process alone tells."""
    own = configuration.estimate(column)
    return own or Ranges([configuration]).figure(configuration, column)


def _counted(network: Guarded, column: str, evidence: Evidence) -> Estimate:
    try:
        value = evidence.count(network.spec).get(column)
    except UsageError as error:
        raise _UnknownError(Standing.MISSING, f"it cannot be counted: {error}") from None
    if value is None:
        raise _UnknownError(Standing.MISSING, "its counts do not include it")
    return exact(value)


def _of_baseline(
    network: Guarded, rise: Rise, evidence: Evidence, now: Configuration | None
) -> Condition:
    """The limit that the baseline sets; raises `_UnknownError` where it sets none."""
    before = [each for each in evidence.before(network) if _estimate(each, rise.column)]
    if not before:
        raise _UnknownError(Standing.MISSING, f"the baseline has no {rise.column} of it")
    if now is None:
        newest = max(before, key=lambda each: each.newest.time_utc)
    else:
        word = measured_as(rise.column)
        apart = [differing(now.newest, each.newest, word) for each in before]
        alike = [each for each, keys in zip(before, apart, strict=True) if not keys]
        if not alike:
            reasons = "; ".join(map(", ".join, apart))
            raise _UnknownError(Standing.NOT_COMPARABLE, f"the baseline differs in {reasons}")
        newest = max(alike, key=lambda each: each.newest.time_utc)
    figure = _estimate(newest, rise.column)
    assert figure
    if figure.flaws:
        flags = ", ".join(figure.flaws)
        raise _UnknownError(Standing.FLAGGED, f"the baseline's is flagged: {flags}")
    return bounded(rise, figure.interval or (figure.value, figure.value))


def _ran_as(configuration: Configuration, network: Guarded) -> bool:
    settings = configuration.newest.settings
    return settings is None or (settings.engine, settings.precision) == (
        network.engine,
        network.precision,
    )


def _any_code(spec: Spec) -> Spec:
    return replace(spec, backbone=without_hash(spec.backbone))
