"""What figures are made of: measured configurations of one setup, published figures, counted
layers, weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from archbench.reasons import Flag, Reason, Status
from archbench.records import Record
from archbench.report.data.configurations import Configuration, configurations, measured_setups
from archbench.report.data.statistics import Interval
from archbench.spec import Spec

Source = Literal["records", "paper", "both"]
Device = Literal["", "cpu", "gpu"]
MOST_GROUPS = 12
"""Groups up to which each has a looks of its own; the smallest beyond are one."""
OTHER = "other"
NAMED = 6
"""Networks that a remark names; it counts the rest."""


class Layer(Protocol):
    """A convolution or linear layer as it was called and counted for one image."""

    @property
    def path(self) -> str: ...
    @property
    def in_shape(self) -> tuple[int, ...]: ...
    @property
    def out_shape(self) -> tuple[int, ...]: ...
    @property
    def macs(self) -> int: ...


class Block(Protocol):
    """The layers that read one another's outputs: mean absolute weights by source (rows) and
    target, None where none connect.
    """

    @property
    def name(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> tuple[tuple[float | None, ...], ...]: ...


@dataclass(frozen=True)
class Choice:
    """What a figure of any two columns shows; empty: its own defaults. `log` names the axes with a
    logarithmic scale.
    """

    x: str = ""
    y: str = ""
    group: str = ""
    log: str = ""


@dataclass(frozen=True)
class Material:
    """What there is to make figures of, and what was asked for."""

    records: Sequence[Record] = ()
    source: Source = "records"
    choice: Choice = field(default_factory=Choice)
    networks: Sequence[Spec] = ()
    """Networks that were asked for in place of the figure's own."""
    layers: Callable[[Spec], Sequence[Layer]] | None = None
    """Counts the layers of a network."""
    blocks: Sequence[Block] = ()
    checkpoint: str = ""
    """What the blocks' weights were loaded from."""

    @property
    def wants_ours(self) -> bool:
        """Whether what was measured is to be shown."""
        return self.source != "paper"

    @property
    def wants_paper(self) -> bool:
        """Whether what was published is to be shown for its own sake."""
        return self.source != "records"

    @cached_property
    def configurations(self) -> list[Configuration]:
        """The records that ended well, repeats put together."""
        return [
            configuration
            for configuration in configurations(self.records)
            if configuration.status == Status.OK
        ]

    @cached_property
    def counted(self) -> dict[Spec, Configuration]:
        """For each network any configuration that was counted: counts depend on no device."""
        return {
            configuration.spec: configuration
            for configuration in self.configurations
            if configuration.newest.counted
        }


@dataclass(frozen=True)
class Value:
    """A figure and its interval, if it has one, of how many processes; or None and why."""

    value: float | None
    interval: Interval | None = None
    reason: Reason | None = None
    processes: int = 0


@dataclass(frozen=True)
class Selection:
    """The measured configurations of one setup by network; `elsewhere` counts those of other setups
    that were left out.
    """

    setup: str
    of: Mapping[Spec, Configuration]
    elsewhere: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.of)


NOTHING = Selection("", {}, {})


def measured(
    material: Material, specs: Collection[Spec], word: str, *, device: Device = ""
) -> Selection:
    """The configurations of networks that have a figure, all of the one setup that has most of
    them, then the newest.
    """
    wanted = set(specs)
    fitting = [
        configuration
        for configuration in material.configurations
        if configuration.spec in wanted
        and configuration.estimate(word)
        and (not device or is_on(configuration, device))
    ]
    setups = measured_setups(fitting)
    if not setups:
        return NOTHING
    (setup, chosen), *others = setups.items()
    return Selection(
        setup,
        {configuration.spec: configuration for configuration in chosen},
        {name: len(group) for name, group in others},
    )


def is_on(configuration: Configuration, device: Device) -> bool:
    """Whether it was measured on a CPU, or on another device."""
    return (configuration.newest.environment.get("device") == "cpu") == (device == "cpu")


def value_of(configuration: Configuration, word: str, *, scale: float = 1.0) -> Value:
    """A figure in a scaled unit; counted ones have no interval."""
    estimate = configuration.estimate(word)
    if estimate is None:
        return Value(None, reason=configuration.reason(word))
    bounds = None if estimate.is_counted else estimate.interval
    interval = (bounds[0] * scale, bounds[1] * scale) if bounds else None
    return Value(estimate.value * scale, interval, processes=estimate.processes)


def why_missing(values: Iterable[Value]) -> str:
    """Say in words and codes why some values are not there."""
    reasons = dict.fromkeys(
        value.reason for value in values if value.value is None and value.reason
    )
    return ", ".join(map(_said, reasons))


def _said(reason: Reason) -> str:
    plain = reason.replace("_", " ")
    return plain if reason.text in (reason, plain) else f"{reason.text} ({reason})"


def listed(names: Sequence[str]) -> str:
    """Name some and count the rest."""
    return ", ".join(names[:NAMED]) + (
        f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    )


def bars_remark(values: Iterable[Value]) -> list[str]:
    """What error bars mean, where there are any."""
    processes = [value.processes for value in values if value.interval]
    if not processes:
        return []
    return [
        "Error bars: 95 % confidence interval of the median"
        + (", or the range of the medians of several processes." if max(processes) > 1 else ".")
    ]


def left_out(selection: Selection) -> list[str]:
    """The setups whose records are not shown."""
    if not selection.elsewhere:
        return []
    return [
        "Left out, from other devices or settings: "
        f"{'; '.join(f'{count} on {name}' for name, count in selection.elsewhere.items())}."
    ]


def flags_remark(
    selection: Selection, words: Sequence[str], drawn: Collection[Spec] | None = None
) -> list[str]:
    """The flags of the figures that are shown, and of how many networks: of those that are drawn,
    where not all of the selection are.
    """
    flagged = []
    for spec, configuration in selection.of.items():
        estimates = [configuration.estimate(word) for word in words]
        if any(estimates) and (drawn is None or spec in drawn):
            flagged.append([flag for each in estimates if each for flag in each.flags])
    return flags_said(flagged)


def flags_said(flagged: Iterable[Iterable[Flag]]) -> list[str]:
    """Say of how many of what is drawn the figures have each flag, by the flags of each."""
    flagged = list(flagged)
    counts = Counter(flag for flags in flagged for flag in dict.fromkeys(flags))
    if not counts:
        return []
    shares = (f"{flag} ({count} of {len(flagged)})" for flag, count in sorted(counts.items()))
    return [f"Flags: {', '.join(shares)}."]


def groups_of(values: Iterable[str]) -> dict[str, str]:
    """Give the group of each value, the largest first: itself, or "other" where there are too many
    to tell apart.
    """
    ranked = [value for value, _ in Counter(values).most_common()]
    kept = ranked if len(ranked) <= MOST_GROUPS else ranked[: MOST_GROUPS - 1]
    return {value: value if value in kept else OTHER for value in ranked}
