"""A card is held by one job; the lock ends with the process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from archbench.measure.machine.exclusive import BusyError, contention, hold

HOLD = """
import sys, time
from archbench.measure.machine.exclusive import hold
lock = hold("GPU-test", lambda: 0)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder_for_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def holder():
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_archbench_waits_and_then_says_who_has_the_card(holder):
    start = time.monotonic()
    with pytest.raises(BusyError, match=r"another archbench used the card GPU-test for 0\.2 s"):
        hold("GPU-test", lambda: 0, wait_s=0.2)
    assert time.monotonic() - start >= 0.2


def test_cards_are_held_one_by_one(holder):
    hold("GPU-other", lambda: 0, wait_s=0).close()


def test_the_lock_ends_with_the_process(holder):
    holder.kill()
    holder.wait()
    hold("GPU-test", lambda: 0, wait_s=0).close()


def test_other_processes_are_waited_for():
    counts = iter([2, 1, 0])
    hold("GPU-test", lambda: next(counts), wait_s=5).close()
    assert next(counts, None) is None


@pytest.mark.parametrize(
    ("count", "who"), [(1, "1 other process used"), (3, "3 other processes used")]
)
def test_processes_that_stay_are_counted(count, who):
    with pytest.raises(BusyError, match=who):
        hold("GPU-test", lambda: count, wait_s=0)


def test_a_driver_that_does_not_say_is_no_hindrance_but_a_flag():
    hold("GPU-test", lambda: None, wait_s=0).close()
    assert contention(None) == ["exclusivity_unknown"]


@pytest.mark.parametrize(("processes", "flags"), [(0, []), (1, []), (2, ["contended"])])
def test_more_than_this_process_is_contention(processes, flags):
    assert contention(processes) == flags
