"""Run tests of what torch reports under the oldest and the newest torch that archbench is held to.

    python tests/torch_versions.py [FOLDER]

Makes an environment for each version in FOLDER (a temporary one by default) with pip, some GB where
torch brings CUDA's libraries; no card is used. Ends with 1 where a test fails under one of them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

VERSIONS = ("2.9.*", "2.13.*")
TOP = Path(__file__).parents[1]
TESTS = ("tests/measure/machine/test_cuda.py", "tests/measure/job/test_launching.py")
"""What depends on torch's switches, getters and compiler."""


def holds(version: str, folder: Path) -> bool:
    """Make the environment of a version where it is not there yet, and run the tests in it."""
    python = folder / version.strip(".*") / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    install = [python, "-m", "pip", "install", "-q", f"torch=={version}", "-e", f"{TOP}[test]"]
    subprocess.run(install, check=True)
    print(f"torch {version}", flush=True)
    words = ["-n", "0", "-p", "no:cacheprovider", "-m", "not gpu", *TESTS]
    return subprocess.run([python, "-m", "pytest", *words], cwd=TOP, check=False).returncode == 0


def main(folder: Path) -> int:
    """Say with the exit code whether the tests hold under every version."""
    held = [holds(version, folder) for version in VERSIONS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="archbench-") as temporary:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary)))
