"""The pause between the jobs of a sweep."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from archbench.measure.machine import cooling
from archbench.measure.machine.cooling import cool_down, temperature_of

Card = Iterator[float]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooling, "POLL_S", 0.001)


def cool(card: Card, target_c: float | None, most_s: float = 5.0) -> None:
    cool_down(lambda: {"temperature_c": next(card)}, target_c, over=lambda: False, most_s=most_s)


def test_a_card_is_let_cool_until_it_is_within_3_degrees_of_where_the_first_job_began() -> None:
    card = iter([60.0, 55.0, 54.0, 53.0, 52.0])
    cool(card, 50.0)
    assert next(card) == 52.0


@pytest.mark.parametrize(
    ("celsius", "target_c"), [(53.0, 50.0), (20.0, 50.0), (math.nan, 50.0), (90.0, None)]
)
def test_what_is_cool_or_does_not_tell_is_not_waited_for(
    celsius: float, target_c: float | None
) -> None:
    card = iter([celsius])
    cool(card, target_c)
    assert list(card) == ([celsius] if target_c is None else [])


def test_a_card_that_stays_hot_is_waited_for_so_long_and_no_longer() -> None:
    start = time.monotonic()
    cool(iter(lambda: 90.0, None), 50.0, most_s=0.1)
    assert time.monotonic() - start >= 0.1
    assert cooling.MOST_S == 30


def test_who_interrupts_does_not_wait() -> None:
    cool_down(lambda: {"temperature_c": 90.0}, 50.0, over=lambda: True)


def test_a_temperature_that_is_not_told_is_none() -> None:
    assert [temperature_of(state) for state in ({}, {"temperature_c": math.nan})] == [None, None]
    assert temperature_of({"temperature_c": 61.0}) == 61
