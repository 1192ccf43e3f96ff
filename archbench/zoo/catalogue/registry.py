"""What can be built: names, aliases, options and defaults, read from the `.toml` files of the zoo.
Torch-free.

`resolve` turns what a user wrote into a `Spec` in normal form; `values` and `find` give `assemble`
what it needs to build it.

A family's file says, for all its networks (a row may override `builder`, `source`, `input`,
`classes`):

    builder = "resnet:resnet"     module:function beside the file
    source = "..."                paper and section, or public repository
    input, classes                defaults without a detector (backbones) or at all (detectors)
    levels = ["c2", "c3"]         what a backbone offers: c3 is the deepest map at stride 8
    taps = ["c3", "c4", "c5"]     what a detector reads
    like = "resnet:resnet50"      file:network whose options and endings a backbone takes besides
                                  its own, and as whose family detectors treat it
    multiple, round_up            what a detector's sides must be multiples of, or are rounded up
                                  to a multiple of
    form                          how a detector stands on a backbone that no paper pairs it with,
                                  in a few words
    [options.NAME]                values (the first is the default) or type and default; help;
                                  only, because
    [suffixes.NAME]               options (and input, classes) of a name's ending that works on
                                  the whole family
    [on.FAMILY]                   what a detector does on a backbone of that family: the options
                                  it `sets` there, its own `defaults` of options and `arguments`,
                                  and its `builder`, `input`, `classes`, `taps` or `note` where
                                  that is another (also in a row, for one network)
    [networks.NAME]               a row: its numbers in `arguments`; `defaults` of options;
                                  aliases; note, approximate or published_only

A row with `same_as` is another name for a network with `options`; `named` lists the suffixed names
worth listing.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from archbench.spec import OptionValue, Spec, UsageError, format_value, parse_size

Kind = Literal["backbone", "detector"]
Options = dict[str, OptionValue]

FOLDERS: dict[Kind, Path] = {
    kind: Path(__file__).parent.parent / f"{kind}s" for kind in ("backbone", "detector")
}
MAX_BATCH = 2**40
MAX_NUMBER = 2**20
"""The most that options and classes may be: more is a mistake, and overflows a tensor's size."""
SMALL_SIDE = 400
"""Below it, detectors of two sets of layers have the smaller one, that for 300 or 321."""
MODES = ("infer", "train")
PLUGIN_FILES = "ARCHBENCH_PLUGINS"
"""The environment variable that names plug-in files, in the form of PATH, so that the processes of
jobs know them too.
"""
PLUGIN_GROUP = "archbench.plugins"
"""The entry points by which installed packages offer plug-in modules."""
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
    because: str = ""

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
        if self.type:
            number = (
                value if isinstance(value, int | float) and not isinstance(value, bool) else None
            )
            if (
                number is None
                or not isfinite(number)
                or number != TYPES[self.type](number)
                or not 0 < number <= MAX_NUMBER
            ):
                raise UsageError(
                    f"option {self.name}={format_value(value)}: it takes {TYPE_WORDS[self.type]} "
                    f"above 0, at most {MAX_NUMBER}"
                )
            result: OptionValue = TYPES[self.type](number)
            return result
        for allowed in self.values:
            if format_value(allowed) == format_value(value):
                return allowed
        allowed_text = ", ".join(format_value(allowed) for allowed in self.values)
        raise UsageError(f"option {self.name}={format_value(value)}: it takes {allowed_text}")


