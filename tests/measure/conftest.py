"""The stand-in for NVIDIA's library, and child processes that see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archbench import cache
from archbench.measure.power.nvml_meter import KEPT

HERE = Path(__file__).parent
CHILD = HERE / "energy_child.py"
STUB = {"uuid": "GPU-stub", "driver": "999.1"}
REFRESH_S = {"usage": 0.02, "instant": 0.02, "counter": 0.02}
"""What an earlier probe of the stub would have left, so that not every child probes it again."""

Environment = dict[str, str]


@pytest.fixture(scope="session")
def nvml_stub(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Give an environment in which libnvidia-ml.so.1 is the stub, set by STUB_ variables
    (nvml_stub.c).
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        pytest.skip("NVML's stub needs a C compiler on Linux")
    top = tmp_path_factory.mktemp("nvml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(top))
        cache.write(KEPT, STUB, REFRESH_S)
    for name, flags in (("whole", []), ("without_counter", ["-DNO_COUNTER"])):
        (top / name).mkdir()
        target = top / name / "libnvidia-ml.so.1"
        words = [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            *flags,
            "-Wl,-soname,libnvidia-ml.so.1",
            "-o",
            target,
            HERE / "nvml_stub.c",
            "-lm",
        ]
        subprocess.run(words, check=True)

    def environment(library: str = "whole", **variables: str) -> Environment:
        folder = top / library if library in ("whole", "without_counter") else library
        return os.environ | {
            "LD_LIBRARY_PATH": str(folder),
            "XDG_CACHE_HOME": str(top),
            "OMP_NUM_THREADS": "1",
            **variables,
        }

    return environment


@pytest.fixture(scope="session")
def child() -> Callable[..., dict[str, Any]]:
    """Run a function of energy_child.py in a process of its own and give what it printed."""

    def run(environment: Environment, function: str, **arguments: Any) -> dict[str, Any]:
        words = [sys.executable, str(CHILD), function, json.dumps(arguments)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
