"""The tables of a suite's TOML file: what they may hold, read with the file and the place in it for
what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from archbench.engine_names import EAGER, canonical, check_engine
from archbench.papers.member import Member, resolved
from archbench.spec import FILE, FLAGS, OptionValue, UsageError, origin_of, parse_size
from archbench.spelling import did_you_mean
from archbench.zoo import catalogue

NETWORK: dict[str, tuple[type, ...]] = {
    "backbone": (str,),
    "detector": (str,),
    "size": (int, str),
    "classes": (int,),
    "batch": (int,),
    "mode": (str,),
}
"""The keys of a network in a suite's file and the types of their values; its options have a table.
"""
LARGE = 2**63
"""No whole number here is as large."""
MOST_ROWS = 10_000
"""Networks that a suite has at most."""
OPTION_TYPES = (bool, int, float, str)
TYPE_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Table:
    """A table of a TOML file, and the words for where it stands."""

    where: str
    data: dict[str, Any]
    folder: str = "."
    """The file's folder, to which the names of a user's own files are relative."""

    def error(self, message: str) -> UsageError:
        """Give an error that names the file and the place in it."""
        return UsageError(f"{self.where}: {message}")

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Let errors of what knows no file name it and the place in it."""
        try:
            yield
        except UsageError as error:
            raise self.error(str(error)) from None

    def check_keys(self, *known: str) -> None:
        """Raise UsageError for a key that is none of the known."""
        for key in self.data:
            if key not in known:
                hint = did_you_mean(key, known, f"there are {', '.join(known)}", at_most=1)
                raise self.error(f"no key {key}; {hint}")

    def values(self, key: str, types: tuple[type, ...]) -> list[Any]:
        """The values under a key, one or a list of them; none where it is not there."""
        listed = self.data.get(key, [])
        listed = listed if isinstance(listed, list) else [listed]
        for value in listed:
            if type(value) not in types:
                raise self.error(
                    f"{key} is {value!r}: it takes "
                    f"{' or '.join(TYPE_WORDS[kind] for kind in types)}"
                )
            if isinstance(value, int) and abs(value) >= LARGE:
                raise self.error(f"{key} is a number of too many digits")
        if key in self.data and not listed:
            raise self.error(f"{key} is an empty list")
        return listed

    def engines(self) -> tuple[str, ...]:
        """The engines that the table names; eager where it names none."""
        named = self.values("engine", (str,))
        with self.placing():
            for name in named:
                check_engine("engine", name)
        return tuple(dict.fromkeys(map(canonical, named))) or (EAGER,)

    def value(self, key: str, types: tuple[type, ...]) -> Any:
        """The value under a key that takes one; None where it is not there."""
        listed = self.values(key, types)
        if len(listed) > 1:
            raise self.error(f"{key} is a list of {len(listed)}: it takes one value")
        return listed[0] if listed else None

    def text(self, key: str) -> str:
        """The text under a key; empty where it is not there."""
        return self.value(key, (str,)) or ""

    def tables(self, key: str) -> list[Table]:
        """The tables under a key, one or a list of them; a text is the table of the suite that it
        names.
        """
        listed = self.data.get(key, [])
        listed = listed if isinstance(listed, list) else [listed]
        numbered = [
            (f"{key} {number}" if len(listed) > 1 else key, data)
            for number, data in enumerate(listed, start=1)
        ]
        return [
            self._table(title, {"suite": data} if isinstance(data, str) else data)
            for title, data in numbered
        ]

    def _table(self, key: str, data: Any) -> Table:
        if not isinstance(data, dict):
            raise self.error(f"{key} is {data!r}: it takes a table, such as {{ KEY = VALUE }}")
        return Table(f"{self.where}, {key}", data, self.folder)

    def network(self) -> dict[str, list[Any]]:
        """The values of each key of a network that is there."""
        given = {key: self.values(key, types) for key, types in NETWORK.items() if key in self.data}
        names = [catalogue.verbatim(name, self.folder) for name in given.get("backbone", ())]
        return given | ({"backbone": names} if names else {})

    def options(self) -> dict[str, list[OptionValue]]:
        """The values of each option of a network that is there."""
        table = self._table("options", self.data.get("options", {}))
        is_own = any(origin_of(name) == FILE for name in self.values("backbone", (str,)))
        for key in table.data:
            if key in FLAGS and not is_own:
                raise table.error(f"{key} is not a network option, but a key of its own")
        return {key: table.values(key, OPTION_TYPES) for key in table.data}

    def combinations(self) -> list[tuple[dict[str, Any], dict[str, OptionValue]]]:
        """Every network of the grid, as `resolve` takes it; the first key's values change last.

        Raises UsageError, before any is made, where they are more than a suite may have.
        """
        network, options = self.network(), self.options()
        self.check_rows(prod(map(len, (*network.values(), *options.values()))))
        rows = product(*network.values(), *options.values())
        return [
            (
                dict(zip(network, row, strict=False)),
                dict(zip(options, row[len(network) :], strict=True)),
            )
            for row in rows
        ]

    def check_rows(self, count: int) -> None:
        """Raise UsageError for more rows than a suite may have."""
        if count > MOST_ROWS:
            raise self.error(f"{count:,} networks (a suite has at most {MOST_ROWS:,})")

    def check_networks(self) -> None:
        """Raise UsageError for a name that nothing has, and for a grid of which nothing can be
        built.
        """
        if "backbone" not in self.data:
            return
        backbones, detectors = self.network()["backbone"], self.values("detector", (str,))
        combinations = self.combinations()
        with self.placing():
            for name in backbones:
                catalogue.find("backbone", name)
            for name in detectors:
                catalogue.find_detector(name)
            if not any(resolved(*asked).spec for asked in combinations):
                given, options = combinations[0]
                catalogue.resolve(**given, options=options)


def fits(rule: Table) -> Callable[[Member], bool]:
    """Whether a row has one of the values that a rule gives for each key."""
    rule.check_keys(*NETWORK, "options", "label")
    labels = {"label": rule.values("label", (str,))} if "label" in rule.data else {}
    network, options = labels | rule.network(), rule.options()
    with rule.placing():
        for size in network.get("size", ()):
            parse_size(size)
    return lambda member: (
        all(any(member.has(key, value) for value in values) for key, values in network.items())
        and all(
            any(member.has_option(key, value) for value in values)
            for key, values in options.items()
        )
    )
