"""How a sweep goes, told on stderr: on a terminal with a line that changes, elsewhere in lines alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Live:
    """Two ways to say something: a line that stays, and what is so at the moment."""

    line: Callable[[str], None]
    now: Callable[[str], None]


@contextmanager
def live() -> Iterator[Live]:
    """Tell on stderr for a while."""
    if not sys.stderr.isatty():
        yield Live(_print, lambda _: None)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status("starting") as status:
        yield Live(lambda text: console.print(escape(text)), lambda text: status.update(escape(text)))


def _print(text: str) -> None:
    # Whoever read may be gone; a sweep goes on.
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
