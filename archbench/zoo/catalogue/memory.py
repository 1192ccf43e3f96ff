"""What is read once and kept until `forget`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

KEPT = 4096
"""Answers that a function keeps: more than there are networks, and less than a grid may have."""

_remembered: list[Any] = []


def remembered(function: F) -> F:
    """Keep what a function answers, so that it is found once a process."""
    kept = lru_cache(maxsize=KEPT)(function)
    _remembered.append(kept)
    return kept  # type: ignore[return-value]


def forget() -> None:
    """Read the files anew when they are next asked for."""
    for kept in _remembered:
        kept.cache_clear()