@dataclass(frozen=True)
class Suffix:
    """An ending that sets options on any network of a family: resnet50-v1 is resnet50 with
    stride_on=1x1.
    """

    name: str
    options: Options
    input: str | None = None
    classes: int | None = None

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

    def rounded(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size as the network takes it: sides rounded up where it pads images."""
        width, height = (-(-side // self.round_up) * self.round_up for side in size)
        return width, height

    def on_family(self, family: str) -> Entry:
        """The detector as it is on backbones of a family."""
        pairing = self.on.get(family, Pairing())
        options = _with_defaults(self.options, pairing.defaults)
        return replace(
            self, options=options, arguments=self.arguments | pairing.arguments, **pairing.fields
        )


def fold(name: str) -> str:
    """Bring a name to the form in which names are compared: letters and digits, lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


CLASSIFIER = Option(
    "classifier",
    values=("linear", "conv"),
    default="linear",
    help="last layer of a classifier: linear, or a 1x1 convolution (then it counts in MAC (Eq. 1) "
    "and CIO)",
)


def _option(name: str, data: Mapping[str, Any]) -> Option:
    values = tuple(data.get("values", ()))
    default = data["default"] if "default" in data else values[0]
    settings = {key: data[key] for key in ("type", "help", "because") if key in data}
    return Option(
        name, values=values, default=default, only=tuple(data.get("only", ())), **settings
    )


def _suffix(name: str, data: Mapping[str, Any]) -> Suffix:
    return Suffix(name, dict(data["options"]), data.get("input"), data.get("classes"))


def _with_defaults(options: Mapping[str, Option], defaults: Options) -> dict[str, Option]:
    """Options with other defaults for some of them."""
    return {
        name: replace(option, default=defaults.get(name, option.default))
        for name, option in options.items()
    }


def _pairings(*tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Pairing]:
    """Read `on` tables, the family's and the row's, into one pairing for each backbone family."""
    pairings = {}
    for family in {name for table in tables for name in table}:
        parts = [table[family] for table in tables if family in table]
        kinds = ("sets", "defaults", "arguments")
        merged = {
            kind: {key: value for part in parts for key, value in part.get(kind, {}).items()}
            for kind in kinds
        }
        fields = {key: value for part in parts for key, value in part.items() if key not in kinds}
        if "taps" in fields:
            fields["taps"] = tuple(fields["taps"])
        pairings[family] = Pairing(**merged, fields=fields)
    return pairings


ROW_KEYS = (
    "builder",
    "source",
    "input",
    "classes",
    "note",
    "approximate",
    "published_only",
    "pattern",
    "same_as",
    "multiple",
    "round_up",
    "form",
    "like",
)


def _family(kind: Kind, family: str, data: Mapping[str, Any], plugin: str = "") -> list[Entry]:
    """Read one family's table into its entries, suffixed names included."""
    options = {name: _option(name, row) for name, row in data.get("options", {}).items()}
    if kind == "backbone":
        options.setdefault("classifier", CLASSIFIER)
    suffixes = tuple(_suffix(name, row) for name, row in data.get("suffixes", {}).items())
    prefixes = {name: dict(row["options"]) for name, row in data.get("prefixes", {}).items()}
    networks = data["networks"]
    entries: dict[str, Entry] = {}
    for name, row in networks.items():
        own = {key: row[key] for key in ROW_KEYS if key in row}
        own |= {key: tuple(row[key]) for key in ("levels", "taps") if key in row}
        aliases, preset = tuple(row.get("aliases", ())), dict(row.get("options", {}))
        if "same_as" in row:
            base = entries[row["same_as"]]
            pairings = _pairings(
                data.get("on", {}), networks[base.name].get("on", {}), row.get("on", {})
            )
            entry = replace(base, name=name, aliases=aliases, preset=preset, on=pairings, **own)
        else:
            merged = {key: data[key] for key in ROW_KEYS if key in data}
            merged |= {key: tuple(data[key]) for key in ("levels", "taps") if key in data}
            merged |= own
            taken = {
                key: option
                for key, option in options.items()
                if not option.only or name in option.only
            }
            likeness = _likeness(kind, merged.get("like", ""))
            entry = Entry(
                name,
                kind,
                family,
                plugin=plugin,
                aliases=aliases,
                arguments=row.get("arguments", {}),
                options=_with_defaults(likeness.options | taken, row.get("defaults", {})),
                suffixes=(*suffixes, *likeness.suffixes),
                prefixes=prefixes,
                preset=preset,
                on=_pairings(data.get("on", {}), row.get("on", {})),
                **merged,
            )
        entries[name] = entry
        for ending in row.get("named", ()):
            entries[f"{name}-{ending}"] = _with_suffixes(entry, f"-{ending}")
    return list(entries.values())


def _likeness(kind: Kind, like: str) -> Entry:
    """What a network takes of the one it is like: the options of that one, whatever else of its
    family takes them, and the endings.
    """
    if not like:
        return Entry("", kind, "")
    family, _, name = like.partition(":")
    found = next(entry for entry in _read(kind, family) if entry.name == name)
    return replace(
        found,
        options={
            key: replace(option, only=(), because="") for key, option in found.options.items()
        },
    )


def _with_suffixes(entry: Entry, text: str) -> Entry:
    """The entry under its name with endings such as -x0.25-wrn; UsageError where the family has no
    such ending.
    """
    for piece in re.findall(r"-[^-]+", text):
        filled = ((suffix, suffix.filled(piece)) for suffix in entry.suffixes)
        fitting = [
            (s, preset)
            for s, preset in filled
            if preset is not None and preset.keys() <= entry.options.keys()
        ]
        if not fitting:
            raise UsageError(f"{entry.name} takes no ending {piece}")
        suffix, preset = fitting[0]
        entry = replace(
            entry,
            name=entry.name + piece,
            aliases=(),
            same_as=entry.same_as or entry.name,
            preset=entry.preset | preset,
            input=suffix.input or entry.input,
            classes=entry.classes if suffix.classes is None else suffix.classes,
        )
    return entry


def plugins() -> tuple[str, ...]:
    """What adds networks from outside: files that were asked for, then modules that installed
    packages offer.
    """
    asked = os.environ.get(PLUGIN_FILES, "").split(os.pathsep)
    offered = sorted(point.value for point in metadata.entry_points(group=PLUGIN_GROUP))
    return tuple(dict.fromkeys([*filter(None, asked), *offered]))


def use_plugin(file: str | Path) -> None:
    """Add the networks of a Python file, for this process and those that it starts.

    The file holds a text `ENTRY` in the form of a family's file, with `kind` ("backbone" or
    "detector", the default) and builders named without a module, and the builders. It is read
    without being run until one of its networks is built. Raises UsageError where it cannot be read
    or has a name that is taken.
    """
    path = str(Path(file).resolve())
    before = os.environ.get(PLUGIN_FILES, "")
    os.environ[PLUGIN_FILES] = os.pathsep.join(
        dict.fromkeys([*filter(None, before.split(os.pathsep)), path])
    )
    forget()
    try:
        for kind in FOLDERS:
            _index(kind)
    except UsageError:
        os.environ[PLUGIN_FILES] = before
        forget()
        raise


def forget() -> None:
    """Read the files anew when they are next asked for."""
    _plugged.cache_clear()
    _read.cache_clear()
    entries.cache_clear()
    _index.cache_clear()


@cache
def _plugged() -> tuple[Entry, ...]:
    """The entries of all plug-ins."""
    return tuple(entry for plugin in plugins() for entry in _read_plugin(plugin))


def _read_plugin(plugin: str) -> list[Entry]:
    """Read a plug-in's `ENTRY` out of its source."""
    try:
        path = (
            Path(plugin)
            if plugin.endswith(".py")
            else Path(str(importlib.util.find_spec(plugin).origin))  # type: ignore[union-attr]
        )
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            and any(isinstance(name, ast.Name) and name.id == "ENTRY" for name in node.targets)
        ]
        if not texts:
            raise UsageError(f"plug-in {plugin} has no ENTRY, the text that says what it adds")
        data = tomllib.loads(texts[0])
        kind: Kind = data.get("kind", "detector")
        if kind not in FOLDERS:
            raise UsageError(f"plug-in {plugin}: its kind is {kind!r}, not backbone or detector")
        return _family(kind, path.stem, data, plugin)
    except OSError as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error.strerror}") from None
    except (SyntaxError, tomllib.TOMLDecodeError, ImportError) as error:
        raise UsageError(f"plug-in {plugin} cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"plug-in {plugin}: its ENTRY is not that of a family: {type(error).__name__} {error}"
        ) from None


