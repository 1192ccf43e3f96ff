"""What a plug-in's table may hold: the types of its entries, as `family` describes them. The zoo's
own files are held by its tests. Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta, ValidationError, convert

from archbench.spec import UsageError
from archbench.spelling import plainly
from archbench.zoo.catalogue.entry import MAX_NUMBER, Entry, check_known

BIG = 2**53
"""Above it, whole numbers and others are no longer told apart."""
Text = Annotated[str, Meta(max_length=10_000)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Size = Annotated[str, Meta(pattern=r"^[0-9]{1,7}([xX][0-9]{1,7})?$")]
Classes = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Multiple = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
Whole = Annotated[int, Meta(ge=-BIG, le=BIG)]
Value = bool | Whole | Annotated[float, Meta(ge=-BIG, le=BIG)] | Name
Values = dict[Name, Value]
Default = Value | Annotated[dict[Name, Values], Meta(min_length=1, max_length=1)]
Prefix = Annotated[str, Meta(pattern="^[a-z0-9-]+$")]
Ending = Annotated[str, Meta(pattern=r"^([a-z0-9.]|\{[a-z_][a-z0-9_]*\})+$")]

OptionForm = TypedDict(  # `except` is no name of a field.
    "OptionForm",
    {
        "values": list[Value],
        "type": Literal["int", "float"],
        "default": Default,
        "help": Text,
        "only": list[Name],
        "except": list[Name],
        "because": Text,
    },
    total=False,
)


class SuffixForm(TypedDict, total=False):
    """An ending of names."""

    options: Values
    input: Size
    classes: Classes
    levels: list[Name]


class PrefixForm(TypedDict):
    """A beginning of names."""

    options: Values


class PairingForm(TypedDict, total=False):
    """What a detector does on backbones of a family."""

    sets: Values
    defaults: dict[Name, Default]
    arguments: dict[Name, Any]
    builder: Name
    source: Text
    input: Size
    classes: Classes
    taps: list[Name]
    form: Text
    note: Text
    approximate: Text


class SharedForm(TypedDict, total=False):
    """What a row says, or a family for all its rows."""

    builder: Name
    source: Text
    input: Size
    classes: Classes
    note: Text
    approximate: Text
    published_only: Text
    pattern: Text
    multiple: Multiple
    round_up: Multiple
    form: Text
    like: Text
    levels: list[Name]
    taps: list[Name]
    on: dict[Name, PairingForm]


class RowForm(SharedForm, total=False):
    """A network."""

    same_as: Name
    aliases: list[Name]
    arguments: dict[Name, Any]
    defaults: dict[Name, Default]
    options: Values
    named: list[Name]


class _Networks(TypedDict):
    networks: Annotated[dict[Name, RowForm], Meta(min_length=1)]


class FamilyForm(SharedForm, _Networks, total=False):
    """A plug-in's table."""

    kind: Literal["backbone", "detector"]
    options: dict[Name, OptionForm]
    suffixes: dict[Ending, SuffixForm]
    prefixes: dict[Prefix, PrefixForm]


def check_table(data: Mapping[str, Any]) -> None:
    """Raise UsageError, which says where, for an entry of another type than it is to be."""
    try:
        convert(data, FamilyForm)
    except ValidationError as error:
        raise UsageError(f"its ENTRY is not that of a family: {plainly(error)}") from error
    _check_keys(data)
    rows = (data, *data["networks"].values())
    for pattern in (row["pattern"] for row in rows if "pattern" in row):
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(
                f"invalid pattern {pattern!r}, not a regular expression: {error}"
            ) from error


def check_entries(entries: Iterable[Entry]) -> None:
    """Raise UsageError for an entry without an input, or with a default that its option does not
    take.
    """
    entries = list(entries)
    of_any = {key for entry in entries for key in entry.options}
    for entry in entries:
        if not entry.input:
            raise UsageError(f"{entry.name} has no input, such as 320x320")
        for family, pairing in entry.on.items():
            # Of any row: what is said of all rows may be of options that some of them take.
            check_known(f"on {family}: {entry.name} takes", pairing.defaults, of_any)
        forms = [entry, *map(entry.on_family, entry.on)]
        for option in (option for form in forms for option in form.options.values()):
            choices: Mapping[str, Any] = {"": option.default}
            if isinstance(option.default, Mapping):
                (choices,) = option.default.values()
                if "else" not in choices:
                    raise UsageError(f"option {option.name} has no default for `else`")
            for value in choices.values():
                option.check(value)


def _check_keys(data: Mapping[str, Any]) -> None:
    """Raise UsageError for a key that nothing reads."""
    rows = data["networks"]
    pairings = [row.get("on", {}) for row in (data, *rows.values())]
    forms = [
        ("", {"ENTRY": data}, FamilyForm),
        ("", rows, RowForm),
        ("option ", data.get("options", {}), OptionForm),
        ("suffix ", data.get("suffixes", {}), SuffixForm),
        ("prefix ", data.get("prefixes", {}), PrefixForm),
        *(("on ", pairing, PairingForm) for pairing in pairings),
    ]
    for what, tables, form in forms:
        for name, table in tables.items():
            _check_known(table, form.__annotations__, f"{what}{name}")


def _check_known(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: no key {key}; there are {', '.join(known)}")
