"""Text and tables as the documentation's Markdown takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text(words: str) -> str:
    """Escape what Markdown or HTML would take for markup, but for code in backticks."""
    parts = words.split("`")
    for index in range(0, len(parts), 2):
        part = parts[index].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts[index] = part.replace("*", r"\*").replace("_", r"\_").replace("[", r"\[")
    return "`".join(parts)


def code(words: str) -> str:
    """Set as code; nothing where there are no words."""
    return f"`{words}`" if words else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table; the cells are Markdown themselves."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "&#124;")
