"""From what a user wrote to the network that it means, looked up and settled once. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archbench.spec import MAX_BATCH, OptionValue, Spec, UsageError, parse_size
from archbench.zoo.catalogue.entry import MAX_NUMBER, Entry, Options
from archbench.zoo.catalogue.memory import remembered
from archbench.zoo.catalogue.names import find, find_detector
from archbench.zoo.catalogue.plugins import source_file
from archbench.zoo.catalogue.settling import Pair
from archbench.zoo.sources import versions

MODES = ("infer", "train")

Size = str | int | tuple[int, int] | None
Mode = Literal["infer", "train"]


@dataclass(frozen=True)
class Network:
    """A network as it was asked for: its spec, what the zoo knows of it, every option settled."""

    spec: Spec
    backbone: Entry
    detector: Entry | None
    """As it is on backbones of this one's family."""
    backbone_options: Options
    detector_options: Options

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        """The files of the plug-ins that it comes from; none where the zoo has all of it."""
        entries = filter(None, (self.backbone, self.detector))
        return tuple(source_file(entry.plugin) for entry in entries if entry.plugin)

    @property
    def plugin_hash(self) -> str:
        """A hash of the code of the plug-ins that list it, whose names do not tell of which code it
        is; empty where none does.
        """
        plugins = dict.fromkeys(
            entry.plugin
            for entry in (self.backbone, self.detector)
            if entry and entry.plugin and not entry.origin
        )
        from archbench.zoo.sources.files import code_hash  # Light commands start without.

        return "+".join(map(code_hash, plugins))

    @property
    def libraries(self) -> dict[str, str | None]:
        """The versions of the library that it comes from, and of what that stands on."""
        return versions(self.spec.origin)

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plug-in files, asked for by --plugin, that list it."""
        named = (
            entry.plugin for entry in (self.backbone, self.detector) if entry and not entry.origin
        )
        return tuple(dict.fromkeys(name for name in named if name.endswith(".py")))

    @property
    def command(self) -> str:
        """The command line that profiles it, with its plug-ins."""
        return self.spec.command([os.path.relpath(file) for file in self.plugins])

    @property
    def options(self) -> Options:
        """Every option of both with its value; where both have one of a name, it has one value."""
        return self.backbone_options | self.detector_options


def resolve(
    backbone: str,
    detector: str | None = None,
    *,
    size: Size = None,
    classes: int | None = None,
    batch: int | None = None,
    mode: Mode = "infer",
    options: Mapping[str, OptionValue] | None = None,
    **more: OptionValue,
) -> Network:
    """Find the network that is asked for; raises UsageError for what cannot be.

    `size` is a side, (width, height) or their text; `classes` counts foreground classes, 0 without
    a detector is the trunk alone; `batch` is 1 where none is given, or what an exported network
    takes; `options` are those of the backbone and of the detector together, whatever their names,
    and so is what is given by `more` names.
    """
    given = {**(options or {}), **more}
    base = find("backbone", backbone)
    head, side = find_detector(detector) if detector is not None else (None, None)
    _check_built(base, head)
    asked = _asked_size(detector, side, size)
    batch = _default_batch(base) if batch is None else batch
    _check_call(head, classes, batch, mode)
    if base.origin and not head:
        _check_whole(base, asked, classes)
    base, head, left = _pair(base, head, given, asked, classes).normal()
    owner = _owner(base, head)
    width, height = _input(owner, asked)
    _check_exported(base, head, (width, height), batch, mode)
    return network(
        Spec(
            backbone=base.name,
            detector=head.name if head else None,
            width=width,
            height=height,
            classes=_default_classes(owner) if classes is None else classes,
            batch=batch,
            mode=mode,
            options=tuple(sorted(left.items())),
        )
    )


def network(spec: Spec) -> Network:
    """Find the network of a spec in normal form; raises UsageError where there is none."""
    return _network(spec, str(Path.cwd()) if spec.origin else "")


@remembered
def _network(spec: Spec, folder: str) -> Network:
    """The network of a spec as names are read in a folder."""
    base = find("backbone", spec.backbone)
    head = find("detector", spec.detector) if spec.detector else None
    pair = Pair.of(
        (base, head),
        dict(spec.options),
        (spec.width, spec.height),
        classified=head is None and not spec.is_whole and bool(spec.classes),
    )
    detector = head.on_family(base.stands_as) if head else None
    return Network(spec, base, detector, *pair.settled())


def _pair(
    base: Entry,
    head: Entry | None,
    given: Options,
    asked: tuple[int, int] | None,
    classes: int | None,
) -> Pair:
    """The backbone and the detector with the options given; raises UsageError for one that neither
    takes.
    """
    classified = not (head or base.origin) and (base.classes if classes is None else classes) > 0
    owner = _owner(base, head)
    pair = Pair.of((base, head), given, owner.rounded(asked or owner.size), classified=classified)
    if "classifier" in given and not (classified or base.origin):
        where = f"under {head.name}" if head else "with classes=0"
        raise UsageError(f"option classifier: there is no classifier {where}")
    return pair


def _owner(base: Entry, head: Entry | None) -> Entry:
    """The entry whose input and classes are the network's: the detector's, if there is one."""
    return head.on_family(base.stands_as) if head else base


def _asked_size(detector: str | None, side: int | None, size: Size) -> tuple[int, int] | None:
    """The input that is asked for, by the detector's name or by itself; None where by neither."""
    asked, named = parse_size(size), parse_size(side)
    if asked and named and asked != named:
        raise UsageError(
            f"{detector} sets the input to {side}x{side}, and the size to {asked[0]}x{asked[1]}: "
            "leave one out"
        )
    return asked or named