@cache
def _read(kind: Kind, family: str) -> tuple[Entry, ...]:
    """The entries of one of the zoo's files."""
    return tuple(
        _family(
            kind,
            family,
            tomllib.loads((FOLDERS[kind] / f"{family}.toml").read_text(encoding="utf-8")),
        )
    )


@cache
def entries(kind: Kind) -> tuple[Entry, ...]:
    """Every entry of a kind: families in alphabetical order, rows in the order of their file, then
    those of plug-ins.
    """
    own = [
        entry for path in sorted(FOLDERS[kind].glob("*.toml")) for entry in _read(kind, path.stem)
    ]
    return (*own, *(entry for entry in _plugged() if entry.kind == kind))


@cache
def _index(kind: Kind) -> dict[str, Entry]:
    """Entries by folded name and alias; two that fold alike are a mistake in the files."""
    index: dict[str, Entry] = {}
    for entry in entries(kind):
        for name in (entry.name, *entry.aliases):
            if index.setdefault(fold(name), entry) is not entry:
                if entry.plugin:
                    raise UsageError(
                        f"plug-in {entry.plugin}: there is a {kind} called {name} already"
                    )
                raise ValueError(f"two networks are called {name}")
    return index


def find(kind: Kind, name: str) -> Entry:
    """Find a network by any spelling of its name, or raise UsageError with names that are near
    it.
    """
    entry = _index(kind).get(fold(name))
    if entry and kind == "backbone" and entry.name != _hyphenated(name):
        # Folding drops hyphens and points: resnet50-x10 is no resnet50-x1.0, ds-6-464-16-1 no
        # ds-64-64-16-1.
        entry = _patterned(kind, name) or _suffixed(kind, name) or entry
    entry = entry or _patterned(kind, name)
    if entry is None and kind == "backbone":
        entry = _suffixed(kind, name) or _run_together(kind, name) or _prefixed(kind, name)
    if entry is None:
        near = _near(fold(name), {e.name: fold(e.name) for e in entries(kind)})
        other: Kind = "detector" if kind == "backbone" else "backbone"
        hint = (
            f"; did you mean {' or '.join(near)}?"
            if near
            else f"; archbench list shows every {kind}"
        )
        if fold(name) in _index(other):
            hint = f": it is a {other}"
        raise UsageError(f"no {kind} is called {name!r}{hint}")
    return entry


