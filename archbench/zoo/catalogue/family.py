"""Read a family's `.toml` file, or a plug-in's `ENTRY`, into entries. Torch-free.

A family's file says, for all its networks (a row may say another of each but options, suffixes and
prefixes):

    builder = "resnet:resnet"     module:function beside the file
    source = "..."                paper and section, or public repository; every row has one, its
                                  own or its family's
    input, classes                defaults without a detector (backbones) or at all (detectors)
    note, approximate             remarks on what is built
    published_only                why a network is listed and cannot be built
    pattern                       a regular expression of names that carry their numbers, which its
                                  groups add to a row's `arguments`
    levels = ["c2", "c3"]         what a backbone offers: c3 is the deepest map at stride 8
    taps = ["c3", "c4", "c5"]     what a detector reads
    like = "resnet:resnet50"      file:network whose options and endings a backbone takes besides
                                  its own, and as whose family detectors treat it
    multiple, round_up            what a detector's sides must be multiples of, or are rounded up
                                  to a multiple of
    form                          how a detector stands on a backbone that no paper pairs it with,
                                  in a few words
    [options.NAME]                values (the first is the default) or type and default; help;
                                  only (the rows that take it) or except (those that do not),
                                  because
    [suffixes.NAME]               options (and input, classes, levels) of a name's ending that
                                  works on the whole family
    [prefixes.NAME]               options of a name's beginning, as se- in se-peleenext
    [on.FAMILY]                   what a detector does on a backbone of that family: the options
                                  it `sets` there, its own `defaults` of options and `arguments`,
                                  and its `builder`, `source`, `input`, `classes`, `taps`, `form`,
                                  `note` or `approximate` where that is another (also in a row, for
                                  one network)
    [networks.NAME]               a row: its numbers in `arguments`; `defaults` of options; the
                                  `options` that its name sets; aliases

A row with `same_as` is the network of a row above it with other `options`; `named` lists the
suffixed names worth listing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archbench.spec import UsageError
from archbench.zoo.catalogue.entry import (
    KINDS,
    Entry,
    Kind,
    Option,
    Options,
    Pairing,
    Suffix,
    check_known,
    with_defaults,
)
from archbench.zoo.catalogue.memory import remembered

FOLDERS: dict[Kind, Path] = {kind: Path(__file__).parent.parent / f"{kind}s" for kind in KINDS}
TEXTS = ("builder", "source", "input", "note", "approximate", "published_only", "pattern")
ROW_KEYS = (*TEXTS, "classes", "same_as", "multiple", "round_up", "form", "like")
"""What a row, or its family for all its rows, says of an entry in one word or number."""
LISTS = ("levels", "taps")
NOT_RENAMED = ("builder", "arguments", "defaults", "like", "pattern")
"""What is not read of a row that is another name for a network with options."""
CLASSIFIER = Option(
    "classifier",
    values=("linear", "conv"),
    default="linear",
    help="last layer of a classifier: linear, or a 1x1 convolution (then it counts in MAC (Eq. 1) "
    "and CIO)",
)


@dataclass(frozen=True)
class _Family:
    """What a table says of all its networks."""

    kind: Kind
    name: str
    plugin: str
    data: Mapping[str, Any]
    options: Mapping[str, Option]
    suffixes: tuple[Suffix, ...]
    prefixes: dict[str, Options]

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The networks' own tables, by name."""
        rows: Mapping[str, Mapping[str, Any]] = self.data["networks"]
        return rows

    def entry(self, name: str) -> Entry:
        """Read a row that is a network of its own."""
        row = self.rows[name]
        fields = _fields(self.data) | _fields(row)
        if not fields.get("source"):
            raise UsageError(f"{name} has no source: the paper and section, or the repository")
        likeness = _likeness(self.kind, fields.get("like", ""))
        taken = {key: option for key, option in self.options.items() if option.is_taken_by(name)}
        options = likeness.options | taken
        check_known(f"{name} takes", row.get("defaults", ()), options)
        return Entry(
            name,
            self.kind,
            self.name,
            plugin=self.plugin,
            aliases=tuple(row.get("aliases", ())),
            arguments=row.get("arguments", {}),
            options=with_defaults(options, row.get("defaults", {})),
            suffixes=(*self.suffixes, *likeness.suffixes),
            prefixes=self.prefixes,
            preset=_preset(name, row, options),
            on=_pairings(self.data.get("on", {}), row.get("on", {})),
            **fields,
        )

    def renamed(self, name: str, above: Mapping[str, Entry]) -> Entry:
        """Read a row that is another name for the network of one `above`, with options.

        Raises UsageError for one that says what is not read, or sets what another row sets: it
        would be built as that is.
        """
        row = self.rows[name]
        base = above.get(row["same_as"])
        if base is None or base.same_as:
            raise UsageError(
                f"{name}: invalid same_as {row['same_as']!r} (a row above it with no same_as)"
            )
        unread = [key for key in NOT_RENAMED if key in row]
        if unread:
            raise UsageError(
                f"{name} is {base.name} with options: it has no {unread[0]} of its own"
            )
        preset = base.preset | _preset(name, row, base.options)
        for other in above.values():
            is_kin = (other.same_as or other.name) == base.name
            if is_kin and _differing(base, other.preset) == _differing(base, preset):
                raise UsageError(
                    f"{name} has the options of {other.name}: give it others, or make it an alias"
                )
        tables = (self.data, self.rows[base.name], row)
        return replace(
            base,
            name=name,
            aliases=tuple(row.get("aliases", ())),
            preset=preset,
            on=_pairings(*(table.get("on", {}) for table in tables)),
            **_fields(row),
        )