def _check_built(*entries: Entry | None) -> None:
    """Raise UsageError for a network that is listed alone."""
    for entry in filter(None, entries):
        if entry.published_only:
            raise UsageError(f"{entry.name} cannot be built: {entry.published_only}")


def _input(owner: Entry, asked: tuple[int, int] | None) -> tuple[int, int]:
    """The input of a network, as it pads what was asked for; raises UsageError for sides that it
    does not take.
    """
    width, height = owner.rounded(asked or owner.size)
    if width % owner.multiple or height % owner.multiple:
        raise UsageError(
            f"invalid size {width}x{height} ({owner.name} takes sides that are multiples of "
            f"{owner.multiple})"
        )
    return width, height


def _default_classes(owner: Entry) -> int | None:
    """The classes of a network for which none are given; None: whatever it has by itself."""
    return None if owner.origin else owner.classes


def _default_batch(base: Entry) -> int:
    """The batch of a network for which none is given: what it was exported with, or one image."""
    return base.images.batch.value if base.images else 1


def _check_exported(
    base: Entry, head: Entry | None, size: tuple[int, int], batch: int, mode: str
) -> None:
    """Raise UsageError for what a network that was exported is not: a part of another, in training,
    or of other images.
    """
    if base.images is None:
        return
    if head:
        raise UsageError(f"{base.name} runs as exported and cannot be the backbone of a detector")
    if mode == "train":
        raise UsageError(f"{base.name} was exported for inference and cannot be trained")
    try:
        base.images.check(size, batch)
    except UsageError as error:
        raise UsageError(f"{base.name} cannot be run: {error}") from None


def _check_whole(base: Entry, asked: tuple[int, int] | None, classes: int | None) -> None:
    """Raise UsageError where a network from elsewhere, run as it is, lacks an input or is given
    classes that it has no argument for.
    """
    if asked is None and not base.input:
        why = base.why_no_input or "has no default input size: give one, such as --size 320"
        raise UsageError(f"{base.name} {why}")
    if classes is not None and "classes" not in base.told:
        raise UsageError(f"{base.name} takes no classes: it has no argument classes or num_classes")
    if classes == 0:
        raise UsageError("invalid classes 0 (1 or more)")


def _check_call(head: Entry | None, classes: int | None, batch: int, mode: str) -> None:
    """Raise UsageError for classes, a batch or a mode that cannot be."""
    if mode not in MODES:
        raise UsageError(f"invalid mode {mode!r} (choose from {', '.join(MODES)})")
    if not 1 <= batch < MAX_BATCH:
        raise UsageError(f"invalid batch {batch} (1 or more, below 2**40)")
    if classes is not None and classes < (1 if head else 0):
        least = "1 or more" if head else "0, the backbone alone, or more"
        raise UsageError(f"invalid classes {classes} ({least})")
    if classes is not None and classes > MAX_NUMBER:
        raise UsageError(f"invalid classes {classes} (at most {MAX_NUMBER})")
