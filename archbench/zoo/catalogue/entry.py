"""What the zoo knows of a network before it is built: `Entry`, its options, endings and pairings.
Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

from archbench.spec import OptionValue, UsageError, format_value, origin_of, parse_size
from archbench.spelling import did_you_mean
from archbench.zoo.catalogue.images import Images

Kind = Literal["backbone", "detector"]
Options = dict[str, OptionValue]

KINDS: tuple[Kind, ...] = ("backbone", "detector")
MAX_NUMBER = 2**20
"""The most that options and classes may be: more is a mistake, and overflows a tensor's size."""
BIGGEST = 2**63
"""What any number of a record is below."""
TYPES: dict[str, type] = {"int": int, "float": float}
TYPE_WORDS = {"int": "a whole number", "float": "a number"}


@dataclass(frozen=True)
class Option:
    """One keyword that a family takes: its values, its default, and which networks take it."""

    name: str
    values: tuple[OptionValue, ...] = ()
    type: str = ""
    default: Any = None
    help: str = ""
    only: tuple[str, ...] = ()
    """The rows that take it; empty: every row of the family."""
    excepted: tuple[str, ...] = ()
    """The rows that do not."""
    because: str = ""
    """Why not every row takes it."""
    is_required: bool = False
    """Whether there is no default."""
    is_free: bool = False
    """Whether it takes any value."""

    def is_taken_by(self, row: str) -> bool:
        """Whether a row of the family takes it."""
        return (not self.only or row in self.only) and row not in self.excepted

    @property
    def refusal(self) -> str:
        """What is said to a row that does not take it; empty where every row does."""
        if not self.only and not self.excepted:
            return ""
        takers = f", only {', '.join(self.only)}" if self.only else ""
        because = f": {self.because}" if self.because else ""
        return f"takes no option {self.name}{takers}{because}"

    def default_for(self, values: Mapping[str, OptionValue]) -> OptionValue:
        """Find the default beside the `values` of other options: a default may follow one of them.

        Among them are `classified` and `detected`, whether a classifier or a detector stands on a
        backbone, `small`, whether the input's shorter side is below 400, and `backbone`, the row
        that the backbone is a form of. `else` is the default beside any value that is not named,
        and where there is no such option.
        """
        default = self.default
        if isinstance(default, Mapping):
            key, choices = next(iter(default.items()))
            named = format_value(values[key]) if key in values else "else"
            default = choices[named if named in choices else "else"]
        result: OptionValue = default
        return result

    @property
    def follows(self) -> bool:
        """Whether the default depends on another option, so that it is settled after that one."""
        return isinstance(self.default, Mapping)

    def check(self, value: OptionValue) -> OptionValue:
        """Return `value` in the option's own type, or raise UsageError."""
        if self.is_free:
            return storable(self.name, value)
        if self.type:
            number = (
                value if isinstance(value, int | float) and not isinstance(value, bool) else None
            )
            if number is None or not 0 < number <= MAX_NUMBER or number != TYPES[self.type](number):
                raise UsageError(
                    f"invalid option {self.name}={format_value(value)} ({TYPE_WORDS[self.type]} "
                    f"above 0, at most {MAX_NUMBER})"
                )
            result: OptionValue = TYPES[self.type](number)
            return result
        for allowed in self.values:
            if format_value(allowed) == format_value(value):
                return allowed
        allowed_text = ", ".join(format_value(allowed) for allowed in self.values)
        raise UsageError(
            f"invalid option {self.name}={format_value(value)} (choose from {allowed_text})"
        )


def storable(name: str, value: OptionValue) -> OptionValue:
    """Return a value as it is; raises UsageError for a number that no record can hold."""
    if isinstance(value, int | float) and not (isfinite(value) and abs(value) < BIGGEST):
        raise UsageError(f"invalid option {name}={value} (numbers below 2**63)")
    return value


