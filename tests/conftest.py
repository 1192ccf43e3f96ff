"""The tests run in several processes, one a core: each is pinned to its own, so that none disturbs
another's times.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import pytest

from archbench.settings import DEFAULT, Settings
from archbench.spec import UsageError

MOST = 4
CANDIDATES = ("cpu", "bf16", "channels_last", "max-autotune", "a folder/file", 7, 7.5, True, False)
"""Values of which every setting takes one that is not its default."""


def pytest_xdist_auto_num_workers() -> int:
    """As many processes as cores, and no more than memory is sure to suffice for."""
    return min(
        MOST,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def pytest_configure(config: pytest.Config) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session")
def another() -> Callable[[str], Any]:
    """Give a value of a setting, by its name, that is not its default."""
    hints = get_type_hints(Settings)

    def choose(name: str) -> Any:
        for value in CANDIDATES:
            if type(value) not in (get_args(hints[name]) or (hints[name],)):
                continue
            with suppress(UsageError):
                if replace(DEFAULT, **{name: value}) != DEFAULT:
                    return value
        raise LookupError(f"no candidate for {name}: add one")

    return choose
