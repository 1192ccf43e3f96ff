"""Networks by names for people: short, told apart, broken into lines where a table is narrow."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby

from archbench.spec import Spec

NO_BREAK = "\N{NO-BREAK SPACE}"


def short_name(spec: Spec) -> str:
    """The network as papers write it, vovnet39 + refinedet320, or with its size where that cannot
    be joined to a name.
    """
    joined = spec.detector and spec.width == spec.height and not spec.detector[-1].isdigit()
    name = f"{spec.backbone} + {spec.detector}" if spec.detector else spec.backbone
    parts = [
        f"{name}{spec.width}" if joined else f"{name}, {spec.size}",
        *spec.options_text.split(";"),
    ]
    parts += ([f"batch {spec.batch}"] if spec.batch != 1 else []) + (
        [spec.mode] if spec.mode != "infer" else []
    )
    return ", ".join(filter(None, parts))


def short_names(specs: Iterable[Spec], name: Callable[[Spec], str] = short_name) -> dict[Spec, str]:
    """Short names, or those that another rule gives, with the classes where they alone tell two
    networks apart.
    """
    named = {spec: name(spec) for spec in specs}
    alike = Counter(named.values())
    return {
        spec: text if alike[text] == 1 else f"{text}, {_classes(spec)}"
        for spec, text in named.items()
    }


def _classes(spec: Spec) -> str:
    if spec.classes is None:
        return "its own classes"
    return f"{spec.classes} class{'es' * (spec.classes != 1)}"


def wrap_name(name: str, width: int) -> list[str]:
    """Break a name into lines: before a plus and after a comma only."""
    network, *parts = name.split(", ")
    glued = [
        network.replace(" + ", f" +{NO_BREAK}"),
        *(part.replace(" ", NO_BREAK) for part in parts),
    ]
    lines = textwrap.wrap(
        ", ".join(glued),
        width,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]


def in_order(name: str) -> list[tuple[int, str]]:
    """What a name is sorted by: its letters, and its numbers by their size."""
    parts = ("".join(part) for _, part in groupby(name.casefold(), str.isdecimal))
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else (-1, part)
        for part in parts
    ]


def folded(text: str) -> str:
    """A name as spellings of it agree on: letters and digits alone."""
    return "".join(filter(str.isalnum, text.casefold()))
