"""The network that a name in any spelling stands for. Torch-free."""

from __future__ import annotations

import re
from dataclasses import replace

from archbench.spec import UsageError, origin_of, parse_size
from archbench.spelling import did_you_mean, fold
from archbench.zoo.catalogue.entry import Entry, Kind
from archbench.zoo.catalogue.family import with_suffixes
from archbench.zoo.catalogue.loading import entries, entries_by_name
from archbench.zoo.sources import read_entry


class UnknownNameError(UsageError):
    """No network of a kind has this name."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(f"unknown {kind} {name!r}{_hint(kind, name)}")
        self.kind = kind

    @property
    def kind_of_fact(self) -> str:
        return f"the zoo has no {self.kind} of that name"


def find(kind: Kind, name: str) -> Entry:
    """Find a network by any spelling of its name.

    Raises UnknownNameError with names that are near it.
    """
    if kind == "backbone" and origin_of(name):
        return read_entry(name)
    entry = _unprefixed(kind, name)
    if entry is None and kind == "backbone":
        entry = _prefixed(kind, name)
    if entry is None:
        raise UnknownNameError(kind, name)
    return entry


def find_detector(name: str) -> tuple[Entry, int | None]:
    """Find a detector by name and the side of its input where the name ends in one:
    refinedet320.
    """
    if fold(name) in entries_by_name("detector"):
        return find("detector", name), None
    sized = re.fullmatch(r"(.*?)[-_ ]?(\d+x\d+)", name.strip().lower())
    if sized:
        raise UsageError(
            f"unknown detector {name!r}; give a rectangular input separately: {sized[1]} --size "
            f"{sized[2]}"
        )
    folded = fold(name)
    digits = len(folded) - len(folded.rstrip("0123456789"))
    for cut in range(len(folded) - 1, len(folded) - digits - 1, -1):
        if folded[:cut] in entries_by_name("detector"):
            size = parse_size(folded[cut:])
            return find("detector", folded[:cut]), size[0] if size else None
    return find("detector", re.sub(r"[^a-zA-Z]*\d{3,}$", "", name) or name), None


def _hint(kind: Kind, name: str) -> str:
    """What is said of a name that nothing of its kind has."""
    if kind == "backbone" and _is_detector(name):
        return f": it is a detector (archbench profile BACKBONE --detector {name})"
    if kind == "detector" and fold(name) in entries_by_name("backbone"):
        return ": it is a backbone"
    if kind == "detector" and origin_of(name):
        return "; a detector of your own is a plug-in (--plugin), or a whole network by itself"
    if name.endswith(".py"):
        return f"; a network of your own is {name}:NAME, a class or function of the file"
    listed = [entry.name for entry in entries(kind)]
    # Names are short and half of them digits, so that near ones have less in common than words do.
    return "; " + did_you_mean(name, listed, f"archbench list shows every {kind}", cutoff=0.6)


def _is_detector(name: str) -> bool:
    """Whether a detector has this name, with or without its size."""
    try:
        find_detector(name)
    except UsageError:
        return False
    return True


def _unprefixed(kind: Kind, name: str) -> Entry | None:
    """Read a name without a beginning: a listed one, or one with numbers or endings."""
    entry = entries_by_name(kind).get(fold(name))
    if entry and kind == "backbone" and entry.name != _hyphenated(name):
        # Folding drops hyphens and points: resnet50-x10 is no resnet50-x1.0, ds-6-464-16-1 no
        # ds-64-64-16-1.
        entry = _patterned(kind, name) or _suffixed(kind, name) or entry
    entry = entry or _patterned(kind, name)
    if entry is None and kind == "backbone":
        entry = _suffixed(kind, name) or _run_together(kind, name)
    return entry


def _patterned(kind: Kind, name: str) -> Entry | None:
    """Read a name that carries its numbers, such as osa-12x21 or osa12x21."""
    text = re.sub(r"^([a-z]+)(?=\d)", r"\1-", _hyphenated(name))
    for entry in entries(kind):
        match = re.fullmatch(entry.pattern, text) if entry.pattern else None
        if match:
            try:
                numbers = {
                    key: float(value) if "." in value else int(value)
                    for key, value in match.groupdict("").items()
                }
            except ValueError:
                continue
            return replace(entry, name=match[0], aliases=(), arguments=entry.arguments | numbers)
    return None


def _hyphenated(name: str) -> str:
    """A name as canonical ones are written: lower case with hyphens."""
    return re.sub(r"[_\s/]+", "-", name.strip().lower())


def _suffixed(kind: Kind, written: str) -> Entry | None:
    """Read a registered name with endings that no row lists, such as resnet38-v1."""
    text = _hyphenated(written)
    spellings = [(name, entry) for entry in entries(kind) for name in (entry.name, *entry.aliases)]
    for name, entry in sorted(spellings, key=lambda spelling: -len(spelling[0])):
        if not text.startswith(f"{name}-"):
            continue
        try:
            return with_suffixes(entry, text[len(name) :])
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
                return with_suffixes(
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
        entry = _unprefixed(kind, match[1])
        if entry and preset.keys() <= entry.options.keys():
            return replace(
                entry,
                name=f"{prefix}-{entry.name}",
                aliases=(),
                same_as=entry.same_as or entry.name,
                preset=entry.preset | preset,
            )
    return None
