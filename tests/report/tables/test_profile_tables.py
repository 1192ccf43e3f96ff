"""What stands under the counts of one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archbench.quantities import COUNTED_FOR_REAL
from archbench.records import Record
from archbench.report.tables.profile import Paper, counted_table


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"attention_masks": {}}, []),
        (
            {"attention_masks": {"causal_macs": 1234567}},
            ["Attention is counted in full; causal masks would save 1,234,567 multiply-adds."],
        ),
        (
            {"attention_masks": {"unknown_calls": 3}},
            ["Attention is counted in full; what masks of 3 calls would save is unknown."],
        ),
        ({"uncounted": [["aten::fft", 2]]}, ["not counted, no rule: aten::fft (2 calls)"]),
    ],
)
def test_what_counts_leave_out_is_said(
    record: Callable[..., Record], counted: dict[str, Any], said: list[str]
) -> None:
    made = record("vovnet39", None)
    bare, table = (
        counted_table(replace(made, counted={**(made.counted or {}), **more}), Paper({}, ""))
        for more in ({}, counted)
    )
    assert [note for note in table.notes if note not in bare.notes] == said


def test_a_count_on_real_tensors_is_said_to_be_one(record: Callable[..., Record]) -> None:
    notes = [
        counted_table(replace(record(), conditions={"counted_on": on}), Paper({}, "")).notes
        for on in ("meta", "cpu")
    ]
    assert [note for note in notes[1] if note not in notes[0]] == [COUNTED_FOR_REAL]
