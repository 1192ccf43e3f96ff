"""Names in any spelling, drawn from the whole catalogue."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.zoo.catalogue import Kind, entries, find

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
