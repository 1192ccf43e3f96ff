"""Text of any origin (a record, a file's name, a plug-in's message) made fit to be shown: it acts
on no terminal, breaks no document. What is hidden is written out, as Python writes it.
"""

from __future__ import annotations

from typing import Any
from unicodedata import category

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what is not shown: controls, formats such as a change of direction, lone
surrogates, ends of lines and paragraphs.
"""
BYTE_0 = 0xDC00
"""Python reads a byte of a file's name that is no UTF-8 as the character of this number plus it."""
MOST = 1000
"""Characters that a message may have; of a longer one the middle is left out."""
HEAD, TAIL = 650, 250
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What begins a cell that a spreadsheet takes for a formula."""


def visible(text: str) -> str:
    r"""Write out what is hidden in a text, line breaks too: an escape is \x1b, a byte that is no
    UTF-8 \xff.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(char) if category(char) in HIDDEN else char for char in text)


def visible_lines(text: str) -> str:
    """Write out what is hidden in each line of a text."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def message(text: str) -> str:
    """Give a message as it may reach a terminal: visible, and no longer than somebody reads."""
    if len(text) > MOST:
        left_out = len(text) - HEAD - TAIL
        text = f"{text[:HEAD]} ... {left_out:,} characters left out ... {text[-TAIL:]}"
    return visible_lines(text)


def csv_cell(value: Any) -> Any:
    """Give a value as a cell of CSV: a text is visible, and none is taken for a formula, which an
    apostrophe before it prevents. Numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = visible_lines(value)
    return f"'{text}" if value.startswith(FORMULA) else text


def storable(data: Any) -> Any:
    """Give plain data with every text in it as UTF-8 can hold it."""
    if isinstance(data, str):
        return data if data.isascii() else "".join(map(_storable, data))
    if isinstance(data, dict):
        return {storable(key): storable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(storable, data))
    return data


def _storable(char: str) -> str:
    return _escaped(char) if category(char) == "Cs" else char


def _escaped(char: str) -> str:
    byte = ord(char) - BYTE_0
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]
