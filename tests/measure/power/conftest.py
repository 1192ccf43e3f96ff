"""The jobs of `energy_scenarios`, run once for the tests of a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from energy_scenarios import SCENARIOS, SIDE_BY_SIDE, WHOLE_JOBS, Found, packages, whole_job


@pytest.fixture(scope="module")
def found(nvml_stub, child, tmp_path_factory) -> Iterator[Found]:
    folder = tmp_path_factory.mktemp("found")

    def scenario(variables: dict[str, str], arguments: dict[str, Any]) -> dict[str, Any]:
        begin = {"STUB_T0": str(time.clock_gettime(time.CLOCK_MONOTONIC))}
        if "t0_file" in arguments:
            t0_file = str(folder / arguments["t0_file"])
            begin, arguments = {"STUB_T0_FILE": t0_file}, arguments | {"t0_file": t0_file}
        result = child(nvml_stub(**begin | variables), "job", **arguments)
        return result | {"begin": float(begin.get("STUB_T0", "nan"))}

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        futures = {
            name: pool.submit(whole_job, nvml_stub(**variables), folder / name)
            for name, variables in WHOLE_JOBS.items()
        }
        futures["RAPL"] = pool.submit(
            child, dict(os.environ), "rapl", root=str(packages(folder)), watts=40.0, seconds=5.0
        )
        yield Found(
            futures | {name: pool.submit(scenario, *what) for name, what in SCENARIOS.items()}
        )
