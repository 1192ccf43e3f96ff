"""How names are compared, and what is suggested for one that nothing has."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.spelling import did_you_mean, fold, match, nearest

KNOWN = ("vovnet/table4", "vovnet/table6", "huang/figure7")


@pytest.mark.parametrize("spelling", ["vovnet/table4", "VoVNet Table 4", "VOVNET_TABLE-4"])
def test_case_and_punctuation_do_not_matter(spelling: str) -> None:
    assert match(spelling, KNOWN) == "vovnet/table4"


def test_letters_and_digits_matter() -> None:
    assert match("vovnet/table", KNOWN) is None
    assert fold("VoVNet-39 (slim)") == "vovnet39slim"


def test_near_names_stand_in_their_own_order() -> None:
    assert nearest("vovnet/tabel6", KNOWN) == ["vovnet/table4", "vovnet/table6"]
    assert nearest("vovnet/tabel6", KNOWN, at_most=1) == ["vovnet/table6"]


def test_what_is_near_nothing_is_told_where_to_look() -> None:
    assert did_you_mean("huang-figure", KNOWN, "see the list") == "did you mean huang/figure7?"
    assert did_you_mean("zzz", KNOWN, "see the list") == "see the list"


@given(st.text(string.printable + "İıſßǅ²٣Ⅷé\N{COMBINING ACUTE ACCENT}"))
def test_folding_twice_is_folding_once(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(st.text(string.ascii_letters + string.digits + " -_./()", max_size=30), st.randoms())
def test_case_and_marks_are_folded_away(name: str, draw: random.Random) -> None:
    spelled = "".join(draw.choice((char.upper(), char.lower())) for char in name if char.isalnum())
    marked = draw.choice("-_ .").join(spelled)
    assert fold(marked) == fold(name)