def read_table(kind: Kind, name: str, data: Mapping[str, Any], plugin: str = "") -> list[Entry]:
    """Read one family's table into its entries, suffixed names included."""
    options = {key: _option(key, row) for key, row in data.get("options", {}).items()}
    if kind == "backbone":
        options.setdefault(CLASSIFIER.name, CLASSIFIER)
    family = _Family(
        kind,
        name,
        plugin,
        data,
        options,
        suffixes=tuple(_suffix(key, row) for key, row in data.get("suffixes", {}).items()),
        prefixes={key: dict(row["options"]) for key, row in data.get("prefixes", {}).items()},
    )
    entries: dict[str, Entry] = {}
    for key, row in family.rows.items():
        is_other = "same_as" in row
        entries[key] = family.renamed(key, entries) if is_other else family.entry(key)
        for ending in row.get("named", ()):
            entries[f"{key}-{ending}"] = with_suffixes(entries[key], f"-{ending}")
    return list(entries.values())


@remembered
def read_family(kind: Kind, name: str) -> tuple[Entry, ...]:
    """Read one of the zoo's files."""
    text = (FOLDERS[kind] / f"{name}.toml").read_text(encoding="utf-8")
    return tuple(read_table(kind, name, tomllib.loads(text)))


def with_suffixes(entry: Entry, text: str) -> Entry:
    """Give the entry under its name with endings such as -x0.25-wrn.

    Raises UsageError where the family has no such ending.
    """
    for piece in re.findall(r"-[^-]+", text):
        filled = ((suffix, suffix.filled(piece)) for suffix in entry.suffixes)
        fitting = [
            (s, preset)
            for s, preset in filled
            if preset is not None and preset.keys() <= entry.options.keys()
        ]
        if not fitting:
            raise UsageError(f"{entry.name} takes no suffix {piece}")
        suffix, preset = fitting[0]
        entry = replace(
            entry,
            name=entry.name + piece,
            aliases=(),
            same_as=entry.same_as or entry.name,
            preset=entry.preset | preset,
            input=suffix.input or entry.input,
            classes=entry.classes if suffix.classes is None else suffix.classes,
            # A network of fewer stages, such as resnet110, has the first of them.
            levels=suffix.levels[: len(entry.levels)] or entry.levels,
        )
    return entry


def _preset(name: str, row: Mapping[str, Any], options: Mapping[str, Option]) -> Options:
    """What a row's name sets its options to."""
    preset = row.get("options", {})
    check_known(f"{name} takes", preset, options)
    return {key: options[key].check(value) for key, value in preset.items()}


def _differing(base: Entry, preset: Options) -> Options:
    """Those of a name's options that differ from the defaults of what it is another name for."""
    return {key: value for key, value in preset.items() if value != base.options[key].default}


def _fields(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an entry that a table names as they are."""
    fields = {key: table[key] for key in ROW_KEYS if key in table}
    return fields | {key: tuple(table[key]) for key in LISTS if key in table}


def _option(name: str, data: Mapping[str, Any]) -> Option:
    values = tuple(data.get("values", ()))
    if "default" not in data and not values:
        raise UsageError(f"option {name} needs values or a default")
    return Option(
        name,
        values=values,
        type=data.get("type", ""),
        default=data["default"] if "default" in data else values[0],
        help=data.get("help", ""),
        only=tuple(data.get("only", ())),
        excepted=tuple(data.get("except", ())),
        because=data.get("because", ""),
    )


def _suffix(name: str, data: Mapping[str, Any]) -> Suffix:
    levels = tuple(data.get("levels", ()))
    return Suffix(name, dict(data["options"]), data.get("input"), data.get("classes"), levels)


def _pairings(*tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Pairing]:
    """Read `on` tables, the family's and the row's, into one pairing for each backbone family."""
    pairings = {}
    for family in dict.fromkeys(name for table in tables for name in table):
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


def _likeness(kind: Kind, like: str) -> Entry:
    """What a network takes of the one it is like: the options of that one, whatever else of its
    family takes them, and the endings.
    """
    if not like:
        return Entry("", kind, "")
    family, _, name = like.partition(":")
    is_known = (FOLDERS[kind] / f"{family}.toml").is_file()
    relatives = read_family(kind, family) if is_known else ()
    model = next((entry for entry in relatives if entry.name == name), None)
    if model is None:
        raise UsageError(f"invalid like {like!r} (FAMILY:NETWORK of an existing {kind})")
    options = {
        key: replace(option, only=(), excepted=(), because="")
        for key, option in model.options.items()
    }
    return replace(model, options=options)
