"""What is hidden in a text is seen where the text is shown."""

from __future__ import annotations

from unicodedata import category

import pytest

from archbench.escaping import MOST, csv_cell, message, storable, visible, visible_lines

CHARACTERS = [chr(code) for code in (*range(0x3000), *range(0xD7F0, 0xE010), 0xFEFF, 0xE0001)]


def test_no_control_no_format_and_no_surrogate_is_left_and_all_else_stays() -> None:
    for char in CHARACTERS:
        shown = visible(char)
        if category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert shown.startswith("\\")
            assert shown.isascii()
            assert shown.isprintable()
        else:
            assert shown == char


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\tb\r\nc", r"a\tb\r\nc"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("left\u202eright", r"left\u202eright"),
        ("\U000e0001", r"\U000e0001"),
        ("écran 漢\u00a0字 😀", "écran 漢\u00a0字 😀"),
    ],
)
def test_what_is_hidden_is_written_as_python_writes_it(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert shown.encode()


def test_lines_stay_lines() -> None:
    assert visible_lines("one\ntwo\x07") == "one\ntwo\\x07"


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = message(f"error: {'9' * 5000} is no size: it takes a side")
    assert len(text) < MOST
    assert text.startswith("error: 999")
    assert text.endswith("9 is no size: it takes a side")
    assert " 4,135 characters left out " in text
    assert message("x" * MOST) == "x" * MOST


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize("value", [-1, -1.5, None, 0, "vovnet39", "a=b", ""])
def test_numbers_and_other_texts_stay(value: object) -> None:
    assert csv_cell(value) == value


def test_stored_text_is_utf8_and_keeps_its_lines() -> None:
    data = {"caf\udce9": ["a\nb", ("\ud800", 1.5, None)], "é": True}
    stored = storable(data)
    assert stored == {r"caf\xe9": ["a\nb", (r"\ud800", 1.5, None)], "é": True}
    assert storable(stored) == stored
