"""No test uses a card unless it is asked for, whatever `-m` says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ON_A_CARD = """
import os

import pytest

@pytest.mark.gpu
def test_on_a_card():
    raise AssertionError("a card was used")

def test_elsewhere():
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == {hidden!r}
"""
NO_CARD = "-1"
TOP = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("asked", "marks", "ends"),
    [
        ("", [], "1 passed, 1 deselected"),
        ("", ["-m", "gpu"], "1 skipped, 1 deselected"),
        ("", ["-m", "not slow"], "1 passed, 1 skipped"),
        ("0", ["-m", "gpu or not gpu"], "1 passed, 1 skipped"),
        ("1", [], "1 passed, 1 deselected"),
        ("1", ["-m", "gpu"], "1 skipped, 1 deselected"),
    ],
)
def test_a_card_is_used_where_both_the_marker_and_the_variable_say_so(
    tmp_path: Path, asked: str, marks: list[str], ends: str
) -> None:
    """Where both do and there is no card, the test is skipped and not passed."""
    test = tmp_path / "test_card.py"
    test.write_text(ON_A_CARD.format(hidden=NO_CARD if asked == "1" else ""))
    environment = os.environ | {"ARCHBENCH_GPU": asked, "CUDA_VISIBLE_DEVICES": NO_CARD}
    words = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-rs", *marks]
    paths = [f"--rootdir={TOP}", f"-c={TOP / 'pyproject.toml'}", "-p", "conftest", str(test)]
    done = subprocess.run(
        [*words, *paths],
        env=environment | {"PYTHONPATH": str(TOP / "tests")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ends in done.stdout, done.stdout + done.stderr