def _near(folded: str, names: Mapping[str, str]) -> list[str]:
    close = difflib.get_close_matches(folded, names.values(), n=2, cutoff=0.6)
    return [name for name in names if names[name] in close]


def _patterned(kind: Kind, name: str) -> Entry | None:
    """Read a name that carries its numbers, such as osa-12x21 or osa12x21."""
    text = re.sub(r"^([a-z]+)(?=\d)", r"\1-", _hyphenated(name))
    for entry in entries(kind):
        match = re.fullmatch(entry.pattern, text) if entry.pattern else None
        if match:
            numbers = {
                key: float(value) if "." in value else int(value)
                for key, value in match.groupdict().items()
            }
            return replace(entry, name=match[0], aliases=(), arguments=entry.arguments | numbers)
    return None


def _hyphenated(name: str) -> str:
    """A name as canonical ones are written: lower case with hyphens."""
    return re.sub(r"[_\s]+", "-", name.strip().lower())


def _suffixed(kind: Kind, written: str) -> Entry | None:
    """Read a registered name with endings that no row lists, such as resnet38-v1."""
    text = _hyphenated(written)
    spellings = [(name, entry) for entry in entries(kind) for name in (entry.name, *entry.aliases)]
    for name, entry in sorted(spellings, key=lambda spelling: -len(spelling[0])):
        if not text.startswith(f"{name}-"):
            continue
        try:
            return _with_suffixes(entry, text[len(name) :])
        except UsageError:
            continue
    return None


def _run_together(kind: Kind, written: str) -> Entry | None:
    """Read a registered name with endings and no hyphens, such as resnet38v1 or resnet101x2.0."""
    text = _without_marks(written)
    spellings = [
        (_without_marks(name), entry)
        for entry in entries(kind)
        for name in (entry.name, *entry.aliases)
    ]
    for name, entry in sorted(spellings, key=lambda spelling: -len(spelling[0])):
        if not text.startswith(name):
            continue
        ending = "|".join(
            re.sub(r"\(\?P<\w+>", "(?:", suffix.pattern).removeprefix("-")
            for suffix in entry.suffixes
        )
        if ending and re.fullmatch(f"(?:{ending})+", text[len(name) :]):
            try:
                return _with_suffixes(
                    entry, "".join(f"-{piece}" for piece in re.findall(ending, text[len(name) :]))
                )
            except UsageError:
                continue
    return None


