"""Names in any spelling, drawn from the whole catalogue."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.zoo.catalogue import Kind, entries, find
from archbench.zoo.catalogue.names import UnknownNameError

NAMES = {
    kind: [name for entry in entries(kind) for name in (entry.name, *entry.aliases)]
    for kind in ("backbone", "detector")
}


@pytest.mark.parametrize("kind", NAMES)
@given(data=st.data(), draw=st.randoms(use_true_random=False))
def test_a_name_is_found_whatever_its_case_and_its_separators(
    kind: Kind, data: st.DataObject, draw: random.Random
) -> None:
    name = data.draw(st.sampled_from(NAMES[kind]))
    spelled = "".join(
        draw.choice("-_ ") if char == "-" else draw.choice((char.lower(), char.upper()))
        for char in name
    )
    assert find(kind, f" {spelled} ").name == find(kind, name).name


def test_a_name_of_many_beginnings_is_unknown() -> None:
    """A past bug: every beginning was one call deeper, until Python went no further."""
    assert find("backbone", "se-peleenext").name == "se-peleenext"
    for count in (2, 600):
        with pytest.raises(UnknownNameError, match="unknown backbone"):
            find("backbone", "se" * count + "peleenext")