@dataclass(frozen=True)
class Suffix:
    """An ending that sets options on any network of a family: resnet50-v1 is resnet50 with
    stride_on=1x1.
    """

    name: str
    options: Options
    input: str | None = None
    classes: int | None = None
    levels: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """A regular expression for the ending; `{width}` in the name stands for a number."""
        return "-" + re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]+(?:\\.[0-9]+)?)", re.escape(self.name))

    def filled(self, text: str) -> Options | None:
        """Read the options out of an ending such as -x0.25, or None where it is another one."""
        match = re.fullmatch(self.pattern, text)
        if not match:
            return None
        return {
            key: float(match[key]) if value == f"{{{key}}}" else value
            for key, value in self.options.items()
        }

    def fits(self, values: Mapping[str, OptionValue]) -> Options | None:
        """The options that this ending stands for among `values`, or None where it does not
        describe them.
        """
        if not self.options.keys() <= values.keys():
            return None
        filled = {
            key: values[key] if value == f"{{{key}}}" else value
            for key, value in self.options.items()
        }
        return filled if all(values[key] == value for key, value in filled.items()) else None

    def spelled(self, values: Mapping[str, OptionValue]) -> str:
        """The ending as it is written for `values`."""
        return "-" + self.name.format(**values)


@dataclass(frozen=True)
class Pairing:
    """What a detector does on backbones of one family: options it sets on them, and what of its own
    is different there.

    `fields` are the entry's that are others there: builder, source, input, classes, taps and the
    like.
    """

    sets: Options = field(default_factory=dict)
    defaults: Options = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One network that the zoo knows by name."""

    name: str
    kind: Kind
    family: str
    plugin: str = ""
    like: str = ""
    builder: str = ""
    source: str = ""
    input: str = ""
    classes: int = 0
    aliases: tuple[str, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Option] = field(default_factory=dict)
    suffixes: tuple[Suffix, ...] = ()
    prefixes: dict[str, Options] = field(default_factory=dict)
    same_as: str | None = None
    preset: Options = field(default_factory=dict)
    pattern: str | None = None
    levels: tuple[str, ...] = ()
    taps: tuple[str, ...] = ()
    multiple: int = 1
    round_up: int = 1
    on: dict[str, Pairing] = field(default_factory=dict)
    form: str = ""
    note: str = ""
    approximate: str = ""
    published_only: str = ""
    is_open: bool = False
    """Whether it may take options besides those that are known."""
    told: dict[str, str] = field(default_factory=dict)
    """What a network from elsewhere is told of the spec, by the names of its arguments."""
    images: Images | None = None
    """The images that a network takes by its signature, where it has one."""
    why_no_input: str = ""
    """Why the default input of a network from elsewhere is not known, where it may have one."""

    @property
    def origin(self) -> str:
        """Where it is from, as a spec's `origin`."""
        return origin_of(self.name)

    @property
    def stands_as(self) -> str:
        """The family as which detectors treat a backbone."""
        return self.like.partition(":")[0] or self.family

    @property
    def size(self) -> tuple[int, int]:
        """The default input, width and height."""
        size = parse_size(self.input)
        assert size is not None, f"{self.name} has no default input"
        return size

    def opened(self, names: Iterable[str]) -> Entry:
        """The network with options of these names too, if it may take such."""
        if not self.is_open:
            return self
        unseen = {name: Option(name, is_free=True) for name in names if name not in self.options}
        return replace(self, options=self.options | unseen)

    def rounded(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size as the network takes it: sides rounded up where it pads images."""
        width, height = (-(-side // self.round_up) * self.round_up for side in size)
        return width, height

    def on_family(self, family: str) -> Entry:
        """The detector as it is on backbones of a family."""
        pairing = self.on.get(family, Pairing())
        options = with_defaults(self.options, pairing.defaults)
        return replace(
            self, options=options, arguments=self.arguments | pairing.arguments, **pairing.fields
        )


def unknown_option(takes: str, name: str, known: Iterable[str]) -> str:
    """Say who `takes` no such option ("resnet50 takes"), and which there are."""
    listed = sorted(known)
    there_are = f"there are {', '.join(listed)}" if listed else "there are none"
    return f"{takes} no option {name}; {did_you_mean(name, listed, there_are, at_most=1)}"


def check_known(takes: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise UsageError for the first name that is none of the `known` options."""
    for name in names:
        if name not in known:
            raise UsageError(unknown_option(takes, name, known))


def with_defaults(options: Mapping[str, Option], defaults: Options) -> dict[str, Option]:
    """Options with other defaults for some of them."""
    return {
        name: replace(option, default=defaults.get(name, option.default))
        for name, option in options.items()
    }
