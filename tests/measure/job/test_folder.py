"""The temporary folders of jobs: whose owner lives is left alone, others are removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from archbench.measure.job.folder import COMING, OWNER, job_folder, remove_abandoned

WAIT = """
from archbench.measure.job.folder import job_folder
with job_folder() as folder:
    (folder / "result.json").touch()
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_for_a_while(temporary: Path) -> None:
    with job_folder() as folder:
        assert folder.parent == temporary
        assert [path.name for path in folder.iterdir()] == [OWNER]
        remove_abandoned()
        assert folder.exists()
    assert list(temporary.iterdir()) == []


def test_the_folder_of_an_owner_that_was_killed_is_removed(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        folder = Path(owner.stdout.readline().strip())
        remove_abandoned()
        assert (folder / "result.json").exists()
        os.kill(owner.pid, signal.SIGKILL)
    remove_abandoned()
    assert list(temporary.iterdir()) == []


def test_other_folders_are_left_alone(temporary: Path) -> None:
    own = temporary / "archbench-of-mine"
    own.mkdir()
    (own / "notes").touch()
    (temporary / "archbench-link").symlink_to(own)
    fresh = temporary / "archbench-fresh"
    fresh.mkdir()
    old = temporary / "archbench-old"
    old.mkdir()
    (old / COMING).touch()
    empty = temporary / "archbench-empty"
    empty.mkdir()
    for folder in (own, old, empty):
        os.utime(folder, (0, 0))
    remove_abandoned()
    left = {own.name, fresh.name, empty.name, "archbench-link"}
    assert {path.name for path in temporary.iterdir()} == left
    assert (own / "notes").exists()
