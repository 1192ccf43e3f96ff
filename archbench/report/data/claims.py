"""Whether the papers' claims hold here: each is a value, its range, and a verdict by one rule.

A claim of more than the reference (less: turned round) holds where the whole range of our value
lies above it, fails where it lies below it, and is undecided between. A claim of equality holds
where the whole range lies within the tolerance, and fails where none of it does. The range follows
from those of the figures: their medians' 95 % intervals or the range of several processes' medians;
of a figure that has neither (memory, energy of one process) 3 %; of counts nothing, they are exact.
A ratio with a range that reaches 0 is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from archbench.engine_names import EAGER
from archbench.papers.claims import Claim, Pair, claims_of
from archbench.papers.suites import suites
from archbench.reasons import Flag, Reason
from archbench.report.data.configurations import (
    REPEATABLE,
    Configuration,
    Estimate,
    measured_setups,
    of_one_card,
)
from archbench.report.data.counts import Count, Counts
from archbench.report.data.evidence import Evidence
from archbench.report.data.statistics import Interval, correlations, spearman
from archbench.spec import Spec

Outcome = Literal["holds", "fails", "undecided", "not measured", "not counted", "not testable"]
Side = Literal["low", "value", "high"]

OTHER: dict[Side, Side] = {"low": "high", "value": "value", "high": "low"}


@dataclass(frozen=True)
class Verdict:
    """What became of a claim. `ours` is its value here, over `known` of `wanted` networks; `reason`
    a code where there is none.
    """

    claim: Claim
    outcome: Outcome
    ours: float | None = None
    interval: Interval | None = None
    known: int = 0
    wanted: int = 0
    reason: Reason | str = ""
    setup: str = ""
    flags: tuple[Flag, ...] = ()
    engine: str = EAGER
    """What measured, or would measure, its figures."""

    @property
    def command(self) -> str:
        """The command that makes what is missing; empty where nothing is or nothing could."""
        if self.outcome not in ("not measured", "not counted"):
            return ""
        specs = set(self.claim.specs)
        holding = [
            suite
            for suite in suites()
            if suite.name.startswith(f"{self.claim.paper}/") and specs <= set(suite.specs)
        ]
        if holding:
            best = min(
                holding,
                key=lambda suite: (
                    suite.name != self.claim.source,
                    len(suite.specs),
                    "figure" in suite.name,
                ),
            )
            return f"archbench sweep {best.name}{self._flag}"
        return "; ".join(f"{spec.command()}{self._flag}" for spec in self.claim.specs)

    @property
    def _flag(self) -> str:
        is_usual = self.claim.is_counted or self.engine == EAGER
        return "" if is_usual else f" --engine {self.engine}"


class Estimates:
    """Figures of networks out of records: counted, or measured with the one setup of a kind of
    device that has most of them.
    """

    def __init__(
        self,
        evidence: Evidence,
        claims: Iterable[Claim],
        *,
        device: str = "",
        with_flawed: bool = False,
        count: Count | None = None,
    ) -> None:
        wanted = {spec for claim in claims for spec in claim.specs}
        asked = [each for each in evidence.configurations if each.spec in wanted]
        setups = {
            setup: measured
            for setup, measured in measured_setups(asked).items()
            if device.casefold() in setup.casefold()
        }
        self.setup = {
            kind: next((setup for setup, (each, *_) in setups.items() if _kind(each) == kind), "")
            for kind in ("gpu", "cpu")
        }
        self._configurations = {kind: setups.get(setup, []) for kind, setup in self.setup.items()}
        self._measured: dict[tuple[str, str], dict[Spec, Configuration]] = {}
        self.engine = evidence.engine or EAGER
        self.counts = Counts(evidence.counted, count)
        self.with_flawed = with_flawed

    def get(self, spec: Spec, word: str, claim: Claim) -> Estimate | None:
        """A figure for a claim, None where there is none that may be compared."""
        if claim.is_counted:
            value = self.counts.value(spec, word, claim.formula)
            return None if value is None else Estimate(value, (value, value))
        configuration = self.measured(claim.device, word).get(spec)
        estimate = configuration.estimate(word) if configuration else None
        return estimate if estimate and (self.with_flawed or not estimate.flaws) else None

    def measured(self, kind: str, word: str) -> dict[Spec, Configuration]:
        """What was measured of networks on a kind of device: of a figure of one card, on that."""
        key = (kind, word)
        if key not in self._measured:
            alike = of_one_card(self._configurations[kind], word)
            self._measured[key] = {each.spec: each for each in alike}
        return self._measured[key]

    def unmeasured(self, claim: Claim) -> list[Spec]:
        """The networks of a claim that no record of its kind of device has, whatever its flags."""
        if claim.is_counted:
            return []
        there = [self.measured(claim.device, word) for word in claim.words]
        return [spec for spec in claim.specs if not all(spec in each for each in there)]

    def flagged(self, claim: Claim) -> list[str]:
        """The flaws for which figures of a claim are left out."""
        if claim.is_counted:
            return []
        estimates = [
            measured[spec].estimate(word)
            for word in claim.words
            for measured in [self.measured(claim.device, word)]
            for spec in claim.specs
            if spec in measured
        ]
        flaws = (flaw for estimate in estimates if estimate for flaw in estimate.flaws)
        return list(dict.fromkeys(flaws))


def verdicts_of(evidence: Evidence) -> list[Verdict]:
    """Judge all claims of the papers."""
    chosen = claims_of(None)
    estimates = Estimates(evidence, chosen)
    return [judge(claim, estimates) for claim in chosen]


def judge(claim: Claim, estimates: Estimates) -> Verdict:
    """Evaluate a claim on what there is."""
    return replace(_judged(claim, estimates), engine=estimates.engine)


def _judged(claim: Claim, estimates: Estimates) -> Verdict:
    if claim.why:
        return Verdict(claim, "not testable", reason=claim.why)
    evaluation = Evaluation(claim, estimates)
    wanted = len(claim.specs)
    known = sum(
        all(evaluation.estimate(spec, word) for word in claim.words) for spec in claim.specs
    )
    setup = "" if claim.is_counted else estimates.setup[claim.device]
    value = evaluation.value("value")
    if value is None:
        if claim.is_counted:
            return Verdict(
                claim, "not counted", known=known, wanted=wanted, reason=Reason.NOT_COUNTED
            )
        flaws = estimates.flagged(claim)
        needs = Reason.NEEDS_CUDA_DEVICE if claim.device == "gpu" else Reason.NEEDS_CPU_DEVICE
        reason = (
            f"flagged {', '.join(flaws)} (--flagged takes such figures)"
            if flaws
            else ""
            if setup
            else needs
        )
        return Verdict(
            claim, "not measured", known=known, wanted=wanted, reason=reason, setup=setup
        )
    interval = evaluation.interval()
    return Verdict(
        claim,
        _outcome(claim, interval),
        value,
        interval,
        known,
        wanted,
        setup=setup,
        flags=tuple(dict.fromkeys(evaluation.flags)),
    )


class Evaluation:
    """The value of one claim: the figures that it asks for, and what its kind computes of them."""

    def __init__(self, claim: Claim, estimates: Estimates) -> None:
        self.claim = claim
        self.estimates = estimates
        self.flags: list[Flag] = []

    def estimate(self, spec: Spec, word: str) -> Estimate | None:
        """A figure of a network, its flags kept."""
        estimate = self.estimates.get(spec, word, self.claim)
        self.flags += estimate.flags if estimate else ()
        return estimate

    def at(self, spec: Spec, side: Side, word: str = "") -> float | None:
        """A figure's value, or an end of its range."""
        estimate = self.estimate(spec, word or self.claim.metric)
        if estimate is None or side == "value":
            return estimate.value if estimate else None
        value = estimate.value
        low, high = estimate.interval or sorted(
            (value / (1 + REPEATABLE / 2), value * (1 + REPEATABLE / 2))
        )
        return low if side == "low" else high

    def ratio(self, left: Spec, right: Spec, side: Side, of: str = "") -> float | None:
        """The metric of one network over a figure of another, `of` or the metric too; None where
        either is not above 0.
        """
        above, below = self.at(left, side), self.at(right, OTHER[side], of)
        return _ratio(above, below)

    def value(self, side: Side) -> float | None:
        """The claim's value; at a low or high end that which the ranges of its figures allow."""
        match self.claim.kind:
            case "mean_ratio":
                return _mean(self._ratios(self.claim.pairs, side))
            case "least_ratio":
                ratios = self._ratios(self.claim.pairs, side)
                return min(ratios) if ratios and len(ratios) == len(self.claim.pairs) else None
            case "group_ratio":
                return self._group_ratio(side)
            case "ordering":
                return self._ordering(side)
            case "share":
                return self._share(side)
            case "part_below":
                return self._part_below(side)
            case "correlation":
                return spearman(*self._columns(side))

    def interval(self) -> Interval | None:
        """The range of the value; None where it cannot be told."""
        if self.claim.kind == "correlation":
            left, right = self._columns("value")
            return correlations([left], right)[0].interval
        low, high = self.value("low"), self.value("high")
        return (low, high) if low is not None and high is not None else None

    def _ratios(self, pairs: Iterable[Pair], side: Side, of: str = "") -> list[float]:
        """The ratios of those pairs that have one; at an end of the range none at all where it is
        not known of each of them.
        """
        there = [pair for pair in pairs if self.ratio(*pair, "value", of) is not None]
        ratios = [ratio for pair in there if (ratio := self.ratio(*pair, side, of)) is not None]
        return ratios if len(ratios) == len(there) else []

    def _all(self, specs: Iterable[Spec], side: Side, word: str = "") -> list[float]:
        return [value for spec in specs if (value := self.at(spec, side, word)) is not None]

    def _group_ratio(self, side: Side) -> float | None:
        left, right = (self.claim.groups[name] for name in ("left", "right"))
        above, below = _mean(self._all(left, side)), _mean(self._all(right, OTHER[side]))
        return _ratio(above, below)

    def _ordering(self, side: Side) -> float | None:
        """The first groups against the others where they lie nearest: least by most for more, most
        by least for less.
        """
        ours = [self._statistic(name, side) for name in self._names if name in self.claim.first]
        theirs = [
            self._statistic(name, OTHER[side])
            for name in self._names
            if name not in self.claim.first
        ]
        above, below = [x for x in ours if x is not None], [x for x in theirs if x is not None]
        if len(above) < len(ours) or len(below) < len(theirs) or not (above and below):
            return None
        nearest, other = (
            (min(above), max(below)) if self.claim.direction == "more" else (max(above), min(below))
        )
        return nearest / other if other > 0 and nearest >= 0 else None

    @property
    def _names(self) -> list[str]:
        return list(self.claim.paired or self.claim.groups)

    def _statistic(self, name: str, side: Side) -> float | None:
        """What an ordering compares of a group; None where a part of it is missing."""
        if self.claim.statistic == "ratio":
            pairs = self.claim.paired[name]
            ratios = self._ratios(pairs, side)
            return fmean(ratios) if len(ratios) == len(pairs) else None
        specs = self.claim.groups[name]
        values = self._all(specs, side)
        if len(values) < len(specs):
            return None
        return max(values) - min(values) if self.claim.statistic == "spread" else fmean(values)

    def _share(self, side: Side) -> float | None:
        specs = [spec for group in self.claim.groups.values() for spec in group]
        return _mean(self._ratios(zip(specs, specs, strict=True), side, self.claim.of))

    def _part_below(self, side: Side) -> float | None:
        values = [
            value for specs in self.claim.groups.values() for value in self._all(specs, OTHER[side])
        ]
        return _mean([float(value < self.claim.limit) for value in values])

    def _columns(self, side: Side) -> tuple[list[float], list[float]]:
        """The two columns of a correlation, of the networks that have both."""
        both = [
            (self.at(spec, side), self.at(spec, side, self.claim.of))
            for specs in self.claim.groups.values()
            for spec in specs
        ]
        there = [(left, right) for left, right in both if left is not None and right is not None]
        return [left for left, _ in there], [right for _, right in there]


def _outcome(claim: Claim, interval: Interval | None) -> Outcome:
    if interval is None:
        return "undecided"
    low, high = interval
    if claim.direction == "equal":
        least, most = (
            claim.reference / (1 + claim.tolerance),
            claim.reference * (1 + claim.tolerance),
        )
        return (
            "holds"
            if least <= low and high <= most
            else "fails"
            if high < least or low > most
            else "undecided"
        )
    if claim.direction == "less":
        low, high = -high, -low
    reference = -claim.reference if claim.direction == "less" else claim.reference
    return (
        "holds"
        if low > reference
        else "fails"
        if high < reference
        else "undecided"
        if low < high
        else "fails"
    )


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below and min(above, below) > 0 else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _kind(configuration: Configuration) -> str:
    return "cpu" if configuration.newest.environment.get("device") == "cpu" else "gpu"
