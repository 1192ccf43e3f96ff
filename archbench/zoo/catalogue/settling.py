"""Which value every option of a network has, and the shortest way to write them. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from archbench.spec import FLAGS, UsageError
from archbench.spelling import fold
from archbench.zoo.catalogue.entry import Entry, Kind, Options, unknown_option
from archbench.zoo.catalogue.loading import entries, entries_by_name
from archbench.zoo.catalogue.names import find

SMALL_SIDE = 400
"""Below it, detectors of two sets of layers have the smaller one, that for 300 or 321."""


@dataclass(frozen=True)
class Surroundings:
    """What an entry's defaults depend on beyond the entry itself.

    For a backbone: what a detector `sets` on it. For a detector: the `family` as which it treats
    its backbone. For both: the `values` of what `Option.default_for` names.
    """

    sets: Options = field(default_factory=dict)
    values: Options = field(default_factory=dict)
    family: str | None = None


@dataclass(frozen=True)
class Pair:
    """A backbone, perhaps under a detector, and the options that are given of each."""

    base: Entry
    head: Entry | None
    given: dict[Kind, Options]
    size: tuple[int, int]
    """The input, for the defaults that depend on it."""
    classified: bool
    """Whether a classifier stands on the backbone."""

    @classmethod
    def of(
        cls,
        entries: tuple[Entry, Entry | None],
        options: Options,
        size: tuple[int, int],
        *,
        classified: bool,
    ) -> Pair:
        """Hand each option to whichever of the two declares it, checked.

        Raises UsageError for one that neither declares and for a value that is none of its own.
        """
        base, head = entries
        unknown = options.keys() - (head.options.keys() if head else set())
        base = base.opened(sorted(unknown))
        owners = [entry for entry in (base, head) if entry]
        given: dict[Kind, Options] = {"backbone": {}, "detector": {}}
        for key, value in options.items():
            takers = [entry for entry in owners if key in entry.options]
            told = {entry.name for entry in owners if key in entry.told.values()}
            if told:
                raise UsageError(f"{key} is not an option of {', '.join(told)}: give it separately")
            if not takers:
                raise UsageError(_unknown_option(key, owners))
            for entry in takers:
                given[entry.kind][key] = entry.options[key].check(value)
        for entry in owners:
            for key, option in entry.options.items():
                if option.is_required and key not in given[entry.kind]:
                    raise UsageError(f"{entry.name} needs its option {key}: --option {key}=VALUE")
        return cls(base, head, given, size, classified)

    def settled(self) -> tuple[Options, Options]:
        """Give every option of the backbone and of the detector its value, defaults filled in."""
        of_base = _settle(self.base, self.given["backbone"], self._around_base())
        if not self.head:
            return of_base, {}
        return of_base, _settle(self.head, self.given["detector"], self._around_head(of_base))

    def normal(self) -> tuple[Entry, Entry | None, Options]:
        """Give the names that cover most of the options, and the options that they leave."""
        pair = self
        if self.head:
            # Its name decides what it sets on the backbone: dsod with prediction=plain is
            # dsod-plain.
            renamed, _ = _shortest(self.head, self.given["detector"], self._around_head({}))
            pair = replace(self, head=renamed)
        around = pair._around_base()
        of_base = _settle(pair.base, pair.given["backbone"], around)
        base, left = _shortest(pair.base, pair.given["backbone"], around)
        if not pair.head:
            return base, None, left
        head, of_head = _shortest(pair.head, pair.given["detector"], pair._around_head(of_base))
        return base, head, left | of_head

    @property
    def _common(self) -> Options:
        return {
            "classified": self.classified,
            "detected": self.head is not None,
            "small": min(self.size) < SMALL_SIDE,
            "backbone": self.base.same_as or self.base.name,
        }

    def _around_base(self) -> Surroundings:
        """What the detector fills in on the backbone, as far as the backbone has such options."""
        pairing = self.head.on.get(self.base.stands_as) if self.head else None
        sets = pairing.sets if pairing else {}
        known = {key: value for key, value in sets.items() if key in self.base.options}
        return Surroundings(sets=known, values=self._common)

    def _around_head(self, of_base: Options) -> Surroundings:
        return Surroundings(values=of_base | self._common, family=self.base.stands_as)


def _unknown_option(key: str, owners: Sequence[Entry]) -> str:
    if key in FLAGS:
        return f"{key} is not a network option: give it as --{key}"
    for entry in owners:
        for other in entries(entry.kind):
            option = other.options.get(key)
            if other.family == entry.family and option and option.refusal:
                return f"{entry.name} {option.refusal}"
    names = " and ".join(entry.name for entry in owners)
    takes = "take" if len(owners) > 1 else "takes"
    return unknown_option(
        f"{names} {takes}", key, {key for entry in owners for key in entry.options}
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


def _shortest(entry: Entry, given: Options, around: Surroundings) -> tuple[Entry, Options]:
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
        listed = fold(name) in entries_by_name(entry.kind)
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
