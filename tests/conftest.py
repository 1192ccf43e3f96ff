"""The tests run in several processes, one a core: each is pinned to its own, so that none disturbs
another's times.
"""

from __future__ import annotations

import os

import pytest

MOST = 4


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