def _without_marks(name: str) -> str:
    """A name folded but for points, which numbers have."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())


def _prefixed(kind: Kind, written: str) -> Entry | None:
    """Read a name with a beginning that sets options, such as se-peleenext."""
    beginnings = {
        prefix: preset for entry in entries(kind) for prefix, preset in entry.prefixes.items()
    }
    for prefix, preset in beginnings.items():
        match = re.fullmatch(rf"{prefix}[^a-z0-9]*(.+)", _hyphenated(written))
        if not match:
            continue
        try:
            entry = find(kind, match[1])
        except UsageError:
            continue
        if preset.keys() <= entry.options.keys():
            return replace(
                entry,
                name=f"{prefix}-{entry.name}",
                aliases=(),
                same_as=entry.same_as or entry.name,
                preset=entry.preset | preset,
            )
    return None


def find_detector(name: str) -> tuple[Entry, int | None]:
    """Find a detector by name and the side of its input where the name ends in one:
    refinedet320.
    """
    if fold(name) in _index("detector"):
        return find("detector", name), None
    sized = re.fullmatch(r"(.*?)[-_ ]?(\d+x\d+)", name.strip().lower())
    if sized:
        raise UsageError(
            f"no detector is called {name!r}; an oblong input is given by itself: {sized[1]} "
            f"--size {sized[2]}"
        )
    folded = fold(name)
    digits = len(folded) - len(folded.rstrip("0123456789"))
    for cut in range(len(folded) - 1, len(folded) - digits - 1, -1):
        if folded[:cut] in _index("detector"):
            return find("detector", folded[:cut]), int(folded[cut:])
    return find("detector", re.sub(r"[^a-zA-Z]*\d{3,}$", "", name) or name), None


def resolve(
    backbone: str,
    detector: str | None = None,
    *,
    size: str | int | tuple[int, int] | None = None,
    classes: int | None = None,
    batch: int = 1,
    mode: Literal["infer", "train"] = "infer",
    **options: OptionValue,
) -> Spec:
    """Turn what was asked into a spec in normal form; raises UsageError for what cannot be.

    `size` is a side, (width, height) or their text; `classes` counts foreground classes, 0 without
    a detector is the trunk alone; `options` are those of the backbone and of the detector together.
    """
    base = find("backbone", backbone)
    head, side = find_detector(detector) if detector is not None else (None, None)
    for entry in filter(None, (base, head)):
        if entry.published_only:
            raise UsageError(f"{entry.name} cannot be built: {entry.published_only}")
    asked = parse_size(size)
    named_size = parse_size(side)
    if asked and named_size and asked != named_size:
        raise UsageError(
            f"{detector} asks for {side}x{side} and the size for {asked[0]}x{asked[1]}: leave one "
            "out"
        )
    if mode not in MODES:
        raise UsageError(f"mode {mode!r} is none of {', '.join(MODES)}")
    if not 1 <= batch < MAX_BATCH:
        raise UsageError(f"batch is {batch}: it must be 1 or more and below 2**40")
    if classes is not None and classes < (1 if head else 0):
        least = "1 or more" if head else "0 (the trunk alone) or more"
        raise UsageError(f"classes is {classes}: it must be {least}")
    if classes is not None and classes > MAX_NUMBER:
        raise UsageError(f"classes is {classes}: it must be at most {MAX_NUMBER}")
    given = _split(base, head, options)
    classified = head is None and (base.classes if classes is None else classes) > 0
    if "classifier" in options and not classified:
        where = f"under {head.name}" if head else "with classes=0"
        raise UsageError(f"option classifier: there is no classifier {where}")
    first = head.on_family(base.stands_as) if head else base
    on_base, on_head = _surroundings(
        base, head, first.rounded(asked or named_size or first.size), classified=classified
    )
    if head:
        # Its name decides what it sets on the backbone: dsod with prediction=plain is dsod-plain.
        head, _ = _normal(head, given["detector"], on_head)
        on_base = replace(on_base, sets=_sets(base, head))
    of_base = _settle(base, given["backbone"], on_base)
    base, left = _normal(base, given["backbone"], on_base)
    owner = base
    if head:
        head, more = _normal(
            head, given["detector"], replace(on_head, values=of_base | on_head.values)
        )
        left |= more
        owner = head.on_family(base.stands_as)
    width, height = owner.rounded(asked or named_size or owner.size)
    if width % owner.multiple or height % owner.multiple:
        raise UsageError(
            f"{owner.name} takes sides that are multiples of {owner.multiple}, not {width}x{height}"
        )
    return Spec(
        backbone=base.name,
        detector=head.name if head else None,
        width=width,
        height=height,
        classes=owner.classes if classes is None else classes,
        batch=batch,
        mode=mode,
        options=tuple(sorted(left.items())),
    )


def _split(base: Entry, head: Entry | None, options: Options) -> dict[Kind, Options]:
    """Hand each option to whichever of the two declares it, checked; an option that neither
    declares is an error.
    """
    owners: list[Entry] = [entry for entry in (base, head) if entry]
    given: dict[Kind, Options] = {"backbone": {}, "detector": {}}
    for key, value in options.items():
        takers = [entry for entry in owners if key in entry.options]
        if not takers:
            raise UsageError(_unknown_option(key, owners))
        for entry in takers:
            given[entry.kind][key] = entry.options[key].check(value)
    return given


def _unknown_option(key: str, owners: Iterable[Entry]) -> str:
    names = " and ".join(entry.name for entry in owners)
    for entry in owners:
        for other in entries(entry.kind):
            option = other.options.get(key)
            if other.family == entry.family and option and option.only:
                because = f": {option.because}" if option.because else ""
                return f"{entry.name} takes no option {key}, only {', '.join(option.only)}{because}"
    known = sorted({name for entry in owners for name in entry.options})
    near = difflib.get_close_matches(key, known, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"there are {', '.join(known)}"
        if known
        else "there are none"
    )
    return f"{names} takes no option {key}; {hint}"


@dataclass(frozen=True)
class Surroundings:
    """What defaults depend on beyond an entry: what a detector sets on it; or, for a detector, its
    backbone's family and options.
    """

    sets: Options = field(default_factory=dict)
    values: Options = field(default_factory=dict)
    family: str | None = None


def _surroundings(
    base: Entry, head: Entry | None, size: tuple[int, int], *, classified: bool
) -> tuple[Surroundings, Surroundings]:
    """What the defaults of a backbone and those of the detector on it depend on; the backbone's
    options are still to be added.
    """
    common: Options = {
        "classified": classified,
        "detected": head is not None,
        "small": min(size) < SMALL_SIDE,
        "backbone": base.same_as or base.name,
    }
    return Surroundings(sets=_sets(base, head), values=common), Surroundings(
        values=common, family=base.stands_as
    )


def _settle(entry: Entry, given: Options, around: Surroundings) -> Options:
    """Every option of an entry with its value: what was given, else the name's, else what the
    detector sets, else the default.
    """
    entry = entry.on_family(around.family) if around.family else entry
    chosen = around.sets | entry.preset | given
    values: Options = {}
    for option in sorted(entry.options.values(), key=lambda option: option.follows):
        values[option.name] = (
            chosen[option.name]
            if option.name in chosen
            else option.default_for(around.values | values)
        )
    return values


def _sets(base: Entry, head: Entry | None) -> Options:
    """What a detector fills in on a backbone, as far as the backbone has such options."""
    sets = head.on[base.stands_as].sets if head and base.stands_as in head.on else {}
    return {key: value for key, value in sets.items() if key in base.options}


def _normal(entry: Entry, given: Options, around: Surroundings) -> tuple[Entry, Options]:
    """The shortest way to write a network: under the name that covers most of its options, a listed
    one first, and the rest.
    """
    values = _settle(entry, given, around)
    root = entry.same_as or entry.name
    rows = [row for row in entries(entry.kind) if (row.same_as or row.name) == root] or [entry]
    spellings: list[tuple[bool, str, Options]] = []
    for row in rows:
        covered = {key: values.get(key) for key in row.preset}
        if covered != row.preset:
            continue
        name = row.name
        left = _unsaid(row, values, around)
        for suffix in row.suffixes:
            fits = suffix.fits(values)
            if fits and fits.keys() & left.keys():
                name += suffix.spelled(values)
                left = {key: value for key, value in left.items() if key not in fits}
        listed = fold(name) in _index(entry.kind)
        spellings.append((not listed, name, left))
    _, name, left = min(spellings, key=lambda spelling: (len(spelling[2]), spelling[0]))
    return find(entry.kind, name), left


def _unsaid(entry: Entry, values: Options, around: Surroundings) -> Options:
    """Those of an entry's `values` that neither what is said already nor the defaults beside the
    other values imply.
    """
    entry = entry.on_family(around.family) if around.family else entry
    said = around.sets | entry.preset
    implied = {
        name: said.get(name, option.default_for(around.values | values))
        for name, option in entry.options.items()
    }
    return {name: value for name, value in values.items() if implied[name] != value}


def values(spec: Spec) -> tuple[Options, Options]:
    """Every option of a spec's backbone and of its detector with its value, defaults filled in."""
    base = find("backbone", spec.backbone)
    head = find("detector", spec.detector) if spec.detector else None
    given = _split(base, head, dict(spec.options))
    classified = head is None and spec.classes > 0
    on_base, on_head = _surroundings(base, head, (spec.width, spec.height), classified=classified)
    of_base = _settle(base, given["backbone"], on_base)
    return of_base, _settle(
        head, given["detector"], replace(on_head, values=of_base | on_head.values)
    ) if head else {}
