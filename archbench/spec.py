"""What is asked: which network (`Spec`), and what a user asks for that cannot be (`UsageError`).
Torch-free.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any, Literal, TypeAlias, TypeGuard

OptionValue: TypeAlias = bool | int | float | str

MAX_SIDE = 2**20
MAX_BATCH = 2**40
MAX_DIGITS = 100
"""Digits up to which a number is read: no size, count or seed has as many."""
FLAGS = ("backbone", "detector", "size", "classes", "batch", "mode")
"""What a spec has besides options; a user's own network alone has options of such names."""
ORIGINS = ("timm", "torchvision", "transformers")
"""Libraries whose networks are named LIBRARY:NAME."""
FILE = "file"
"""The origin of a user's own network, named PATH.py:NAME or package.module:NAME."""
ONNX = "onnx"
"""The origin of an exported graph, named PATH.onnx."""
PROGRAM = "program"
"""The origin of a program that torch exported, named PATH.pt2."""
MODULE = "module"
"""The origin of a module that was handed over in Python, named module:CLASS."""
HASH = "@[0-9a-f]{6}"
"""What follows the name of a network of a user's own: of which code or file it is."""


class UsageError(ValueError):
    """Something the user asked for cannot be: one line that says what to do. The command line exits
    with 2.
    """

    @property
    def fact(self) -> str:
        """What is wrong, without what can be done about it."""
        return str(self).partition(";")[0]

    @property
    def kind_of_fact(self) -> str:
        """The same in words that like errors share."""
        return self.fact


def parse_size(size: str | int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Read an input size: 320 (a square), "1344x800" (width x height) or (1344, 800), in pixels."""
    if size is None:
        return None
    if isinstance(size, str):
        match = re.fullmatch(r"([0-9]+)(?:[xX]([0-9]+))?", size.strip())
        if not match:
            raise UsageError(f"invalid size {size!r} (a side, 320, or WIDTHxHEIGHT, 1344x800)")
        if len(size) > MAX_DIGITS:
            raise UsageError(f"invalid size {size!r} (sides of at most {MAX_SIDE:,} pixels)")
        size = (int(match[1]), int(match[2] or match[1]))
    elif _is_whole(size):
        size = (size, size)
    if not isinstance(size, tuple | list) or len(size) != 2 or not all(map(_is_whole, size)):
        raise UsageError(f"invalid size {size} (a side, or width and height, in whole pixels)")
    width, height = (int(side) for side in size)
    if width < 1 or height < 1:
        raise UsageError(f"invalid size {width}x{height} (sides of at least 1 pixel)")
    if max(width, height) > MAX_SIDE:
        raise UsageError(f"invalid size {width}x{height} (sides of at most {MAX_SIDE:,} pixels)")
    return width, height


def _is_whole(side: Any) -> TypeGuard[int]:
    return isinstance(side, Integral) or (isinstance(side, float) and side.is_integer())


def parse_value(text: str) -> OptionValue:
    """Read an option's value as a boolean, a whole number, a number or a word, whichever fits
    first.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for cast in (int, float):
        try:
            return cast(text)
        except ValueError:
            continue
    return text


def parse_options(texts: list[str]) -> dict[str, OptionValue]:
    """Read KEY=VALUE texts into options; the last of two values for one key holds."""
    options: dict[str, OptionValue] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals and value.strip()):
            raise UsageError(f"invalid option {text!r} (KEY=VALUE, such as stem=conv)")
        options[key] = parse_value(value.strip())
    return options


def format_value(value: OptionValue) -> str:
    """Write an option's value as `parse_value` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def origin_of(name: str) -> str:
    """Say where a backbone is from by its name: empty for the zoo, `FILE`, `ONNX`, `PROGRAM`,
    `MODULE`, or one of `ORIGINS`.
    """
    if name.endswith(".onnx"):
        return ONNX
    if re.search(r"\.pt2(@|$)", name):
        return PROGRAM
    before, colon, _ = name.partition(":")
    if not colon:
        return ""
    return before if before in (*ORIGINS, MODULE) else FILE


def without_hash(name: str) -> str:
    """Give a backbone's name without the hash of what a user brought."""
    is_hashed = origin_of(name) in (FILE, PROGRAM, MODULE, "transformers")
    return re.sub(rf"{HASH}$", "", name) if is_hashed else name


def _classes(count: int) -> str:
    return "trunk alone" if not count else "1 class" if count == 1 else f"{count} classes"


@dataclass(frozen=True)
class Spec:
    """One network at one input, in normal form: two spellings of the same network give equal specs.

    `zoo.catalogue.resolve` makes specs. Sizes are pixels; `classes` counts foreground classes (0:
    the trunk alone; None: what a whole network from elsewhere has by itself); `options` holds those
    that differ from their defaults, sorted by key. A backbone from elsewhere is ORIGIN:NAME, as it
    was written.
    """

    backbone: str
    detector: str | None
    width: int
    height: int
    classes: int | None
    batch: int = 1
    mode: Literal["infer", "train"] = "infer"
    options: tuple[tuple[str, OptionValue], ...] = ()
    unknown: str = ""
    """What a later version's record says besides, as JSON: a network that this version cannot
    make, and like no other.
    """

    @property
    def origin(self) -> str:
        """Where its backbone is from, as `origin_of` says."""
        return origin_of(self.backbone)

    @property
    def has_weights(self) -> bool:
        """Whether it comes with weights of its own, so that none are drawn or loaded."""
        return self.origin in (PROGRAM, MODULE, ONNX)

    @property
    def is_whole(self) -> bool:
        """Whether it is a network from elsewhere that is run as it is, under no detector."""
        return bool(self.origin) and self.detector is None

    @property
    def size(self) -> str:
        """The input as WIDTHxHEIGHT."""
        return f"{self.width}x{self.height}"

    @property
    def options_text(self) -> str:
        """The options as key=value;key=value, the form of the data files."""
        return ";".join(f"{key}={format_value(value)}" for key, value in self.options)

    def __str__(self) -> str:
        network = f"{self.backbone} + {self.detector}" if self.detector else self.backbone
        parts = [network, self.size]
        if self.classes is not None:
            parts.append(_classes(self.classes))
        if self.options:
            parts.append(self.options_text)
        if self.batch != 1:
            parts.append(f"batch {self.batch}")
        if self.mode == "train":
            parts.append("training")
        if self.unknown:
            parts.append(f"with {', '.join(json.loads(self.unknown))} of a later archbench")
        return ", ".join(parts)

    def command(self, plugins: Sequence[str] = ()) -> str:
        """The command line that profiles this spec, which plug-in files may list; of a module in
        Python, which no command line names, a comment that says so.
        """
        if self.origin == MODULE:
            return f"# archbench.measure in Python, of {self}"
        words = ["archbench", "profile", self.backbone]
        if self.detector:
            words += ["--detector", self.detector]
        words += ["--size", self.size]
        if self.classes is not None:
            words += ["--classes", str(self.classes)]
        if self.batch != 1:
            words += ["--batch", str(self.batch)]
        if self.mode == "train":
            words.append("--train")
        for key, value in self.options:
            words += ["--option", f"{key}={format_value(value)}"]
        for file in plugins:
            words += ["--plugin", file]
        return shlex.join(words)

    def to_dict(self) -> dict[str, Any]:
        """Give the spec as plain data, the form that records hold."""
        data = asdict(self) | {"options": dict(self.options)}
        return json.loads(data.pop("unknown") or "{}") | data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Spec:
        """Read what `to_dict` wrote; raises KeyError or TypeError where it is something else."""
        return cls(**(data | {"options": tuple(sorted(data["options"].items()))}))
