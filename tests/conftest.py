"""The tests run in several processes, one a core: each is pinned to its own, so that none disturbs
another's times. No card is used unasked, whatever `-m` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import hypothesis
import pytest

from archbench.settings import DEFAULT, Settings
from archbench.spec import UsageError

MOST = 4
CANDIDATES = ("cpu", "bf16", "channels_last", "compile", "a folder/file", 7, 0.5, True, False)
"""Values of which every setting takes one that is not its default."""

ASKED = "ARCHBENCH_GPU"
"""Set to 1 it lets tests use a card."""

# The same examples in every run, and none that fails of a slow machine.
hypothesis.settings.register_profile("archbench", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("archbench")


def pytest_xdist_auto_num_workers() -> int:
    """As many processes as cores, and no more than memory is sure to suffice for."""
    return min(
        MOST,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(ASKED) != "1":
        # A test that names no device takes the CPU, and so do the processes that it starts.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # Tests count what they hold, and leave the user's folder alone.
    os.environ["ARCHBENCH_COUNT_ANEW"] = "1"
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    if os.environ.get(ASKED) != "1":
        pytest.skip(f"measures on a card: {ASKED}=1 asks for it")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
