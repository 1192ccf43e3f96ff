"""A card is held by one job; the lock ends with the process."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import time

import pytest

from archbench.measure.machine.exclusive import QUIET_S, BusyError, Quiet, contention, hold
from archbench.measure.power.use import Process, Use

HOLD = """
import sys, time
from archbench.measure.machine.exclusive import hold
from archbench.measure.power.use import Use
lock = hold("GPU-test", Use)
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
        hold("GPU-test", Use, wait_s=0.2)
    assert time.monotonic() - start >= 0.2


def test_cards_are_held_one_by_one(holder):
    hold("GPU-other", Use, wait_s=1.5).close()


def test_the_lock_ends_with_the_process(holder):
    holder.kill()
    holder.wait()
    hold("GPU-test", Use, wait_s=1.5).close()


@pytest.mark.parametrize("run", ["gone", "readable"])
def test_a_folder_that_takes_no_lock_file_is_none_for_locks(run, tmp_path, monkeypatch):
    """Batch systems pass on the name of a folder that only a login makes."""
    (tmp_path / "readable").mkdir(mode=0o500)
    if os.access(tmp_path / run, os.W_OK):
        pytest.skip("root may write anywhere")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / run))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hold("GPU-test", Use, wait_s=1.5).close()
    assert [path.name for path in tmp_path.glob("*.lock")] == [
        f"archbench-{os.getuid()}-GPU-test.lock"
    ]


def test_a_file_system_without_locks_is_no_other_archbench(monkeypatch):
    def flock(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    hold("GPU-test", Use, wait_s=1.5).close()


def using(computing: int = 0, drawing: int = 0, percent: int | None = 0, used: int = 0) -> Use:
    def listed(count: int) -> tuple[Process, ...]:
        return tuple(Process(1 + i, None) for i in range(count))

    return Use(listed(computing), listed(drawing), percent, used)


def beside(others: int = 0, drawing: int | None = 0) -> Use:
    """This process and others compute, as many draw."""
    computing = (Process(os.getpid(), None), *(using(others).computing or ()))
    return Use(computing, None if drawing is None else using(drawing).computing)


IDLE, HIDDEN = using(), "something that its driver does not list"


def looks(*uses: Use):
    """A look at the card after another; the last is what it stays like."""
    left = list(uses)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_other_processes_are_waited_for():
    look = looks(using(2), using(1), IDLE)
    start = time.monotonic()
    hold("GPU-test", look, wait_s=5).close()
    assert time.monotonic() - start >= QUIET_S


@pytest.mark.parametrize(
    ("use", "who"),
    [
        (using(1), "1 other process"),
        (using(3), "3 other processes"),
        (using(percent=7), HIDDEN),
        (using(2, drawing=1), "2 other processes"),
    ],
)
def test_who_stays_is_named(use, who):
    with pytest.raises(BusyError, match=f"{who} used the card GPU-test for 0 s"):
        hold("GPU-test", looks(use), wait_s=0)


def test_memory_that_moves_without_a_listed_process_is_somebody_s():
    count = iter(range(100))
    with pytest.raises(BusyError, match=HIDDEN):
        hold("GPU-test", lambda: using(used=next(count) << 22), wait_s=1.3)


def test_one_look_is_not_enough_to_call_a_card_idle():
    """A process of another container is not listed, and computes now and then."""
    quiet = Quiet()
    assert quiet.disturbed_by(IDLE) == ""
    assert quiet.seconds < QUIET_S
    assert quiet.disturbed_by(using(percent=3)) == HIDDEN
    assert quiet.seconds == 0
    assert quiet.disturbed_by(IDLE) == ""
    assert quiet.disturbed_by(using(used=1 << 20)) == ""
    assert quiet.disturbed_by(using(used=3 << 20)) == HIDDEN


def test_a_display_does_not_make_a_card_busy_but_is_flagged():
    """It draws all the time, in memory that comes and goes."""
    quiet = Quiet()
    for used in (1 << 30, 2 << 30):
        assert quiet.disturbed_by(using(drawing=2, percent=9, used=used)) == ""
    assert contention(beside(drawing=2), sees_all=True) == ["draws_display"]


def test_a_driver_that_does_not_say_is_no_hindrance_but_a_flag():
    hold("GPU-test", Use, wait_s=1.5).close()
    assert contention(Use(), sees_all=True) == ["exclusivity_unknown"]


@pytest.mark.parametrize(
    ("use", "sees_all", "flags"),
    [
        (beside(), True, []),
        (using(1), True, ["exclusivity_unknown"]),
        (using(0), True, ["exclusivity_unknown"]),
        (beside(1), True, ["contended"]),
        (using(1), False, ["exclusivity_unknown"]),
        (beside(1), False, ["contended"]),
        (beside(drawing=None), True, ["exclusivity_unknown"]),
    ],
)
def test_one_process_seen_is_alone_only_where_all_and_our_own_are_seen(use, sees_all, flags):
    assert contention(use, sees_all=sees_all) == flags


def test_a_job_does_not_wait_for_itself():
    """Nor is it another's where it is the only one, whatever its id."""
    here = Use((Process(os.getpid(), 5),), (), 0, 0)
    assert Quiet().disturbed_by(here) == ""
    assert here.own(os.getpid(), sees_all=True) == here.own(os.getpid(), sees_all=False)
    there = Use((Process(4_000_000, 5),), (), 0, 0)
    assert there.own(os.getpid(), sees_all=True) is None
    assert there.own(os.getpid(), sees_all=False) == Process(4_000_000, 5)


def test_a_process_in_both_lists_counts_once_and_one_without_an_id_each_time():
    both = Use((Process(7, 5), Process(0, None)), (Process(7, 5), Process(0, None)))
    assert (both.computing_count, both.drawing_count) == (2, 2)
    assert Use((Process(7, 5), Process(9, 3)), (Process(7, 5),)).bytes_of_others(None) == 8
    assert both.bytes_of_others(None) is None
