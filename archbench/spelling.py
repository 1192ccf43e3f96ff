"""How names are compared, what is suggested for one that nothing has, and how what does not fit is
said. Imports nothing heavy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def fold(name: str) -> str:
    """Bring a name to the form in which names are compared: letters and digits, lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def plainly(error: Exception) -> str:
    """Say what msgspec found not to fit, without the marks of code."""
    what, _, path = str(error).replace("`", "").partition(" - at $")
    return f"{what} in {path[1:]}" if len(path) > 1 else what


def match(name: str, known: Iterable[str]) -> str | None:
    """Find the one of `known` that a name spells in any way, or None."""
    return {fold(other): other for other in known}.get(fold(name))


def nearest(name: str, known: Iterable[str], *, at_most: int = 2, cutoff: float = 0.7) -> list[str]:
    """Give those of `known` that are spelled nearly as `name` is, in their own order.

    `cutoff` is the least similarity of two folded names, from 0 to 1.
    """
    spellings = {other: fold(other) for other in known}
    close = difflib.get_close_matches(fold(name), spellings.values(), n=at_most, cutoff=cutoff)
    return [other for other, folded in spellings.items() if folded in close]


def did_you_mean(
    name: str, known: Iterable[str], otherwise: str, *, at_most: int = 2, cutoff: float = 0.7
) -> str:
    """Say which names are near one that nothing has; where none is, say `otherwise`."""
    near = nearest(name, known, at_most=at_most, cutoff=cutoff)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
